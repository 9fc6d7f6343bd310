"""Whole-repository indexes cost what changed, and are what a rendering from nothing would make."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import random
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Database, PublicationStage
from reconciler.database import index_entries as reading
from reconciler.engine.integrity.verification import verify
from reconciler.engine.publishing import index_bodies, index_entries
from reconciler.engine.publishing.index_bodies import cut
from reconciler.engine.run import checkpoints
from reconciler.engine.run.checkpoints import Checkpoint, listen
from reconciler.engine.run.progress import SilentTask
from reconciler.errors import PluginFault
from reconciler.plugin import Publisher
from reconciler.serve import Application, Catalogue
from reconciler.store import LocalStore
from tests.support.asgi import Client
from tests.support.databases import NOW, database
from tests.support.indexed import SUITES, IndexedSite, index_publisher

MANY = {f"stable/p{number:03}": "one" for number in range(200)}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bodies of a few kilobytes consist of many chunks."""
    monkeypatch.setattr(checkpoints, "_listeners", [])
    for name, value in (("TARGET", 4096), ("SMALLEST", 1024), ("SMALL_BODY", 2048)):
        monkeypatch.setattr(index_bodies, name, value)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Database]:
    with database(tmp_path) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path, opened: Database) -> IndexedSite:
    return IndexedSite(tmp_path, opened.writer())


def packages(site: IndexedSite, suite: str = "stable") -> bytes:
    return site.files()[f"dists/{suite}/Packages"]


def test_one_changed_unit_costs_its_entry_its_chunk_and_its_suite(site: IndexedSite) -> None:
    site.publish({**MANY, "testing/other": "one"})
    entries, indexes, summaries = site.calls.since_last_look()
    assert (len(entries), indexes) == (201, ["stable", "testing"])
    assert summaries == ["stable", "testing"]
    before, chunks = site.files(), site.chunks()
    site.publish({**site.units, "stable/p100": "two"})
    assert site.calls.since_last_look() == (["stable/p100"], ["stable"], ["stable"])
    after = site.files()
    assert len(chunks) > 20
    assert len(site.chunks() - chunks) == 1
    assert {path for path in after if after[path] != before.get(path)} > {
        "dists/stable/Packages",
        "dists/stable/Packages.gz",
        "dists/stable/Release",
    }
    for path in before:
        if path.startswith("dists/testing/"):
            assert after[path] == before[path]
    site.publish(site.units)
    assert site.calls.since_last_look() == ([], [], [])


def test_an_index_that_is_what_it_was_leaves_its_summary_alone(site: IndexedSite) -> None:
    site.declared.entry = lambda unit: unit.key.encode() + b"\n"
    site.publish({"stable/a": "one"})
    site.calls.since_last_look()
    site.publish({"stable/a": "two"})
    assert site.calls.since_last_look() == (["stable/a"], ["stable"], [])


def test_entries_are_in_order_whatever_order_they_came_in(site: IndexedSite) -> None:
    for units in ({"stable/b": "1"}, {"stable/b": "1", "stable/a": "1", "c": "1"}):
        site.declared.entry = lambda unit: f"{unit.key}\n".encode()
        site.publish(units)
    assert packages(site) == b"# stable\nstable/a\nstable/b\nc\n"
    assert packages(site, "testing") == b"# testing\nc\n"


def test_an_index_is_its_entries_where_no_publisher_says_otherwise(site: IndexedSite) -> None:
    site.declared.entry = lambda unit: f"{unit.key}\n".encode()
    custom: Any = index_publisher(site.calls, site.declared)
    custom.render_index = Publisher.render_index
    site.publisher = custom
    site.publish({"stable/b": "1", "stable/a": "1"})
    assert packages(site) == b"stable/a\nstable/b\n"


def test_an_index_disappears_with_its_last_entry_unless_it_is_always_there(
    site: IndexedSite,
) -> None:
    site.declared.names = ("stable",)
    site.publish({})
    assert packages(site) == b"# stable\n"
    assert sorted(path for path in site.files() if path.endswith("Release")) == [
        "dists/stable/Release"
    ]
    site.publish({"both": "1"})
    assert "dists/testing/Release" in site.files()
    site.publish({})
    assert {path.split("/")[1] for path in site.files()} == {"stable"}
    assert packages(site) == b"# stable\n"
    assert site.index_names() == ["stable"], "nothing stays of an index that is gone"


