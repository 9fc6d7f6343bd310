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
from tests.support.asgi import Answer, Client
from tests.support.faulty import body, corrupted, status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, source

LATER = "policy: on-demand"
ONE = b"one" * 10
LARGE = bytes(range(256)) * 12_000  # three blocks


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.says("a", found.file("one"), found.file("two"))
        found.declare(found.remote(more=LATER), repository(), publication())
        yield found


def test_a_version_is_made_without_any_bytes(stage: Rehearsal) -> None:
    assert stage.content().counts.download == 0
    stage.applied()
    assert stage.held() == ["a/one", "a/two"]
    assert stage.downloads() == []
    assert not stage.has(ONE)
    assert stage.settled()


def test_a_file_is_brought_when_it_is_asked_for_and_once(stage: Rehearsal) -> None:
    stage.applied()
    answers = stage.get("/team/a/one", "/team/a/one")
    assert [(response.status, response.body) for response in answers] == [(200, ONE)] * 2
    assert stage.downloads() == ["/one"]
    assert stage.has(ONE)
    stage.server.on("/one", status(500))
    [again] = stage.get("/team/a/one")
    assert again.body == ONE


def test_many_who_ask_at_once_share_one_download(stage: Rehearsal) -> None:
    stage.says("a", stage.file("large", LARGE))
    stage.applied()

    async def talk(client: Client) -> list[Answer]:
        return list(await asyncio.gather(*(client.get("/team/a/large") for _ in range(8))))

    assert {one.body for one in stage.served(talk)} == {LARGE}
    assert stage.downloads() == ["/large"]


@pytest.mark.parametrize("data", [ONE, LARGE])
def test_wrong_bytes_are_not_given_out_whole_and_not_recorded(
    data: bytes, stage: Rehearsal
) -> None:
    stage.says("a", stage.file("file", data))
    stage.applied()
    stage.server.on("/file", corrupted(data))
    try:
        [answer] = stage.get("/team/a/file")
    except (AssertionError, EOFError):
        assert data is LARGE, "what has begun can only be broken off"
    else:
        assert answer.status >= 500
        assert data not in answer.body
    assert not stage.has(data)
    stage.file("file", data)
    [answer] = stage.get("/team/a/file")
    assert answer.body == data


def test_the_next_remote_that_has_it_is_asked(stage: Rehearsal) -> None:
    both = [stage.remote(more=LATER), stage.remote("other", more=LATER)]
    mirrored = stage.file("mirror", ONE)
    stage.script.upstream("other").groups["b"] = [stage.bare("x"), mirrored]
    stage.declare(*both, repository("team", source("up"), source("other")), publication())
    stage.applied()
    for broken in ("/one", "/mirror"):
        stage.server.on("/one", body(ONE))
        stage.server.on("/mirror", body(ONE))
        stage.server.on(broken, corrupted(ONE))
        [answer] = stage.get("/team/a/one")
        assert answer.body == ONE
        forget(stage, ONE)


def forget(stage: Rehearsal, data: bytes) -> None:
    """The store loses these bytes."""
    digest = Digest.of(data).hex
    for path in (stage.home.root / "store").rglob("*"):
        if path.is_file() and digest in str(path).replace("/", ""):
            path.unlink()
    assert not stage.has(data)


def test_a_remote_that_is_declared_no_more_is_not_asked(stage: Rehearsal) -> None:
    stage.applied()
    stage.declare(
        stage.remote("new", more=LATER), repository("team", "remote: {name: new}"), publication()
    )
    stage.applied(prune=True)
    [answer] = stage.get("/team/a/one")
    assert answer.body == ONE, "the new remote is known to have it as well"


def test_immediate_fetches_what_was_left_and_the_plan_says_so(stage: Rehearsal) -> None:
    stage.applied()
    stage.get("/team/a/one")
    stage.declare(stage.remote(), repository(), publication())
    assert stage.content().counts.download == 30
    assert "30 B to download" in stage.text()
    stage.applied()
    assert stage.downloads() == ["/one", "/two"]
    assert stage.number() == 1
    assert stage.settled()


def test_what_immediate_could_not_fetch_stays_pending(stage: Rehearsal) -> None:
    stage.applied()
    stage.declare(stage.remote(), repository(), publication())
    stage.server.on("/two", status(503))
    assert "`two`" in stage.failed()
    assert stage.has(ONE)
    assert stage.held() == ["a/one", "a/two"]
    assert not stage.settled(), "bytes are still to come"
    assert "30 B to download" in stage.text()
    stage.file("two")
    stage.applied()
    assert stage.has(b"two" * 10)
    assert stage.settled()


def test_on_demand_keeps_the_bytes_that_are_there(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(), publication())
    stage.applied()
    stage.declare(stage.remote(more=LATER), repository(), publication())
    stage.applied()
    assert stage.has(ONE)
    stage.server.on("/one", status(500))
    [answer] = stage.get("/team/a/one")
    assert answer.body == ONE


def test_an_export_of_what_is_not_there_is_refused_by_name(
    stage: Rehearsal, tmp_path: Path
) -> None:
    export = "exports: [{directory: {path: public}}]"
    stage.declare(stage.remote(more=LATER), repository(), publication(more=export))
    with pytest.raises(ManifestFaults, match="an export needs every file"):
        stage.plan()
    stage.declare(stage.remote(more=LATER), repository(), publication())
    stage.applied()
    stage.declare(stage.remote(), repository(), publication(more=export))
    stage.server.on("/two", status(503))
    said = stage.failed("publication/team")
    assert "a/two" in said
    assert not (tmp_path / "public").exists()
    stage.file("two")
    stage.applied()
    assert (tmp_path / "public" / "a" / "one").read_bytes() == ONE


