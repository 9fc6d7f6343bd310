"""What a call gives to an importer beside pages: the filters, the moment of the plan, files of
known digests and parts of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Digest
from reconciler.plugin import Group, Part, ReadConduit, SyncConduit, Unit
from tests.support.faulty import body, status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, resource, rules, source
from tests.support.scripted_plugins import LINE

DATA = b"0123456789" * 10
SHA256 = Digest.of(DATA).hex


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())
        site.says("a")
        site.server.on("/data", body(DATA))
        yield site


def read_by(site: Rehearsal, said: list[Any], url: str = "data", **how: Any) -> None:
    """`read` reads the file, or a part of it, and makes a unit of it."""

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        if "offset" in how:
            said.append(
                await conduit.get_part(
                    url,
                    sha256=how.get("sha256", SHA256),
                    offset=how["offset"],
                    length=how["length"],
                )
            )
        else:
            said.append(await conduit.get_file(url, sha256=how.get("sha256", SHA256)))
        return [Unit(LINE, "one", {})]

    site.script.on_read = read


def test_a_call_knows_the_filters_by_name_and_the_moment(site: Rehearsal) -> None:
    said: list[Any] = []

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        said.append(
            (
                [
                    (filter_.name, filter_.options.model_dump()["deny"])
                    for filter_ in conduit.filters
                ],
                conduit.now,
            )
        )
        return []

    async def sync(conduit: SyncConduit) -> None:
        said.append(([filter_.name for filter_ in conduit.filters], conduit.now))

    site.script.on_read, site.script.on_sync = read, sync
    late = resource("Filter", "zeal", "type: lines, global: true, deny: [z]")
    site.declare(
        site.remote(),
        late,
        rules("deny: [x, y]"),
        repository(),
        site.remote("low", type="records"),
    )
    site.applied()
    site.declare(
        site.remote("low", type="records"), repository("low", source("low"), type="records")
    )
    site.applied()
    assert said == [([("rules", ("x", "y")), ("zeal", ("z",))], site.now), ([], site.now)]


def test_a_file_is_read_once_whatever_becomes_of_the_plan(site: Rehearsal) -> None:
    said: list[Any] = []
    read_by(site, said)
    site.plan()
    site.plan()
    site.applied()
    assert said == [DATA] * 3
    assert site.downloads() == ["/data"]
    assert site.content(offline=True).unknown == ()


def test_a_part_is_read_once_and_offline(site: Rehearsal) -> None:
    said: list[Any] = []
    read_by(site, said, offset=-5, length=3)
    assert site.content(offline=True).unknown == ("remote:up: a",)
    site.plan()
    site.plan(offline=True)
    assert said == [Part(95, 100, b"567")] * 2
    assert site.downloads() == ["/data"]


def test_a_file_of_another_digest_is_a_failure_that_names_it(site: Rehearsal) -> None:
    read_by(site, [], sha256="0" * 64)
    assert "/data` has the sha256 " + SHA256 + " instead of 000" in site.failed()


@pytest.mark.parametrize(
    "how",
    [
        {"sha256": "abc"},
        {"sha256": SHA256.upper()},
        {"sha256": None},
        {"sha256": SHA256, "offset": 0, "length": 0},
        {"sha256": SHA256, "offset": 0, "length": 2**40},
        {"sha256": SHA256, "offset": -(2**40), "length": 1},
        {"sha256": SHA256, "offset": 2**70, "length": 1},
        {"sha256": SHA256, "offset": "0", "length": 1},
    ],
)
def test_what_a_plugin_asks_for_in_vain_is_its_fault(site: Rehearsal, how: dict[str, Any]) -> None:
    read_by(site, [], **how)
    assert "importer `lines`: " in site.failed()
    assert site.downloads() == []


def test_parts_that_made_no_sense_are_read_anew(site: Rehearsal) -> None:
    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        part = await conduit.get_part("data", sha256=SHA256, offset=0, length=5)
        assert part.body == b"01234", "this makes no sense"
        return []

    site.script.on_read = read
    site.server.on("/data", body(b"nonsense"))
    assert "this makes no sense" in site.failed()
    site.server.on("/data", body(DATA))
    site.applied()


@pytest.mark.parametrize("way", ["filters", "now", "get_file", "get_part"])
def test_a_closed_call_gives_nothing(site: Rehearsal, way: str) -> None:
    kept: list[ReadConduit] = []

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        for closed in kept:
            if way == "get_file":
                await closed.get_file("data", sha256=SHA256)
            elif way == "get_part":
                await closed.get_part("data", sha256=SHA256, offset=0, length=1)
            else:
                getattr(closed, way)
        kept.append(conduit)
        return []

    site.script.on_read = read
    site.applied()
    assert "used its `ReadConduit` after its call had returned" in site.failed()


def test_what_one_remote_is_shown_is_no_other_ones(site: Rehearsal) -> None:
    """Two remotes with one URL and other credentials: each has pages, and parts, of its own."""
    said: list[tuple[str, bytes, bytes]] = []

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        page = await conduit.get("page")
        part = await conduit.get_part("part", sha256=SHA256, offset=0, length=2)
        said.append((conduit.options.upstream, page.body, part.body))
        return []

    site.script.on_read = read
    site.says("a", name="down")
    site.declare(
        site.remote(),
        site.remote("down"),
        repository("team", source("up")),
        repository("other", source("down")),
    )
    site.server.on("/page", body(b"one"), body(b"two"), status(500))
    site.server.on("/part", body(b"11111"), body(b"22222"), status(500))
    site.plan()
    site.plan(offline=True)
    assert sorted(said[:2], key=lambda item: item[1]) == sorted(set(said), key=lambda item: item[1])
    assert sorted(said[:2]) == sorted(said[2:])
    assert {(page, part) for _, page, part in said} in (
        {(b"one", b"11"), (b"two", b"22")},
        {(b"one", b"22"), (b"two", b"11")},
    )
