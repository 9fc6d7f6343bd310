"""Files without a declared digest: downloaded once, while planning, and asked for conditionally
from then on.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from reconciler.engine import PlanOptions
from reconciler.manifest import read
from reconciler.plugin import Artifact, Unit
from tests.support.faulty import body, status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules
from tests.support.scripted_plugins import LINE


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.declare(found.remote(), repository())
        found.says(
            "a", found.file("one", named=False, size=False, conditional=True), found.file("two")
        )
        yield found


def test_within_one_apply_it_is_downloaded_once(stage: Rehearsal) -> None:
    stage.applied()
    assert stage.downloads() == ["/one", "/two"]
    [one] = [unit for unit in stage.units() if unit.key == "one"]
    assert one.artifacts[0].size == 30
    assert stage.has(b"one" * 10)


def test_a_plan_names_its_size_and_leaves_no_bytes(stage: Rehearsal) -> None:
    assert stage.content().counts.download == 60
    assert not (stage.home.root / "store").exists()


def test_what_did_not_change_upstream_sends_no_bytes(stage: Rehearsal) -> None:
    stage.applied()
    stage.server.requests.clear()
    assert stage.settled()
    assert stage.downloads() == ["?/one"]


def test_what_changed_upstream_is_measured_again(stage: Rehearsal) -> None:
    stage.applied()
    stage.file("one", b"changed", named=False, conditional=True)
    stage.applied()
    assert stage.has(b"changed")
    assert stage.number() == 2
    assert stage.settled()


def test_many_who_want_one_file_download_it_once(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), *(repository(name) for name in ("team", "second", "third")))
    stage.applied()
    assert stage.downloads() == ["/one", "/two"]


def test_one_plan_after_another_looks_again(stage: Rehearsal) -> None:
    async def twice() -> list[int]:
        async with stage.engine() as engine:
            desired = read([stage.manifest], stage.registry)
            found = []
            for data in (b"short", b"very long"):
                stage.file("one", data, named=False)
                plan = await engine.plan(desired, PlanOptions())
                found.append(
                    sum(change.content.counts.download for change in plan.changes if change.content)
                )
            return found

    assert asyncio.run(twice()) == [5 + 30, 9 + 30]


def test_what_was_measured_and_turns_out_wrong_is_measured_anew(stage: Rehearsal) -> None:
    """The server goes on to say `not modified` of bytes that it has no longer."""
    stage.plan()
    etag = '"' + hashlib.sha256(b"one" * 10).hexdigest()[:16] + '"'
    honest = body(b"one" * 10, conditional=True)
    lying = body(b"other", headers={"ETag": etag})

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (honest if "If-None-Match" in request.headers else lying)(request)

    stage.server.on("/one", answer)
    assert "`one`" in stage.failed()
    stage.applied()
    assert stage.has(b"other")


def test_offline_it_is_what_was_measured_last(stage: Rehearsal) -> None:
    assert stage.content(offline=True).unknown == ("remote:up: a",)
    stage.applied()
    stage.server.requests.clear()
    assert stage.content(offline=True).unknown == ()
    assert stage.downloads() == []


def test_a_size_that_was_declared_must_be_right(stage: Rehearsal) -> None:
    stage.says("a", stage.file("one", named=False))
    stage.server.on("/one", body(b"longer than it was declared to be, by far"))
    assert "instead of the 30 that were declared" in stage.failed()


def test_a_rule_about_sizes_holds_once_the_size_is_known(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(), rules("max: 20"))
    assert "rules.max" in stage.text()
    stage.applied()
    assert stage.held() == []


def test_what_is_kept_out_anyway_is_not_downloaded(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(), rules("deny: [one]"))
    stage.applied()
    assert stage.downloads() == ["/two"]


def test_one_that_cannot_be_downloaded_fails_its_group_and_removes_nothing(
    stage: Rehearsal,
) -> None:
    stage.says("b", stage.bare("x"))
    stage.applied()
    stage.server.on("/one", status(404))
    stage.says("b", stage.bare("y"))
    assert "/one" in stage.failed()
    assert stage.held() == ["a/one", "a/two", "b/y"]


def test_neither_digest_nor_url_is_a_fault_of_the_plugin(stage: Rehearsal) -> None:
    stage.says("a", Unit(LINE, "one", {}, [Artifact("one")]))
    assert "neither a sha256 nor a URL" in stage.failed()


def test_what_came_along_while_planning_is_kept_on_demand_too(stage: Rehearsal) -> None:
    stage.declare(stage.remote(more="policy: on-demand"), repository())
    stage.applied()
    assert stage.has(b"one" * 10)
    assert not stage.has(b"two" * 10)
    assert stage.downloads() == ["/one"]


def answering(known: str, data: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Bytes for the user `known`, and for nobody else."""
    allowed, refused = body(data, conditional=True), status(401)

    async def answer(request: web.Request) -> web.StreamResponse:
        user = (
            b64decode(request.headers.get("Authorization", "").removeprefix("Basic "))
            .decode()
            .partition(":")[0]
        )
        return await (allowed if user == known else refused)(request)

    return answer


