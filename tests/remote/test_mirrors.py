"""Mirrors: which URL they are asked for, what they get to see, and when they are left out.

Kind: a host that is trusted because it is named, and a secret sent to a host that it is not for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import DigestMismatch, Gone, ReconcilerError, Refused, Unreachable
from reconciler.model import Auth, Digest, Remote, Secret
from reconciler.remote import Mirrors, open_fetcher
from reconciler.remote.mirrors import MISSES
from reconciler.retrying import RetryPolicy
from reconciler.store import LocalStore
from tests.support.faulty import (
    Answer,
    FaultyServer,
    body,
    closed_port,
    corrupted,
    huge,
    redirect,
    status,
)
from tests.support.remotes import remote

DATA = b"wheel" * 10
MIRROR = "https://mirror.example.org/pypi"


def mirrored(url: str, *, base: str = "https://index.example.org/simple/") -> str | None:
    mirrors = Mirrors(replace(remote(), mirrors=(MIRROR,)), base)
    return next((place for _, place in mirrors.places(url)), None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://files.example.org/packages/a/b.whl", f"{MIRROR}/packages/a/b.whl"),
        ("https://index.example.org/packages/a/b.whl", f"{MIRROR}/packages/a/b.whl"),
        ("https://index.example.org/simple/a/b.whl", f"{MIRROR}/a/b.whl"),
        ("https://files.example.org/a%20b.whl?token=secret#x", f"{MIRROR}/a%20b.whl"),
        ("https://files.example.org//evil.example.org/b.whl", f"{MIRROR}/evil.example.org/b.whl"),
        ("https://files.example.org/a/../../b.whl", None),
        ("https://files.example.org/a/%2e%2e/%2E%2E/b.whl", None),
        ("https://files.example.org/", None),
        ("file:///etc/passwd", None),
    ],
)
def test_a_file_lies_at_its_own_path(url: str, expected: str | None) -> None:
    assert mirrored(url) == expected


def test_a_file_of_a_folder_lies_at_the_same_path_below_the_mirror() -> None:
    base = "http://deb.example.org/debian/"
    assert mirrored(f"{base}pool/a.deb", base=base) == f"{MIRROR}/pool/a.deb"


class Attempt:
    """A download of /files/f whose mirror is at /mirror/ of `host` on the same server."""

    def __init__(self, folder: Path, *answers: Answer, host: str = "127.0.0.1") -> None:
        self.store = LocalStore(folder / "store")
        self.answers = answers
        self.host = host
        self.left_out: list[tuple[str, ReconcilerError]] = []
        self.asked: list[str] = []
        self.authorized: list[bool] = []
        self.secrets: Remote | None = None

    def run(self, times: int = 1, mirror: Callable[[FaultyServer], str] | None = None) -> None:
        async def main() -> None:
            async with FaultyServer() as server:
                if self.answers:
                    server.on("/mirror/files/f", *self.answers)
                server.on("/files/f", body(DATA))
                url = mirror(server) if mirror else server.url("/mirror", self.host)
                declared = replace(self.secrets or remote(), retries=0, mirrors=(url,))
                fetcher = open_fetcher(declared, server.url("/simple/"))
                mirrors = Mirrors(declared, server.url("/simple/"))
                try:
                    for _ in range(times):
                        await mirrors.download(
                            fetcher,
                            self.store,
                            server.url("/files/f"),
                            expected=Digest.of(DATA),
                            limit=1000,
                            retry=RetryPolicy(attempts=1),
                            progress=lambda size: None,
                            left_out=lambda *lost: self.left_out.append(lost),
                        )
                finally:
                    await mirrors.close()
                    await fetcher.close()
                    self.asked = [request.path for request in server.requests]
                    self.authorized = ["authorization" in each.headers for each in server.requests]

        asyncio.run(main())


def test_a_mirror_that_has_the_file_spares_the_remote(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, body(DATA))
    attempt.run(2)
    assert attempt.asked == ["/mirror/files/f"] * 2
    assert attempt.left_out == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (corrupted(DATA), DigestMismatch),
        (huge(5000), ReconcilerError),
        (status(403), Refused),
        (status(500), Unreachable),
        (redirect("/mirror/files/f"), Refused),
    ],
)
def test_one_that_lies_or_fails_is_left_out_and_named_once(
    tmp_path: Path, answer: Answer, error: type[ReconcilerError]
) -> None:
    attempt = Attempt(tmp_path, answer)
    attempt.run(3)
    assert attempt.asked == ["/mirror/files/f", *["/files/f"] * 3]
    [(mirror, reason)] = attempt.left_out
    assert mirror.endswith("/mirror/")
    assert isinstance(reason, error)
    assert attempt.store.has(Digest.of(DATA))


def test_one_that_is_down_or_forbidden_is_left_out_too(tmp_path: Path) -> None:
    for url in (f"http://127.0.0.1:{closed_port()}/", "http://169.254.169.254/"):
        attempt = Attempt(tmp_path)
        attempt.run(2, lambda server, url=url: url)  # type: ignore[misc]
        assert attempt.asked == ["/files/f"] * 2
        assert len(attempt.left_out) == 1


def test_a_file_that_it_does_not_have_is_no_failure_but_none_at_all_is(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, status(404), body(DATA))
    attempt.run(2)
    assert attempt.asked == ["/mirror/files/f", "/files/f", "/mirror/files/f"]
    assert attempt.left_out == []
    attempt = Attempt(tmp_path, status(404))
    attempt.run(MISSES + 2)
    assert attempt.asked.count("/mirror/files/f") == MISSES
    [(_, reason)] = attempt.left_out
    assert isinstance(reason, Gone)


@pytest.mark.parametrize(("host", "sent"), [("127.0.0.1", True), ("localhost", False)])
def test_credentials_go_to_a_mirror_of_the_same_origin_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, sent: bool
) -> None:
    monkeypatch.setenv("MIRROR_TEST", "opensesame")
    attempt = Attempt(tmp_path, body(DATA), host=host)
    secret = Secret("MIRROR_TEST", None)
    attempt.secrets = replace(
        remote(), auth=Auth("robot", secret), headers={"X-Token": secret, "X-Team": "data"}
    )
    attempt.run()
    assert (attempt.asked, attempt.authorized) == (["/mirror/files/f"], [sent])


def test_a_server_asks_again_after_a_while() -> None:
    now = 0.0
    declared = replace(remote(), mirrors=(MIRROR,))
    mirrors = Mirrors(declared, "https://index.example.org/", again_after=60, clock=lambda: now)
    url = "https://index.example.org/f"
    [(mirror, _)] = mirrors.places(url)
    assert mirrors.failed(mirror, Unreachable("down"))
    assert list(mirrors.places(url)) == []
    assert not mirrors.failed(mirror, Unreachable("down")), "named once"
    now = 60
    assert len(list(mirrors.places(url))) == 1