@pytest.mark.parametrize("size", [3, 3_000], ids=["small", "in chunks"])
def test_every_compression_and_checksum_is_of_the_same_body(site: IndexedSite, size: int) -> None:
    site.declared.compressions = ("gz", "xz", "zst")
    site.declared.entry = lambda unit: random.Random(unit.key).randbytes(size)
    site.publish({"stable/a": "1", "stable/b": "1"})
    files = site.files()
    body = packages(site)
    zstd = import_module("backports.zstd")
    assert gzip.decompress(files["dists/stable/Packages.gz"]) == body
    assert zlib.decompressobj(31).decompress(files["dists/stable/Packages.gz"]) == body
    assert lzma.decompress(files["dists/stable/Packages.xz"]) == body
    assert zstd.decompress(files["dists/stable/Packages.zst"]) == body
    listed = [line.split() for line in files["dists/stable/Release"].decode().splitlines()]
    assert [path for *_, path in listed] == [
        f"dists/stable/Packages{ending}" for ending in ("", ".gz", ".xz", ".zst")
    ]
    for _, sha256, length, path in listed:
        assert len(files[path]) == int(length)
        assert files[f"dists/stable/by-hash/SHA256/{sha256}"] == files[path]


def test_a_plain_file_that_is_not_published_is_listed_nevertheless(site: IndexedSite) -> None:
    site.declared.plain = False
    site.publish({"stable/a": "1"})
    files = site.files()
    assert "dists/stable/Packages" not in files
    assert files["dists/stable/Release"].decode().splitlines()[0].endswith(" dists/stable/Packages")


def test_changes_lead_to_what_a_rendering_from_nothing_makes(site: IndexedSite) -> None:
    """Of random changes; a rendering of another revision takes nothing over."""
    drawn = random.Random(11)
    keys = ["a", "b", *(f"{suite}/{name}" for suite in SUITES for name in "bcdefg")]
    for _ in range(8):
        held = {key: drawn.choice("12") for key in keys if drawn.random() < 0.6}
        site.publish(held)
        changed = site.files()
        site.declared.revision += 1
        site.release()
        assert site.files() == changed