@pytest.fixture
def two_users(stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Two repositories ask one URL, each with a remote of its own credentials."""
    monkeypatch.setenv("T_PASSWORD", "geheimnis")
    users = [
        stage.remote(name, more=f"auth: {{username: {name}, password: {{env: T_PASSWORD}}}}")
        for name in ("ada", "bob")
    ]
    mine, theirs = (
        repository("mine", "remote: {name: ada}"),
        repository("theirs", "remote: {name: bob}"),
    )
    stage.declare(*users, mine, theirs)
    stage.says("a", stage.file("one", named=False, size=False))
    return stage


@pytest.mark.parametrize("allowed", ["ada", "bob"])
def test_what_one_remote_is_refused_another_may_have(allowed: str, two_users: Rehearsal) -> None:
    two_users.server.on("/one", answering(allowed, b"for one"))
    outcomes = {
        outcome.ref: outcome.result
        for outcome in two_users.apply().outcomes
        if outcome.ref.startswith("repository/")
    }
    fortunate, other = ("mine", "theirs") if allowed == "ada" else ("theirs", "mine")
    assert outcomes == {f"repository/{fortunate}": "done", f"repository/{other}": "failed"}
    assert two_users.held(fortunate) == ["a/one"]
    assert two_users.held(other) == []


def test_each_remote_remembers_what_it_was_shown(two_users: Rehearsal) -> None:
    """Both bodies have the same entity tag: what one user has seen must not be confirmed to the
    other.
    """
    answers = {
        name: body(data, headers={"ETag": '"same"'})
        for name, data in (("ada", b"for ada"), ("bob", b"for bob"))
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers:
            return web.Response(status=304)
        user = (
            b64decode(request.headers["Authorization"].removeprefix("Basic "))
            .decode()
            .partition(":")[0]
        )
        return await answers[user](request)

    two_users.server.on("/one", answer)
    two_users.applied()
    assert two_users.has(b"for ada")
    assert two_users.has(b"for bob")
    assert [two_users.content(name, offline=True).counts.total for name in ("mine", "theirs")] == [
        0,
        0,
    ]
    assert two_users.settled()


def digested(unit: Unit, **digests: str) -> Unit:
    """A unit whose artifact has these digests and no sha256."""
    return msgspec.structs.replace(
        unit,
        artifacts=[
            msgspec.structs.replace(artifact, sha256="", digests=digests)
            for artifact in unit.artifacts
        ],
    )


def test_other_digests_are_verified_while_planning_and_forgotten(stage: Rehearsal) -> None:
    md5, sha512 = hashlib.md5(b"one" * 10).hexdigest(), hashlib.sha512(b"one" * 10).hexdigest()
    stage.says("a", digested(stage.file("one"), md5=md5, sha512=sha512, crc="0f"))
    [change] = stage.content().spool
    [line] = change.lines
    assert [(artifact.digests, artifact.sha256) for artifact in line.artifacts] == [
        ({}, hashlib.sha256(b"one" * 10).hexdigest())
    ]
    stage.server.requests.clear()
    stage.applied()
    assert stage.downloads() == ["/one"], "what was measured is not downloaded again"
    assert stage.has(b"one" * 10)


def test_bytes_with_another_digest_fail_their_group_alone(stage: Rehearsal) -> None:
    stage.says("a", digested(stage.file("one"), md5="0" * 32))
    stage.says("b", stage.bare("two"))
    message = stage.failed()
    assert "remote:up: a: `one`: " in message
    assert (
        f"/one` has the md5 {hashlib.md5(b'one' * 10).hexdigest()} instead of {'0' * 32}, which was"
        " declared for it" in message
    )
    assert stage.held() == ["b/two"]


def test_digests_beside_a_sha256_are_no_part_of_a_plan(stage: Rehearsal) -> None:
    unit = stage.file("two")
    stage.says(
        "a",
        msgspec.structs.replace(
            unit,
            artifacts=[
                msgspec.structs.replace(artifact, digests={"md5": "0" * 32})
                for artifact in unit.artifacts
            ],
        ),
    )
    assert [
        artifact.digests
        for change in stage.content().spool
        for line in change.lines
        for artifact in line.artifacts
    ] == [{}]
    stage.applied()


@pytest.mark.parametrize(
    "digests",
    [
        {"md5": "XYZ"},
        {"md5": None},
        {5: "00"},
        [("md5", "00")],
        {"md5": ""},
        {str(n): "00" for n in range(99)},
    ],
)
def test_digests_of_another_shape_are_the_plugins_fault(stage: Rehearsal, digests: object) -> None:
    stage.says(
        "a",
        msgspec.structs.replace(
            stage.bare("one"),
            artifacts=[Artifact("one", "", 1, stage.server.url("/one"), digests=digests)],  # type: ignore[arg-type]  # that is the point
        ),
    )
    assert "unit `one`: artifact `one` has" in stage.failed()
