"""An index of somebody else's making: pypiserver over a folder of distributions, on loopback."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.clients import isolated, program
from tests.support.wheels import Built

PATIENCE = 60  # seconds
PAUSE = 0.02


@contextmanager
def pypiserver(folder: Path, files: Iterable[Built]) -> Iterator[str]:
    """The URL of its simple index, which ends with a slash. It speaks HTML alone, and knows neither
    dates nor sizes.
    """
    folder.mkdir(parents=True)
    for built in files:
        folder.joinpath(built.filename).write_bytes(built.content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        program("pypi-server"),
        "run",
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "--hash-algo",
        "sha256",
        "--disable-fallback",
        str(folder),
    ]
    process = subprocess.Popen(
        words, env=isolated(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(process, port)
        yield f"http://127.0.0.1:{port}/simple/"
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("pypiserver did not start")
