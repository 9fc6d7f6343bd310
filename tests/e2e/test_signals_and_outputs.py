"""Commands that are told to end, and commands whose output goes nowhere: a word, no traceback,
nothing lost.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.clients import PATIENCE, isolated, program
from tests.support.faulty import running
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.upstream import upstream


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    with upstream() as index:
        index.release("alpha", "1.0")
        manifests = remote(index.url), repository(sources=["name: up, include: [alpha]"])
        mirror = Mirror(tmp_path_factory.mktemp("site"), *manifests, publication())
        mirror.applied()
        yield mirror


def words(mirror: Mirror, command: str) -> list[str]:
    """The words of a command; `M` stands for the manifest, `H` for the home."""
    places = {"M": str(mirror.manifest), "H": f"--home={mirror.home.root}"}
    return [program("reconciler"), *(places.get(word, word) for word in command.split())]


def ended(command: Sequence[str], folder: Path, stdout: int) -> tuple[int, str]:
    done = subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=isolated(folder),
        check=False,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    ["get repository H", "apply M H --format json", "schema", "--version", "get --help"],
)
def test_a_full_disk_behind_the_output_is_an_error_and_no_traceback(
    command: str, mirror: Mirror
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        code, said = ended(words(mirror, command), mirror.folder, full)
    finally:
        os.close(full)
    assert code == 1
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert "Exception" not in said


@pytest.mark.parametrize("command", ["plan M H", "history repository/team H -o json", "plugins"])
def test_a_reader_that_left_ends_a_command_without_a_word(command: str, mirror: Mirror) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, said = ended(words(mirror, command), mirror.folder, writing)
    finally:
        os.close(writing)
    assert code == 141
    assert "Traceback" not in said
    assert "error" not in said


def test_an_apply_goes_on_when_its_reader_left(tmp_path: Path) -> None:
    """What a command does is worth more than what it says."""
    with upstream() as index:
        index.release("alpha", "1.0")
        manifests = remote(index.url), repository(sources=["name: up, include: [alpha]"])
        mirror = Mirror(tmp_path, *manifests)
        reading, writing = os.pipe()
        os.close(reading)
        try:
            code, _ = ended(words(mirror, "apply M H"), tmp_path, writing)
        finally:
            os.close(writing)
        assert code == 141
        assert mirror.version()[0] == 1


@pytest.mark.parametrize(
    ("verb", "number", "code", "word"),
    [
        ("apply", signal.SIGTERM, 143, "terminated"),
        ("plan", signal.SIGTERM, 143, "terminated"),
        ("apply", signal.SIGINT, 130, "interrupted"),
    ],
)
def test_a_signal_ends_a_run_with_a_word(
    verb: str, number: signal.Signals, code: int, word: str, tmp_path: Path
) -> None:
    """Kind: ends that are no end of ours. The lease is free for the next run."""
    asked, over = threading.Event(), threading.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.to_thread(over.wait, PATIENCE)
        return web.Response(status=404)

    with running(lambda server: None) as server:
        server.on("/alpha/", hang)
        manifests = remote(server.url("/")), repository(sources=["name: up, include: [alpha]"])
        mirror = Mirror(tmp_path, *manifests)
        command = words(mirror, f"{verb} M H")
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=isolated(tmp_path)
        )
        assert asked.wait(PATIENCE)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        over.set()
    assert process.returncode == code
    assert f"error: {word}\n" in said
    assert "Traceback" not in said
