"""`reconciler serve --workers N`: its processes are one server to a client."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.model import Digest
from tests.support.clients import served
from tests.support.mirror import Mirror, call
from tests.support.mirror import resource as document
from tests.support.uploading import FORM, file_part, form, text_part

TOKEN = "of-this-test"
REPOSITORY = document("Repository", "team", "type: file\nsources: [{upload: {}}]")
PUBLICATION = document(
    "Publication",
    "team",
    "repository: team\npath: team\naccess: {upload: [{token: {env: TEAM_TOKEN}}]}",
)
OPEN = "repository: team\npath: team"


def sent(request: urllib.request.Request | str) -> tuple[int, bytes, int]:
    """Status, body and generation of a response, over a connection of its own."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        generation = response.headers.get("Reconciler-Generation", 0)
        return response.status, response.read(), int(generation)


def test_a_file_is_there_for_every_worker_when_its_upload_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read after write. Kind: every per-process memory of shared state."""
    monkeypatch.setenv("TEAM_TOKEN", TOKEN)
    mirror, before = Mirror(tmp_path, REPOSITORY, PUBLICATION), 0
    mirror.applied()
    with served(mirror.home.root, workers=2, TEAM_TOKEN=TOKEN) as url:
        for number in range(8):
            data = f"file {number}".encode()
            body = form(text_part("path", "latest.bin"), file_part("latest.bin", data))
            request = urllib.request.Request(f"{url}team/upload/", body, dict([FORM]))
            request.add_header("Authorization", f"Bearer {TOKEN}")
            status, _, generation = sent(request)
            assert status == 201
            assert generation > before
            before = generation
            assert [sent(f"{url}team/latest.bin")[:2] for _ in range(4)] == [(200, data)] * 4


def test_many_clients_of_one_large_file_get_it_whole_from_every_worker(tmp_path: Path) -> None:
    data = bytes(range(251)) * 60_000
    large = tmp_path / "large.bin"
    large.write_bytes(data)
    mirror = Mirror(tmp_path, REPOSITORY, document("Publication", "team", OPEN))
    mirror.applied()
    home = f"--home={mirror.home.root}"
    assert call(["upload", "team", str(large), home]).code == 0
    with served(mirror.home.root, workers=2) as url, ThreadPoolExecutor(12) as clients:
        bodies = clients.map(lambda _: sent(f"{url}team/large.bin")[1], range(24))
        assert {Digest.of(body) for body in bodies} == {Digest.of(data)}
