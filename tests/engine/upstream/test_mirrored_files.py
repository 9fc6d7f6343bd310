"""`mirrors` of a remote: an apply, a client and `reconciler fetch` ask them first, and trust none.

Kind: a mirror that lies, asked for every file, or silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine.upstream.fetching_ahead import FetchReport
from reconciler.manifest import read_recorded
from reconciler.model import Kind, Ref
from tests.support.asgi import AsgiResponse, Client
from tests.support.faulty import body, corrupted, truncated
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository

ONE, TWO = b"one" * 10, b"two" * 10
LARGE = bytes(range(256)) * 24_000  # six blocks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        yield site


def declare(site: Rehearsal, policy: str = "immediate", *, mirrored: bool = True) -> None:
    mirrors = f", mirrors: ['{site.server.url('/mirror/')}']" if mirrored else ""
    site.declare(site.remote(more=f"policy: {policy}{mirrors}"), repository(), publication())


def test_an_apply_names_a_mirror_that_lies_once_and_takes_the_files_from_the_remote(
    site: Rehearsal,
) -> None:
    site.server.on("/mirror/one", corrupted(ONE))
    site.server.on("/mirror/two", corrupted(TWO))
    declare(site)
    report = site.applied()
    assert site.has(ONE)
    assert site.has(TWO)
    text = "\n".join(outcome.message for outcome in report.outcomes)
    assert text.count("mirror left out for the rest of the run") == 1, text
    assert site.server.url("/mirror/") in text
    assert site.settled()


def test_mirrors_are_no_change_of_content(site: Rehearsal) -> None:
    declare(site, mirrored=False)
    site.applied()
    before, asked = site.digest(), len(site.downloads())
    declare(site)
    assert site.content().counts.total == 0
    site.applied()
    assert (site.number(), site.digest(), len(site.downloads())) == (1, before, asked)


def test_files_come_from_the_mirror_alone(site: Rehearsal) -> None:
    site.server.on("/mirror/one", body(ONE))
    site.server.on("/mirror/two", body(TWO))
    declare(site)
    site.applied()
    assert site.downloads() == ["/mirror/one", "/mirror/two"]


@pytest.mark.parametrize("policy", ["on-demand", "streamed"])
def test_a_client_gets_the_remotes_bytes_where_the_mirror_lies(
    site: Rehearsal, policy: str
) -> None:
    site.server.on("/mirror/one", corrupted(ONE))
    site.server.on("/mirror/two", body(TWO))
    declare(site, policy)
    site.applied()
    answers = site.get("/team/a/one", "/team/a/two")
    assert [answer.body for answer in answers] == [ONE, TWO]
    assert site.downloads() == ["/mirror/one", "/one", "/two"], "left out from then on"


def test_a_mirror_that_breaks_off_is_not_asked_by_the_next_client(site: Rehearsal) -> None:
    site.says("a", site.file("large", LARGE))
    site.server.on("/mirror/large", truncated(LARGE))
    declare(site, "on-demand")
    site.applied()

    async def talk(client: Client) -> AsgiResponse:
        with pytest.raises((AssertionError, EOFError)):
            await client.get("/team/a/large")
        return await client.get("/team/a/large")

    assert site.served(talk).body == LARGE
    assert site.downloads() == ["/large", "/mirror/large"]


def test_what_is_fetched_ahead_comes_from_the_mirror_and_one_that_lies_is_named(
    site: Rehearsal,
) -> None:
    site.server.on("/mirror/one", body(ONE))
    site.server.on("/mirror/two", corrupted(TWO))
    declare(site, "on-demand")
    site.applied()

    async def run() -> FetchReport:
        async with site.engine(writes=True) as engine:
            return await engine.fetch(
                Ref(Kind.REPOSITORY, "team"),
                [],
                lambda actual: read_recorded(actual, site.registry, ()).desired,
            )

    report = asyncio.run(run())
    assert (report.fetched, report.failed, len(report.warnings)) == (2, [], 1)
    assert "/mirror/" in report.warnings[0]
