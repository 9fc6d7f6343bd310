"""An index whose pages name signed URLs leaves no signature in the home, and its files come in.

Kind of fault: secrets in URLs: rows, page cache, measurements, whatever a run leaves behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import FaultyServer, body, running, status
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.wheels import build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
WHEEL = build_wheel("acme", "1.0")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running(lambda _: None) as started:
        yield started


def page(server: FaultyServer, token: str, form: str, *, hashed: bool = True) -> None:
    """Name the wheel under a URL that answers with this token only; the entity tag stays."""
    url, digest = f"/files/{WHEEL.filename}", WHEEL.sha256 if hashed else ""
    server.on(url, status(403))
    server.on(f"{url}?a=1&token={token}", body(WHEEL.content, headers={"ETag": '"w"'}))
    if form == "json":
        entry = {"filename": WHEEL.filename, "url": f"{url}?a=1&token={token}"}
        hashes = {"hashes": {"sha256": digest} if digest else {}}
        document = {"meta": {"api-version": "1.4"}, "name": "acme", "files": [entry | hashes]}
        data = json.dumps(document).encode()
    else:
        fragment = f"#sha256={digest}" if digest else ""
        href = f"../..{url}?a=1&amp;token={token}{fragment}"
        data = f'<!DOCTYPE html><a href="{href}">{WHEEL.filename}</a>'.encode()
    media = JSON if form == "json" else "text/html"
    server.on("/simple/acme/", body(data, content_type=media, headers={"ETag": '"same"'}))


def declare(folder: Path, server: FaultyServer, *, policy: str, keys: str = "") -> Mirror:
    return Mirror(
        folder,
        remote(server.url("/simple/"), more=f"retries: 0\npolicy: {policy}"),
        repository(sources=[f"name: up, include: [acme]{keys}"]),
        publication(),
    )


def leaks(site: Mirror, *tokens: str) -> list[str]:
    """Files of the home in which a token stands."""
    files = [path for path in site.home.root.rglob("*") if path.is_file()]
    assert any(path.name == "state.db" for path in files)
    return [
        f"{token} in {path.name}"
        for path in files
        for token in tokens
        if token.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("policy", ["immediate", "on-demand"])
def test_no_signature_stays_in_the_home(
    form: str, policy: str, server: FaultyServer, tmp_path: Path
) -> None:
    page(server, "swordfish", form)
    site = declare(tmp_path, server, policy=policy)
    site.applied()
    assert site.filenames() == [WHEEL.filename]
    page(server, "marlin", form)
    assert not site.pending(), "another signature is no change"
    site.applied()
    assert leaks(site, "swordfish", "marlin") == []


def test_a_file_is_fetched_though_its_page_is_unchanged(
    server: FaultyServer, tmp_path: Path
) -> None:
    """The policy changes, the page does not: its cached copy names no URL that answers."""
    page(server, "swordfish", "json")
    declare(tmp_path, server, policy="on-demand").applied()
    site = declare(tmp_path, server, policy="immediate")
    site.applied()
    assert leaks(site, "swordfish") == []


def test_a_measured_file_leaves_no_signature_either(server: FaultyServer, tmp_path: Path) -> None:
    page(server, "swordfish", "json", hashed=False)
    site = declare(tmp_path, server, policy="immediate", keys=", hashes: optional")
    site.applied()
    assert site.filenames() == [WHEEL.filename]
    assert leaks(site, "swordfish") == []


def test_caches_of_earlier_releases_are_deleted(server: FaultyServer, tmp_path: Path) -> None:
    page(server, "swordfish", "json")
    site = declare(tmp_path, server, policy="immediate")
    for name in ("pages", "measures", "files/parts"):
        old = site.home.root / "cache" / name / "ab" / "cd"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"https://a.example/f?token=marlin")
    site.applied()
    assert leaks(site, "marlin") == []