def test_a_kill_at_any_step_leaves_what_was_served(
    site: IndexedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is undone by the process that is gone: the next one does."""
    monkeypatch.setattr(PublicationStage, "discard", lambda stage: None)
    site.publish(MANY)
    before = site.files()
    after = {**MANY, "stable/p007": "two", "testing/new": "one"}
    for fatal in range(1, 20):
        monkeypatch.setattr(checkpoints, "_listeners", [_failing_at(fatal)])
        with suppress(KeyboardInterrupt):
            site.publish(after)
        if site.files() != before:
            break
    assert fatal > 4
    monkeypatch.setattr(checkpoints, "_listeners", [])
    site.release()
    incremental = site.files()
    site.declared.revision = 2
    site.release()
    assert site.files() == incremental
    assert incremental != before


def test_bodies_of_entries_are_held_in_memory_by_their_size(
    site: IndexedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are read, or written, at once, the index is the same."""
    site.publish(MANY)
    before = site.files()
    monkeypatch.setattr(index_entries, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", 1)
    monkeypatch.setattr(reading, "FIRST_ENTRIES", 150)
    site.declared.revision = 2
    site.release()
    assert site.files() == before


def test_memory_holds_so_many_entries_as_its_bytes_allow() -> None:
    row = (b"key", b"unit", bytes(1000))
    assert reading.affordable([row] * 100) == reading.ENTRIES_AT_ONCE
    assert reading.affordable([(b"", b"", bytes(1024 * 1024))] * 3) == 8
    assert reading.affordable([(b"", b"", bytes(9 * 1024 * 1024))]) == 1
    assert reading.affordable([]) >= 1


def _failing_at(fatal: int) -> Callable[[Checkpoint], None]:
    reached = count(1)

    def fail(checkpoint: Checkpoint) -> None:
        if next(reached) == fatal:
            raise KeyboardInterrupt(checkpoint)

    return fail


def test_chunks_that_no_publication_lists_are_collected(site: IndexedSite) -> None:
    """They are counted as they go, and the same before, by a dry run."""
    site.publish(MANY)
    site.forget_entries(path for path in site.files() if path.endswith(".gz"))
    site.writer.remove_unused_pages(dry_run=False)
    assert packages(site)
    assert site.chunks()
    site.forget_entries(site.files())
    pages, parts = site.writer.remove_unused_pages(dry_run=True)
    assert pages > 1
    assert parts == len(site.chunks()) > 1
    assert site.writer.remove_unused_pages(dry_run=False) == (pages, parts)
    assert not site.chunks()
    assert site.writer.remove_unused_pages(dry_run=True) == (0, 0)


def test_a_chunk_that_is_collected_while_an_index_is_rendered_is_made_again(
    site: IndexedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that no list names yet may be gone before the rendering is complete."""
    collected: list[int] = []

    def collect(checkpoint: Checkpoint) -> None:
        if checkpoint is Checkpoint.PAGE_RENDERED and not collected and site.calls.indexes:
            collected.append(len(site.chunks()))
            site.writer.remove_unused_pages(dry_run=False)

    monkeypatch.setattr(index_bodies, "PENDING_BYTES", 4096)
    listen(collect)
    site.publish(MANY)
    assert collected[0] > 8
    assert gzip.decompress(site.files()["dists/stable/Packages.gz"]) == packages(site)


def test_a_damaged_chunk_is_found_and_made_again(site: IndexedSite) -> None:
    site.publish(MANY)
    before = site.files()
    [hurt] = list(site.chunks())[3:4]
    site.replace_chunk(hurt, b"other bytes")
    outcome = verify(site.writer, LocalStore(site.folder), None, now=NOW, task=SilentTask())
    assert "dists/stable/Packages" in {page.path for page in outcome.damaged_pages}
    id_ = site.writer.actual_state().publications["team"].id
    site.writer.forget_pages(id_, [page.digest for page in outcome.damaged_pages])
    site.release()
    assert site.files() == before
    assert verify(site.writer, LocalStore(site.folder), None, now=NOW, task=SilentTask()).sound


def test_exports_and_servers_give_the_same_bodies(site: IndexedSite, tmp_path: Path) -> None:
    """The second export advances a tree by its difference; a dropped path by digest lingers."""
    out = tmp_path / "out"
    site.how = {"written": [str(out)]}
    for note in ("one", "two", "three"):
        site.publish({**MANY, "stable/p050": note})
        files = site.files()
        exported = {
            str(path.relative_to(out)): path.read_bytes()
            for path in out.rglob("dists/**/*")
            if path.is_file()
        }
        assert exported.items() >= files.items()
    assert len(exported) > len(files)

    async def served() -> None:
        store = LocalStore(tmp_path / "store")
        client = Client(Application(Catalogue(site.writer, store, clock=lambda: NOW)))
        for path in exported:
            response = await client.get(f"/team/{path}")
            assert (response.status, response.body) == (200, exported[path]), path

    asyncio.run(served())


def test_boundaries_follow_the_content() -> None:
    pieces = [f"entry {number} {zlib.crc32(bytes(number))}\n".encode() * 9 for number in range(900)]
    whole = list(cut(pieces))
    assert b"".join(whole) == b"".join(pieces)
    assert len(whole) > 30
    changed = list(cut([*pieces[:400], b"a new entry\n", *pieces[400:]]))
    assert len(set(changed) - set(whole)) <= 2
    large = list(cut([bytes(3 * index_bodies.LARGEST)]))
    assert [len(chunk) for chunk in large] == [index_bodies.LARGEST] * 3


def test_what_breaks_the_contract_is_named(site: IndexedSite) -> None:
    broken: Any = lambda unit: unit.key  # noqa: E731
    site.declared.entry = broken
    with pytest.raises(PluginFault, match="`entry_of` returns str, not bytes, for unit `stable/a`"):
        site.publish({"stable/a": "1"})
    site.declared.entry = lambda unit: b"fine"
    site.declared.address = True
    with pytest.raises(PluginFault, match="the index `stable` cannot say where it is served"):
        site.release()
    site.declared.address = False
    site.declared.compressions = ("bz2",)
    with pytest.raises(PluginFault, match="the index `stable` has the unknown 'bz2'"):
        site.release()
    with pytest.raises(PluginFault, match="`render_index` yields str, not bytes"):
        list(cut(["text"]))  # type: ignore[list-item]
