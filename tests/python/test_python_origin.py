"""An index is one origin: another host's answer never takes the place of what the index had.

Kind of fault: whatever decides where an answer came from: list, pages, files without a digest,
provenance, parts, and the caches of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty import FaultyServer, body, redirect, running
from tests.support.mirror import Mirror, remote, repository
from tests.support.wheels import build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
STRANGER = "99.0"


class Hosts:
    """The own index on 127.0.0.1, and a stranger's on `localhost` with another release."""

    def __init__(self, own: FaultyServer, stranger: FaultyServer) -> None:
        self.own = own
        self.stranger = stranger
        self.elsewhere = stranger.url("", "localhost")
        self.list(own, "acme")
        self.list(stranger, "acme", "evil")
        self.page(own, "1.0")
        self.page(stranger, STRANGER)

    def list(self, server: FaultyServer, *names: str) -> None:
        projects = [{"name": name} for name in names]
        document = {"meta": {"api-version": "1.0"}, "projects": projects}
        server.on("/simple/", body(json.dumps(document).encode(), content_type=JSON))

    def page(
        self,
        server: FaultyServer,
        version: str,
        *,
        at: str = "../../files",
        hashed: bool = True,
        more: str = "",
    ) -> None:
        built = build_wheel("acme", version)
        entry = {
            "filename": built.filename,
            "url": f"{at}/{built.filename}",
            "hashes": {"sha256": built.sha256} if hashed else {},
            **({"provenance": more} if more else {}),
        }
        document = {"meta": {"api-version": "1.4"}, "name": "acme", "files": [entry]}
        server.on("/simple/acme/", body(json.dumps(document).encode(), content_type=JSON))
        server.on(f"/files/{built.filename}", body(built.content))

    def moved(self, path: str) -> None:
        """Send every request for a path of the index on to the stranger."""
        self.own.on(path, redirect(f"{self.elsewhere}{path}"))


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with running(lambda _: None) as own, running(lambda _: None) as stranger:
        yield Hosts(own, stranger)


def declare(site: Mirror, hosts: Hosts, keys: str = "include: [acme]", more: str = "") -> Mirror:
    site.declare(
        remote(hosts.own.url("/simple/"), more=f"retries: 0\n{more}"),
        repository(sources=[f"name: up, {keys}"]),
    )
    return site


def list_moves(hosts: Hosts) -> None:
    hosts.moved("/simple/")


def page_moves(hosts: Hosts) -> None:
    hosts.moved("/simple/acme/")


def file_without_digest_moves(hosts: Hosts) -> None:
    hosts.page(hosts.own, STRANGER, hashed=False)
    hosts.moved(f"/files/{build_wheel('acme', STRANGER).filename}")


def file_without_digest_is_elsewhere(hosts: Hosts) -> None:
    hosts.page(hosts.own, STRANGER, hashed=False, at=f"{hosts.elsewhere}/files")


def provenance_moves(hosts: Hosts) -> None:
    hosts.page(hosts.own, STRANGER, more="/provenance")
    hosts.moved("/provenance")


def provenance_is_elsewhere(hosts: Hosts) -> None:
    hosts.page(hosts.own, STRANGER, more=f"{hosts.elsewhere}/provenance")


@pytest.mark.parametrize(
    ("become_foreign", "keys"),
    [
        (list_moves, 'include: ["ac*", "ev*"]'),
        (page_moves, "include: [acme]"),
        (file_without_digest_moves, "include: [acme], hashes: optional"),
        (file_without_digest_is_elsewhere, "include: [acme], hashes: optional"),
        (provenance_moves, "include: [acme], filter: {attestations: required}"),
        (provenance_is_elsewhere, "include: [acme], filter: {attestations: required}"),
    ],
)
def test_a_strangers_answer_is_an_error_and_the_content_stays(
    become_foreign: Callable[[Hosts], None], keys: str, hosts: Hosts, tmp_path: Path
) -> None:
    site = declare(Mirror(tmp_path), hosts)
    site.applied()
    held = site.filenames()
    assert len(held) == 1
    hosts.stranger.on("/provenance", body(b"{}", content_type="application/json"))
    become_foreign(hosts)
    done = declare(site, hosts, keys).apply()
    assert done.code == 1, done.out
    assert site.filenames() == held
    for word in ("127.0.0.1", "localhost", "redirects: ["):
        assert word in done.out + done.err, done.out + done.err
    assert hosts.stranger.requests == []


def test_a_file_with_a_declared_digest_may_lie_anywhere(hosts: Hosts, tmp_path: Path) -> None:
    hosts.page(hosts.own, "1.0", at=f"{hosts.elsewhere}/files")
    built = build_wheel("acme", "1.0")
    hosts.stranger.on(f"/files/{built.filename}", redirect(hosts.own.url("/moved", "localhost")))
    hosts.own.on("/moved", body(built.content))
    site = declare(Mirror(tmp_path), hosts)
    site.applied()
    assert site.filenames() == [built.filename]


def test_what_another_host_said_leaves_no_trace_in_the_caches(hosts: Hosts, tmp_path: Path) -> None:
    """Kind: a cache that does not know under which rule an answer came in."""
    hosts.moved("/simple/acme/")
    site = declare(Mirror(tmp_path), hosts, more="redirects: any")
    assert f"acme {STRANGER}" in site.plan().out
    assert f"acme {STRANGER}" in site.plan("--offline").out
    declare(site, hosts)
    assert f"acme {STRANGER}" not in site.plan("--offline").out
    hosts.page(hosts.own, "1.0")
    assert "acme 1.0" in site.plan().out


def test_taking_the_permission_away_reads_everything_again(hosts: Hosts, tmp_path: Path) -> None:
    """Kind: validators that were committed under another rule."""
    site = declare(Mirror(tmp_path), hosts, more="redirects: any")
    site.applied()
    assert not site.pending()
    hosts.own.requests.clear()
    declare(site, hosts)
    site.plan()
    [request] = hosts.own.asked("/simple/acme/")
    assert "if-none-match" not in request.headers
