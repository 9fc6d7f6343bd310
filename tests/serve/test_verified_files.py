"""Stored bytes are checked where they are trusted: nothing damaged is delivered as good."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.errors import Gone, PluginFault, StateFault
from reconciler.model import Digest
from reconciler.serve import Application, Catalogue
from reconciler.serve.responses import STATE_FAULT, error_text
from reconciler.serve.verified_files import AT_ONCE
from reconciler.store import LocalStore
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published

BODIES = {"small": b"s" * 5_000, "medium": b"m" * 300_000, "large": b"l" * (AT_ONCE + 600_000)}


@dataclass
class Site:
    """A publication whose files lie in a real store; `damage` is what was reported."""

    store: LocalStore
    published: Published = field(default_factory=Published)
    damage: dict[Digest, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        served = self.published.mount("team")
        for name, body in BODIES.items():
            self.published.file(served, f"files/{name}", body)
            self.store.put(body, Digest.of(body))
        self.application = Application(
            Catalogue(self.published, self.store, damaged=self.damage.__setitem__)
        )

    def get(self, name: str, *, by_path: bool = False, part: str = "") -> AsgiResponse:
        headers = [("Range", f"bytes={part}")] if part else []
        client = Client(self.application, pathsend=by_path)
        return asyncio.run(client.get(f"/team/files/{name}", headers=headers))

    def head(self, name: str) -> AsgiResponse:
        return asyncio.run(Client(self.application).get(f"/team/files/{name}", method="HEAD"))

    def path(self, name: str) -> Path:
        return self.store.path(Digest.of(BODIES[name]))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(LocalStore(tmp_path / "store"))


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("by_path", [True, False])
def test_damaged_bytes_are_never_a_whole_body_and_are_reported(
    site: Site, name: str, damage: Callable[[Path], None], by_path: bool
) -> None:
    damage(site.path(name))
    try:
        answer = site.get(name, by_path=by_path)
    except EOFError:  # the connection breaks: the client notices
        assert name == "large"
    else:
        assert answer.status == 503
        assert "/store" not in answer.text
    assert site.damage.keys() == {Digest.of(BODIES[name])}


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", BODIES)
def test_the_headers_of_damaged_bytes_are_no_promise(
    site: Site, name: str, damage: Callable[[Path], None]
) -> None:
    """Kind: HEAD says what GET does not keep. Large bytes of the right size are hashed by GET."""
    assert site.head(name).headers["content-length"] == str(len(BODIES[name]))
    damage(site.path(name))
    known = name != "large" or damage is not flip
    assert site.head(name).status == (503 if known else 200)
    assert bool(site.damage) is known


@pytest.mark.parametrize("name", BODIES)
def test_no_part_of_damaged_bytes_is_delivered(site: Site, name: str) -> None:
    flip(site.path(name))
    assert site.get(name, part="0-99").status == 503


@pytest.mark.parametrize("name", BODIES)
def test_sound_bytes_come_whole_and_are_hashed_once(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.get(name).body == BODIES[name]
    assert site.get(name, part="3-5").body == BODIES[name][3:6]
    monkeypatch.setattr("reconciler.serve.verified_files.hashlib", None)
    monkeypatch.setattr("reconciler.serve.delivery.hashlib", None)
    assert site.get(name).body == BODIES[name]
    if name != "small":
        assert site.get(name, by_path=True).sent_files == (site.path(name),)


@pytest.mark.parametrize("name", ["medium", "large"])
def test_a_file_that_was_verified_is_hashed_again_once_it_changed(site: Site, name: str) -> None:
    """The same size and modification time are no proof: the change time tells."""
    site.get(name)
    path = site.path(name)
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert site.get(name, part="0-9").status == 503


@pytest.mark.parametrize(
    "error",
    [
        StateFault("cannot write to the store in `/srv/state/store`: disk full", hint="/srv"),
        Gone("`/srv/mirror/a.whl` does not exist"),
        PluginFault("[Errno 2] No such file: '/srv/state/work'", hint="see `file:///srv/x`"),
    ],
)
def test_no_answer_to_a_client_names_a_path_of_the_server(error: Gone) -> None:
    text = error_text(error)
    assert "srv" not in text
    assert text == STATE_FAULT or "file of the server" in text
