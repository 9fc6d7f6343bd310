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
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, rules
from tests.support.scripted_plugins import LINE


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())
        site.says(
            "a", site.file("one", named=False, size=False, conditional=True), site.file("two")
        )
        yield site


def test_within_one_apply_it_is_downloaded_once(site: Rehearsal) -> None:
    site.applied()
    assert site.downloads() == ["/one", "/two"]
    [one] = [unit for unit in site.units() if unit.key == "one"]
    assert one.artifacts[0].size == 30
    assert site.has(b"one" * 10)


def test_a_plan_names_its_size_and_leaves_no_bytes(site: Rehearsal) -> None:
    assert site.content().counts.download == 60
    assert not (site.home.root / "store").exists()


def test_what_did_not_change_upstream_sends_no_bytes(site: Rehearsal) -> None:
    site.applied()
    site.server.requests.clear()
    assert site.settled()
    assert site.downloads() == ["?/one"]


def test_what_changed_upstream_is_measured_again(site: Rehearsal) -> None:
    site.applied()
    site.file("one", b"changed", named=False, conditional=True)
    site.applied()
    assert site.has(b"changed")
    assert site.number() == 2
    assert site.settled()


def test_many_who_want_one_file_download_it_once(site: Rehearsal) -> None:
    site.declare(site.remote(), *(repository(name) for name in ("team", "second", "third")))
    site.applied()
    assert site.downloads() == ["/one", "/two"]


def test_one_plan_after_another_looks_again(site: Rehearsal) -> None:
    async def twice() -> list[int]:
        async with site.engine() as engine:
            desired = read([site.manifest], site.registry)
            found = []
            for data in (b"short", b"very long"):
                site.file("one", data, named=False)
                plan = await engine.plan(desired, PlanOptions())
                found.append(
                    sum(change.content.counts.download for change in plan.changes if change.content)
                )
            return found

    assert asyncio.run(twice()) == [5 + 30, 9 + 30]


def test_what_was_measured_and_turns_out_wrong_is_measured_anew(site: Rehearsal) -> None:
    """The server goes on to say `not modified` of bytes that it has no longer."""
    site.plan()
    etag = '"' + hashlib.sha256(b"one" * 10).hexdigest()[:16] + '"'
    honest = body(b"one" * 10, conditional=True)
    lying = body(b"other", headers={"ETag": etag})

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (honest if "If-None-Match" in request.headers else lying)(request)

    site.server.on("/one", answer)
    assert "`one`" in site.failed()
    site.applied()
    assert site.has(b"other")


def test_offline_it_is_what_was_measured_last(site: Rehearsal) -> None:
    assert site.content(offline=True).unknown == ("remote:up: a",)
    site.applied()
    site.server.requests.clear()
    assert site.content(offline=True).unknown == ()
    assert site.downloads() == []


@pytest.mark.parametrize("policy", ["policy: immediate", "policy: on-demand"])
def test_a_declared_size_of_a_measured_file_is_advice(site: Rehearsal, policy: str) -> None:
    site.declare(site.remote(more=policy), repository(), publication())
    longer = b"longer than it was declared to be, by far"
    site.says("a", site.file("one", named=False))
    site.server.on("/one", body(longer))
    site.applied()
    [answer] = site.get("/team/a/one")
    assert answer.body == longer
    assert site.settled()


def test_what_is_measured_is_bounded(site: Rehearsal) -> None:
    """Kind: a stranger's body without a declared end."""
    site.says("a", site.file("one", named=False, size=False))
    site.declare(site.remote(more="maxSize: 29B"), repository())
    [failure] = site.content().failures
    assert "`maxSize`" in (failure.hint or "")
    site.declare(site.remote(more="maxSize: 30B"), repository())
    site.applied()


def test_a_rule_about_sizes_holds_once_the_size_is_known(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), rules("max: 20"))
    assert "rules.max" in site.text()
    site.applied()
    assert site.held() == []


def test_what_is_kept_out_anyway_is_not_downloaded(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), rules("deny: [one]"))
    site.applied()
    assert site.downloads() == ["/two"]


def test_one_that_cannot_be_downloaded_fails_its_group_and_removes_nothing(
    site: Rehearsal,
) -> None:
    site.says("b", site.bare("x"))
    site.applied()
    site.server.on("/one", status(404))
    site.says("b", site.bare("y"))
    assert "/one" in site.failed()
    assert site.held() == ["a/one", "a/two", "b/y"]


def test_neither_digest_nor_url_is_a_fault_of_the_plugin(site: Rehearsal) -> None:
    site.says("a", Unit(LINE, "one", {}, [Artifact("one")]))
    assert "neither a sha256 nor a URL" in site.failed()


def test_what_came_along_while_planning_is_kept_on_demand_too(site: Rehearsal) -> None:
    site.declare(site.remote(more="policy: on-demand"), repository())
    site.applied()
    assert site.has(b"one" * 10)
    assert not site.has(b"two" * 10)
    assert site.downloads() == ["/one"]


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
def two_users(site: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Two repositories ask one URL, each with a remote of its own credentials."""
    monkeypatch.setenv("T_PASSWORD", "geheimnis")
    users = [
        site.remote(name, more=f"auth: {{username: {name}, password: {{env: T_PASSWORD}}}}")
        for name in ("ada", "bob")
    ]
    mine, theirs = (
        repository("mine", "remote: {name: ada}"),
        repository("theirs", "remote: {name: bob}"),
    )
    site.declare(*users, mine, theirs)
    site.says("a", site.file("one", named=False, size=False))
    return site


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


def test_other_digests_are_verified_while_planning_and_forgotten(site: Rehearsal) -> None:
    md5, sha512 = hashlib.md5(b"one" * 10).hexdigest(), hashlib.sha512(b"one" * 10).hexdigest()
    site.says("a", digested(site.file("one"), md5=md5, sha512=sha512, crc="0f"))
    [change] = site.content().spool
    [line] = change.lines
    assert [(artifact.digests, artifact.sha256) for artifact in line.artifacts] == [
        ({}, hashlib.sha256(b"one" * 10).hexdigest())
    ]
    site.server.requests.clear()
    site.applied()
    assert site.downloads() == ["/one"], "what was measured is not downloaded again"
    assert site.has(b"one" * 10)


def test_bytes_with_another_digest_fail_their_group_alone(site: Rehearsal) -> None:
    site.says("a", digested(site.file("one"), md5="0" * 32))
    site.says("b", site.bare("two"))
    message = site.failed()
    assert "remote:up: a: `one`: " in message
    assert (
        f"/one` has the md5 {hashlib.md5(b'one' * 10).hexdigest()} instead of {'0' * 32}, which was"
        " declared for it" in message
    )
    assert site.held() == ["b/two"]


def test_digests_beside_a_sha256_are_no_part_of_a_plan(site: Rehearsal) -> None:
    unit = site.file("two")
    site.says(
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
        for change in site.content().spool
        for line in change.lines
        for artifact in line.artifacts
    ] == [{}]
    site.applied()


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
def test_digests_of_another_shape_are_the_plugins_fault(site: Rehearsal, digests: object) -> None:
    site.says(
        "a",
        msgspec.structs.replace(
            site.bare("one"),
            artifacts=[Artifact("one", "", 1, site.server.url("/one"), digests=digests)],  # type: ignore[arg-type]  # that is the point
        ),
    )
    assert "unit `one`: artifact `one` has" in site.failed()
