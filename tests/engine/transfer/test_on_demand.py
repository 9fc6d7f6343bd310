"""`policy: on-demand`: a version without bytes, files that come when somebody asks for them, and
the way back and forth between the policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import ManifestFaults
from reconciler.model import Digest
from reconciler.plugin import Unit
from tests.support.asgi import AsgiResponse, Client
from tests.support.faulty import body, corrupted, status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, source

LATER = "policy: on-demand"
ONE = b"one" * 10
LARGE = bytes(range(256)) * 12_000  # three blocks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        site.declare(site.remote(more=LATER), repository(), publication())
        yield site


def test_a_version_is_made_without_any_bytes(site: Rehearsal) -> None:
    assert site.content().counts.download == 0
    site.applied()
    assert site.held() == ["a/one", "a/two"]
    assert site.downloads() == []
    assert not site.has(ONE)
    assert site.settled()


def test_a_file_is_brought_when_it_is_asked_for_and_once(site: Rehearsal) -> None:
    site.applied()
    answers = site.get("/team/a/one", "/team/a/one")
    assert [(response.status, response.body) for response in answers] == [(200, ONE)] * 2
    assert site.downloads() == ["/one"]
    assert site.has(ONE)
    site.server.on("/one", status(500))
    [again] = site.get("/team/a/one")
    assert again.body == ONE


@pytest.mark.parametrize("data", [ONE, LARGE])
@pytest.mark.parametrize("declared", [None, 1, 10**9])
def test_a_file_stays_upstream_whatever_size_is_declared(
    site: Rehearsal, data: bytes, declared: int | None
) -> None:
    """Kind: a declared number, or the lack of one, taken for the truth about bytes.

    The unit keeps what was declared; what is served is as long as it is.
    """
    unit = site.file("file", data)
    unit.artifacts[0] = msgspec.structs.replace(unit.artifacts[0], size=declared)
    site.says("a", unit)
    site.applied()
    assert (site.downloads(), site.content().counts.unsized) == ([], 0)
    answers = site.get("/team/a/file", "/team/a/file")
    assert [(answer.status, answer.body) for answer in answers] == [(200, data)] * 2
    assert answers[1].headers["content-length"] == str(len(data))
    assert site.settled()


def test_a_plan_says_how_many_files_have_no_known_size(site: Rehearsal) -> None:
    site.says("a", site.file("one", size=False), site.file("two"))
    site.declare(site.remote(), repository(), publication())
    assert "30 B to download (size unknown: 1 file)" in site.text()
    site.says("a", site.file("one", size=False))
    assert "to download, size unknown: 1 file" in site.text()
    site.applied()
    site.says("b", site.file("one", size=False))
    assert "to download" not in site.text()


def test_what_is_brought_on_demand_is_bounded(site: Rehearsal) -> None:
    site.says("a", site.file("one", size=False))
    site.declare(site.remote(more=f"{LATER}, maxSize: 29B"), repository(), publication())
    site.applied()
    [answer] = site.get("/team/a/one")
    assert (answer.status, "`maxSize`" in answer.text) == (502, True)


def test_many_who_ask_at_once_share_one_download(site: Rehearsal) -> None:
    site.says("a", site.file("large", LARGE))
    site.applied()

    async def talk(client: Client) -> list[AsgiResponse]:
        return list(await asyncio.gather(*(client.get("/team/a/large") for _ in range(64))))

    assert {response.body for response in site.served(talk)} == {LARGE}
    assert site.downloads() == ["/large"]


@pytest.mark.parametrize("data", [ONE, LARGE])
def test_wrong_bytes_are_not_given_out_whole_and_not_recorded(data: bytes, site: Rehearsal) -> None:
    site.says("a", site.file("file", data))
    site.applied()
    site.server.on("/file", corrupted(data))
    try:
        [answer] = site.get("/team/a/file")
    except (AssertionError, EOFError):
        assert data is LARGE, "what has begun can only be broken off"
    else:
        assert answer.status >= 500
        assert data not in answer.body
    assert not site.has(data)
    site.file("file", data)
    [answer] = site.get("/team/a/file")
    assert answer.body == data


def test_the_next_remote_that_has_it_is_asked(site: Rehearsal) -> None:
    both = [site.remote(more=LATER), site.remote("other", more=LATER)]
    mirrored = site.file("mirror", ONE)
    site.script.upstream("other").groups["b"] = [site.bare("x"), mirrored]
    site.declare(*both, repository("team", source("up"), source("other")), publication())
    site.applied()
    for broken in ("/one", "/mirror"):
        site.server.on("/one", body(ONE))
        site.server.on("/mirror", body(ONE))
        site.server.on(broken, corrupted(ONE))
        [answer] = site.get("/team/a/one")
        assert answer.body == ONE
        forget(site, ONE)


def forget(site: Rehearsal, data: bytes) -> None:
    """The store loses these bytes."""
    digest = Digest.of(data).hex
    for path in (site.home.root / "store").rglob("*"):
        if path.is_file() and digest in str(path).replace("/", ""):
            path.unlink()
    assert not site.has(data)


def test_a_remote_that_is_declared_no_more_is_not_asked(site: Rehearsal) -> None:
    site.applied()
    site.declare(
        site.remote("new", more=LATER), repository("team", "remote: {name: new}"), publication()
    )
    site.applied(prune=True)
    [answer] = site.get("/team/a/one")
    assert answer.body == ONE, "the new remote is known to have it as well"


def test_immediate_fetches_what_was_left_and_the_plan_says_so(site: Rehearsal) -> None:
    site.applied()
    site.get("/team/a/one")
    site.declare(site.remote(), repository(), publication())
    assert site.content().counts.download == 30
    assert "30 B to download" in site.text()
    site.applied()
    assert site.downloads() == ["/one", "/two"]
    assert site.number() == 1
    assert site.settled()


def test_what_immediate_could_not_fetch_stays_pending(site: Rehearsal) -> None:
    site.applied()
    site.declare(site.remote(), repository(), publication())
    site.server.on("/two", status(503))
    assert "`two`" in site.failed()
    assert site.has(ONE)
    assert site.held() == ["a/one", "a/two"]
    assert not site.settled(), "bytes are still to come"
    assert "30 B to download" in site.text()
    site.file("two")
    site.applied()
    assert site.has(b"two" * 10)
    assert site.settled()


def test_on_demand_keeps_the_bytes_that_are_there(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    site.declare(site.remote(more=LATER), repository(), publication())
    site.applied()
    assert site.has(ONE)
    site.server.on("/one", status(500))
    [answer] = site.get("/team/a/one")
    assert answer.body == ONE


def test_an_export_of_what_is_not_there_is_refused_by_name(site: Rehearsal, tmp_path: Path) -> None:
    export = "exports: [{directory: {path: public}}]"
    site.declare(site.remote(more=LATER), repository(), publication(more=export))
    with pytest.raises(ManifestFaults, match="an export needs every file"):
        site.plan()
    site.declare(site.remote(more=LATER), repository(), publication())
    site.applied()
    site.declare(site.remote(), repository(), publication(more=export))
    site.server.on("/two", status(503))
    said = site.failed("publication/team")
    assert "a/two" in said
    assert not (tmp_path / "public").exists()
    site.file("two")
    site.applied()
    assert (tmp_path / "public" / "a" / "one").read_bytes() == ONE


def test_another_repository_that_wants_them_now_gets_them_and_both_use_them(
    site: Rehearsal,
) -> None:
    site.applied()
    site.declare(
        site.remote(more=LATER),
        site.remote("now"),
        repository(),
        publication(),
        repository("second", "remote: {name: now}"),
        publication("b", of="second"),
    )
    site.applied()
    assert site.has(ONE)
    site.server.on("/one", status(500))
    assert [response.body for response in site.get("/team/a/one", "/b/a/one")] == [ONE, ONE]


def test_stored_bytes_are_not_fetched_again(site: Rehearsal) -> None:
    site.applied()
    site.get("/team/a/one")
    site.server.requests.clear()
    site.declare(
        site.remote(more=LATER),
        site.remote("now"),
        repository(),
        publication(),
        repository("second", "remote: {name: now}"),
    )
    site.applied()
    assert site.downloads() == ["/two"]


def test_what_a_copy_holds_is_brought_as_well(site: Rehearsal) -> None:
    site.declare(
        site.remote(more=LATER),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    site.applied()
    [answer] = site.get("/prod/a/one")
    assert answer.body == ONE
    assert site.has(ONE)


def moved(site: Rehearsal, unit: Unit, data: bytes, path: str = "/moved") -> Unit:
    """The same unit, whose bytes are elsewhere upstream from now on."""
    [artifact] = unit.artifacts
    site.server.on(f"/{unit.key}", status(404))
    site.server.on(path, body(data))
    return msgspec.structs.replace(
        unit, artifacts=[msgspec.structs.replace(artifact, url=site.server.url(path))]
    )


@pytest.mark.parametrize("type", ["lines", "records"])
def test_what_moved_upstream_is_looked_for_where_it_is_now(type: str, site: Rehearsal) -> None:
    one, two = site.file("one"), site.file("two")
    site.declare(site.remote(type=type, more=LATER), repository(type=type), publication())
    site.applied()
    site.says("a", moved(site, one, ONE), two)
    assert site.content().touched
    assert site.settled(), "that is no change of what is served"
    site.applied()
    assert site.number() == 1
    assert site.downloads() == []
    [answer] = site.get("/team/a/one")
    assert answer.body == ONE
    [other] = site.get("/team/a/two")
    assert other.body == b"two" * 10


def test_another_host_is_asked_once_the_remote_names_it(site: Rehearsal) -> None:
    site.says("a", site.file("one"), validator="1")
    site.applied()
    unit = moved(site, site.file("one"), ONE)
    [artifact] = unit.artifacts
    site.says(
        "a",
        msgspec.structs.replace(
            unit,
            artifacts=[
                msgspec.structs.replace(artifact, url=site.server.url("/moved", "localhost"))
            ],
        ),
        validator="1",
    )
    site.declare(
        site.remote(more=LATER).replace("127.0.0.1", "localhost"), repository(), publication()
    )
    site.applied()
    [answer] = site.get("/team/a/one")
    assert answer.body == ONE
    assert [request.host for request in site.server.asked("/moved")] == [
        f"localhost:{site.server.port}"
    ]


def test_only_what_moved_is_written_and_what_is_not_read_costs_nothing(site: Rehearsal) -> None:
    one, two = site.file("one"), site.file("two")
    site.says("b", site.file("three"), validator="1")
    site.applied()
    assert lines(site) == {"a": []}
    site.says("a", one, moved(site, two, b"two" * 10))
    assert lines(site) == {"a": ["two"]}
    site.applied()
    assert lines(site) == {"a": []}


def test_where_stored_bytes_came_from_is_no_longer_of_interest(site: Rehearsal) -> None:
    site.applied()
    site.get("/team/a/one")
    site.says("a", moved(site, site.file("one"), ONE), site.file("two"))
    assert lines(site) == {"a": []}


def test_what_several_share_has_one_place_however_many_are_named(site: Rehearsal) -> None:
    units = [site.file("x", ONE), site.file("y", ONE)]
    site.says("a", *units)
    site.applied()
    assert lines(site) == {"a": []}
    site.says("a", *(moved(site, unit, ONE, f"/new-{unit.key}") for unit in units))
    site.applied()
    assert lines(site) == {"a": []}
    [answer] = site.get("/team/a/x")
    assert answer.body == ONE


def test_a_copy_finds_what_moved(site: Rehearsal) -> None:
    site.declare(
        site.remote(more=LATER),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    site.applied()
    site.says("a", moved(site, site.file("one"), ONE))
    site.says("a", site.script.upstream("up").groups["a"][0], site.file("two"))
    site.applied()
    assert site.number("prod") == 1
    [answer] = site.get("/prod/a/one")
    assert answer.body == ONE


def lines(site: Rehearsal) -> dict[str, list[str]]:
    """The keys that a plan writes anew, by the groups that it has read."""
    return {
        change.head.name: [line.key for line in change.lines] for change in site.content().spool
    }
