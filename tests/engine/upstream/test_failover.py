"""A file that one source of a repository fails to give is asked of the others that offer it.

Kind: a file that is nowhere, because one host of several that have it is down or lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.engine.upstream.relayed_files import AVOIDED, RecentFailures
from reconciler.errors import Gone, Unreachable
from reconciler.model import Digest, Remote, Unit
from tests.support.asgi import AsgiResponse, Client
from tests.support.faulty import Answer, corrupted, hang_up, status, truncated
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, source
from tests.support.remotes import remote

LATER = "policy: on-demand"
ONE = b"one" * 10
LARGE = bytes(range(256)) * 24_000  # six blocks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """`up` and `other` list the same file of the same group; `up` comes first and owns the name."""
    with rehearsal(tmp_path) as site:
        offer(site, ONE)
        yield site


def offer(site: Rehearsal, data: bytes) -> None:
    site.says("a", site.file("file", data))
    site.script.upstream("other").groups["a"] = [elsewhere(site, data)]
    site.declare(
        site.remote(more=LATER),
        site.remote("other", more=LATER),
        repository("team", source("up"), source("other")),
        publication(),
    )
    site.applied()


def elsewhere(site: Rehearsal, data: bytes) -> Unit:
    """The same file at another URL."""
    site.file("mirror", data)
    unit = site.file("file", data)
    [artifact] = unit.artifacts
    moved = msgspec.structs.replace(artifact, url=site.server.url("/mirror"))
    return msgspec.structs.replace(unit, artifacts=[moved])


@pytest.mark.parametrize(
    "failing", [status(404), status(403), status(500), corrupted(ONE), hang_up(), truncated(ONE)]
)
def test_another_source_is_asked_though_no_version_took_it_from_there(
    site: Rehearsal, failing: Answer
) -> None:
    site.server.on("/file", failing)
    [answer] = site.get("/team/a/file")
    assert (answer.status, answer.body) == (200, ONE)
    assert site.has(ONE)


def test_a_source_that_offers_other_bytes_is_not_asked(site: Rehearsal) -> None:
    site.script.upstream("other").groups["a"] = [elsewhere(site, b"other")]
    site.server.on("/file", status(404))
    [answer] = site.get("/team/a/file")
    assert answer.status == 502
    assert site.server.asked("/mirror") == []


def test_a_source_of_another_repository_is_not_asked(site: Rehearsal) -> None:
    site.declare(
        site.remote(more=LATER),
        site.remote("other", more=LATER),
        repository("team", source("up")),
        repository("second", source("other")),
        publication(),
    )
    site.applied()
    site.server.on("/file", status(404))
    [answer] = site.get("/team/a/file")
    assert answer.status == 502
    assert site.server.asked("/mirror") == []


@pytest.mark.parametrize("failing", [truncated(LARGE), corrupted(LARGE)])
def test_what_has_begun_is_broken_off_and_the_next_client_gets_another_source(
    site: Rehearsal, failing: Answer
) -> None:
    """Kind: two sources joined in one response, and the same failing one asked for ever."""
    offer(site, LARGE)
    site.server.on("/file", failing)

    async def talk(client: Client) -> AsgiResponse:
        with pytest.raises((AssertionError, EOFError)):  # the connection breaks
            await client.get("/team/a/file")
        assert site.server.asked("/mirror") == []
        return await client.get("/team/a/file")

    answer: AsgiResponse = site.served(talk)
    assert answer.body == LARGE
    assert len(site.server.asked("/file")) == 1
    assert site.has(LARGE)


def test_a_failure_is_forgotten_after_a_while() -> None:
    now = 0.0
    failures = RecentFailures(lambda: now)
    lost, kept = Digest.of(b"1"), Digest.of(b"2")
    up: Remote = remote()
    failures.add(up, lost, Gone("it has it no more"))
    assert [failures.is_recent(up, each) for each in (lost, kept)] == [True, False]
    failures.add(up, lost, Unreachable("down"))
    assert failures.is_recent(up, kept), "whatever it has"
    now += AVOIDED
    assert not failures.is_recent(up, lost)
