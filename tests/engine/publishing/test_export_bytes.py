"""An export holds every file: what was left upstream is named, and what the export showed stays."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.database import Entry, GzipPage, Writer
from reconciler.engine.publishing.exports import export
from reconciler.engine.transfer.stored_bytes import MISSING, OTHER_SIZE, DamagedBytes
from reconciler.errors import StateFault
from reconciler.model import EMPTY_VERSION, Digest
from reconciler.store import LocalStore
from tests.support.databases import NOW, created_publication, created_repository, database

HERE, UPSTREAM = b"bytes that are here", b"bytes that were left upstream"


def publishing(
    writer: Writer, publication_id: int, store: LocalStore, directory: Path, *, pages: bool = False
) -> Callable[..., bool]:
    """Publish the bodies under their numbers, and export that; as files, or as pages."""

    def publish(*bodies: bytes) -> bool:
        entries = [
            Entry(f"files/{number}", "text/plain", "a", pages, Digest.of(body), len(body))
            for number, body in enumerate(bodies)
        ]
        digest = Digest.of(b"".join(bodies))
        with writer.publish(
            publication_id,
            version=0,
            version_digest=EMPTY_VERSION,
            digest=digest,
            now=NOW,
            full=False,
        ) as stage:
            bodies_of_pages = {
                Digest.of(body): GzipPage(gzip.compress(body), len(body))
                for body in (bodies if pages else ())
            }
            stage.replace_group("a", entries, bodies_of_pages)
            record = stage.complete()
        return export(writer, store, publication_id, record=record, directory=str(directory))

    return publish


def test_a_file_that_was_left_upstream_is_named_and_the_shown_tree_stays(tmp_path: Path) -> None:
    store, public = LocalStore(tmp_path / "store"), tmp_path / "public"
    store.put(HERE, Digest.of(HERE))
    with database(tmp_path) as opened:
        writer = opened.writer()
        created_repository(writer)
        publish = publishing(writer, created_publication(writer), store, public)
        assert publish(HERE)
        shown = os.readlink(public)
        with pytest.raises(
            StateFault,
            match=r"`files/1` cannot be exported: its bytes were left upstream, as the `policy` of",
        ) as refused:
            publish(HERE, UPSTREAM)
        assert "policy: immediate" in (refused.value.hint or "")
        assert os.readlink(public) == shown
        assert [path.name for path in (public / "files").iterdir()] == ["0"]
        store.put(UPSTREAM, Digest.of(UPSTREAM))
        assert publish(UPSTREAM, HERE)
        writer.artifact_stored(Digest.of(b"lost"), 4)
        with pytest.raises(DamagedBytes) as missing:
            publish(b"lost")
        assert missing.value.problems == {Digest.of(b"lost"): MISSING}
        writer.artifact_stored(Digest.of(HERE), len(HERE) + 1)
        with pytest.raises(DamagedBytes) as truncated:
            publish(HERE)
        assert truncated.value.problems == {Digest.of(HERE): OTHER_SIZE}
        writer.record_damage({Digest.of(HERE): OTHER_SIZE}, NOW)
        store.path(Digest.of(HERE)).unlink()
        with pytest.raises(DamagedBytes):
            publish(HERE, UPSTREAM)
        assert [(public / "files" / name).read_bytes() for name in ("0", "1")] == [UPSTREAM, HERE]


@pytest.mark.parametrize("left", ["both", "shown"])
def test_the_second_export_writes_what_has_changed(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: cost follows change. Trees share what both show, and neither changes the other."""
    store, public = LocalStore(tmp_path / "store"), tmp_path / "public"
    with database(tmp_path) as opened:
        writer = opened.writer()
        created_repository(writer)
        publish = publishing(writer, created_publication(writer), store, public, pages=True)
        assert publish(HERE, UPSTREAM)
        spare = tmp_path / ".public.export" / "b"
        if left == "shown":  # a run that ended before it had copied the tree
            spare.with_name("b.json").unlink()
        monkeypatch.setattr(Writer, "all_entries", None)
        before = public.resolve()
        assert publish(HERE, b"other")
        assert public.resolve() == spare
        assert os.path.samefile(before / "files" / "0", spare / "files" / "0")
        assert [(tree / "files" / "1").read_bytes() for tree in (before, spare)] == [
            UPSTREAM,
            b"other",
        ]
        assert publish(HERE)
        assert [path.name for path in (public / "files").iterdir()] == ["0"]


def test_without_links_the_second_tree_is_written_as_the_first_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    store, public = LocalStore(tmp_path / "store"), tmp_path / "public"
    with database(tmp_path) as opened:
        writer = opened.writer()
        created_repository(writer)
        publish = publishing(writer, created_publication(writer), store, public, pages=True)
        for bodies in ((HERE,), (HERE, UPSTREAM)):
            assert publish(*bodies)
            assert len(list((tmp_path / ".public.export").glob("*.json"))) == len(bodies)
        assert len(list((public / "files").iterdir())) == 2