def test_a_file_whose_size_nobody_declares_comes_at_once(stage: Rehearsal) -> None:
    stage.says("a", stage.file("one"), stage.file("vague", size=False))
    stage.applied()
    assert stage.downloads() == ["/vague"]
    [answer] = stage.get("/team/a/vague")
    assert answer.body == b"vague" * 10


def test_another_repository_that_wants_them_now_gets_them_and_both_use_them(
    stage: Rehearsal,
) -> None:
    stage.applied()
    stage.declare(
        stage.remote(more=LATER),
        stage.remote("now"),
        repository(),
        publication(),
        repository("second", "remote: {name: now}"),
        publication("b", of="second"),
    )
    stage.applied()
    assert stage.has(ONE)
    stage.server.on("/one", status(500))
    assert [one.body for one in stage.get("/team/a/one", "/b/a/one")] == [ONE, ONE]


def test_stored_bytes_are_not_fetched_again(stage: Rehearsal) -> None:
    stage.applied()
    stage.get("/team/a/one")
    stage.server.requests.clear()
    stage.declare(
        stage.remote(more=LATER),
        stage.remote("now"),
        repository(),
        publication(),
        repository("second", "remote: {name: now}"),
    )
    stage.applied()
    assert stage.downloads() == ["/two"]


def test_what_a_copy_holds_is_brought_as_well(stage: Rehearsal) -> None:
    stage.declare(
        stage.remote(more=LATER),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    stage.applied()
    [answer] = stage.get("/prod/a/one")
    assert answer.body == ONE
    assert stage.has(ONE)


def moved(stage: Rehearsal, unit: Unit, data: bytes, path: str = "/moved") -> Unit:
    """The same unit, whose bytes are elsewhere upstream from now on."""
    [artifact] = unit.artifacts
    stage.server.on(f"/{unit.key}", status(404))
    stage.server.on(path, body(data))
    return msgspec.structs.replace(
        unit, artifacts=[msgspec.structs.replace(artifact, url=stage.server.url(path))]
    )


@pytest.mark.parametrize("type", ["lines", "records"])
def test_what_moved_upstream_is_looked_for_where_it_is_now(type: str, stage: Rehearsal) -> None:
    one, two = stage.file("one"), stage.file("two")
    stage.declare(stage.remote(type=type, more=LATER), repository(type=type), publication())
    stage.applied()
    stage.says("a", moved(stage, one, ONE), two)
    assert stage.content().touched
    assert stage.settled(), "that is no change of what is served"
    stage.applied()
    assert stage.number() == 1
    assert stage.downloads() == []
    [answer] = stage.get("/team/a/one")
    assert answer.body == ONE
    [other] = stage.get("/team/a/two")
    assert other.body == b"two" * 10


def test_another_host_is_asked_once_the_remote_names_it(stage: Rehearsal) -> None:
    stage.says("a", stage.file("one"), validator="1")
    stage.applied()
    unit = moved(stage, stage.file("one"), ONE)
    [artifact] = unit.artifacts
    stage.says(
        "a",
        msgspec.structs.replace(
            unit,
            artifacts=[
                msgspec.structs.replace(artifact, url=stage.server.url("/moved", "localhost"))
            ],
        ),
        validator="1",
    )
    stage.declare(
        stage.remote(more=LATER).replace("127.0.0.1", "localhost"), repository(), publication()
    )
    stage.applied()
    [answer] = stage.get("/team/a/one")
    assert answer.body == ONE
    assert [request.host for request in stage.server.asked("/moved")] == [
        f"localhost:{stage.server.port}"
    ]


def test_only_what_moved_is_written_and_what_is_not_read_costs_nothing(stage: Rehearsal) -> None:
    one, two = stage.file("one"), stage.file("two")
    stage.says("b", stage.file("three"), validator="1")
    stage.applied()
    assert lines(stage) == {"a": []}
    stage.says("a", one, moved(stage, two, b"two" * 10))
    assert lines(stage) == {"a": ["two"]}
    stage.applied()
    assert lines(stage) == {"a": []}


def test_where_stored_bytes_came_from_is_no_longer_of_interest(stage: Rehearsal) -> None:
    stage.applied()
    stage.get("/team/a/one")
    stage.says("a", moved(stage, stage.file("one"), ONE), stage.file("two"))
    assert lines(stage) == {"a": []}


def test_what_several_share_has_one_place_however_many_are_named(stage: Rehearsal) -> None:
    units = [stage.file("x", ONE), stage.file("y", ONE)]
    stage.says("a", *units)
    stage.applied()
    assert lines(stage) == {"a": []}
    stage.says("a", *(moved(stage, unit, ONE, f"/new-{unit.key}") for unit in units))
    stage.applied()
    assert lines(stage) == {"a": []}
    [answer] = stage.get("/team/a/x")
    assert answer.body == ONE


def test_a_copy_finds_what_moved(stage: Rehearsal) -> None:
    stage.declare(
        stage.remote(more=LATER),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    stage.applied()
    stage.says("a", moved(stage, stage.file("one"), ONE))
    stage.says("a", stage.script.upstream("up").groups["a"][0], stage.file("two"))
    stage.applied()
    assert stage.number("prod") == 1
    [answer] = stage.get("/prod/a/one")
    assert answer.body == ONE


def lines(stage: Rehearsal) -> dict[str, list[str]]:
    """The keys that a plan writes anew, by the groups that it has read."""
    return {
        change.head.name: [line.key for line in change.lines] for change in stage.content().spool
    }
