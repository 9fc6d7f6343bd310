"""Commands that end on a signal or whose output goes nowhere lose nothing, without a traceback."""

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

from reconciler.cli.termination import Termination, run_to_end
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
    """The work of a command is worth more than its output."""
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
        ("plan in the background", signal.SIGTERM, 143, "terminated"),
        ("apply", signal.SIGINT, 130, "interrupted"),
    ],
)
def test_a_signal_ends_a_run_with_a_word(
    verb: str, number: signal.Signals, code: int, word: str, tmp_path: Path
) -> None:
    """Kind: ends that are no end of ours. The lease is free for the next run.

    A shell without job control has SIGINT ignored by what it runs in the background, be it the
    command or the suite.
    """
    verb, _, background = verb.partition(" ")
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
        inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command] if background else command,
            stderr=subprocess.PIPE,
            text=True,
            env=isolated(tmp_path),
        )
        signal.signal(signal.SIGINT, inherited)
        assert asked.wait(PATIENCE)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        over.set()
    assert process.returncode == code
    assert f"error: {word}\n" in said
    assert "Traceback" not in said


def test_a_signal_in_the_midst_of_a_task_lets_the_others_clean_up() -> None:
    """Kind: an exception of a signal that falls into a running loop, which is then never closed.

    SIGINT is ignored, as in the background of a shell without job control.
    """
    cleaned: list[str] = []

    async def waiting(name: str) -> None:
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            cleaned.append(name)

    async def busy() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await waiting("busy")

    async def work() -> None:
        await asyncio.gather(waiting("first"), busy(), waiting("last"))

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        termination = Termination()
        with termination.handled(), pytest.raises(KeyboardInterrupt):
            run_to_end(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert termination.word == "terminated"
    assert sorted(cleaned) == ["busy", "first", "last"]
