"""Bytes come only through remotes that are sources of the repository that a publication shows.

Kind of fault: a look-up by digest across the whole site, which takes what another repository's
remote has, with its password, for permission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.model import Digest, Unit
from tests.support.asgi import Client
from tests.support.databases import NOW
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, source

LATER = "policy: on-demand"
VAULT = "policy: on-demand, auth: {username: robot, password: {env: VAULT_PASSWORD}}"
ONE = b"one" * 10


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    """Two remotes list the same bytes at different URLs: `up` of `team`, `vault` of `secret`."""
    monkeypatch.setenv("VAULT_PASSWORD", "opensesame")
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one", ONE))
        site.script.upstream("vault").groups["a"] = [elsewhere(site)]
        site.declare(
            site.remote(more=LATER),
            site.remote("vault", more=VAULT),
            repository(),
            repository("secret", source("vault")),
            publication(),
            publication("secret", of="secret"),
        )
        site.applied()
        site.server.on("/one", status(404))
        yield site


def elsewhere(site: Rehearsal) -> Unit:
    """The same bytes, at another URL."""
    site.file("vaulted", ONE)
    unit = site.file("one", ONE)
    [artifact] = unit.artifacts
    moved = msgspec.structs.replace(artifact, url=site.server.url("/vaulted"))
    return msgspec.structs.replace(unit, artifacts=[moved])


def test_another_repositorys_remote_is_not_asked_nor_its_password_sent(site: Rehearsal) -> None:
    [answer] = site.get("/team/a/one")
    assert answer.status == 502
    assert site.downloads() == ["/one"]
    assert not [request for request in site.server.requests if "authorization" in request.headers]
    [allowed] = site.get("/secret/a/one")
    assert (allowed.status, allowed.body) == (200, ONE)
    [request] = site.server.asked("/vaulted")
    assert "authorization" in request.headers


def test_what_is_on_its_way_for_another_publication_is_not_joined(site: Rehearsal) -> None:
    """Kind: one fetch for all who ask, under the permission of the first."""

    async def talk(client: Client) -> list[int]:
        paths = ("/secret/a/one", "/team/a/one")
        return [answer.status for answer in await asyncio.gather(*map(client.get, paths))]

    assert site.served(talk) == [200, 502]


def test_a_copy_asks_the_remotes_of_its_base(site: Rehearsal) -> None:
    site.declare(
        site.remote(more=LATER),
        site.remote("vault", more=VAULT),
        repository("secret", source("vault")),
        repository("middle", copy("secret")),
        repository("prod", copy("middle")),
        publication("prod", of="prod"),
    )
    site.applied(prune=True)
    [answer] = site.get("/prod/a/one")
    assert answer.body == ONE


def test_a_remote_that_is_no_source_any_more_is_not_asked(site: Rehearsal) -> None:
    """Taking a remote out of the sources takes the permission away, declared or not."""
    documents = [site.remote(more=LATER), site.remote("vault", more=VAULT)]
    more = "sync: {mode: additive}"
    site.declare(*documents, repository("secret", more=more), publication("secret", of="secret"))
    site.applied(prune=True)
    assert site.held("secret") == ["a/one"]
    [answer] = site.get("/secret/a/one")
    assert answer.status == 502
    assert site.server.asked("/vaulted") == []


def test_a_remote_that_alone_has_bytes_of_a_repository_is_not_pruned(site: Rehearsal) -> None:
    """Kind: another repository's remote counted as a second place to have the bytes from."""
    site.script.upstream("fresh").groups["b"] = []
    site.declare(
        site.remote("fresh", more=LATER),
        site.remote("vault", more=VAULT),
        repository("team", source("fresh"), more="sync: {mode: additive}"),
        repository("secret", source("vault")),
        repository("third", source("vault")),  # brings them in the same plan
        publication(),
    )
    text = site.text(prune=True, destroy=False)
    assert "1 file of repository `team` can be had from `up` alone" in text, text


def test_damage_is_mended_though_another_repositorys_remote_has_the_bytes(
    site: Rehearsal,
) -> None:
    """Kind: bytes taken for left upstream, which only another repository may fetch from there."""
    site.file("one", ONE)
    site.declare(
        site.remote(),
        site.remote("vault", more=VAULT),
        repository(),
        repository("secret", source("vault")),
        publication(),
    )
    site.applied(prune=True)
    digest = Digest.of(ONE)
    path = site.home.store().path(digest)
    assert path is not None
    path.unlink()
    with site.home.database(read_only=False) as opened:
        opened.writer().record_damage({digest: "missing"}, NOW)
    site.applied()
    assert site.has(ONE)
