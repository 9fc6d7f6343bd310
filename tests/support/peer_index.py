"""Indexes of others' making on loopback: pypiserver over a folder of distributions, and devpi."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.clients import isolated, program
from tests.support.wheels import Built

PATIENCE = 60  # seconds
PAUSE = 0.02


@contextmanager
def pypiserver(
    folder: Path, files: Iterable[Built] = (), *, takes_uploads: bool = False
) -> Iterator[str]:
    """The URL of its simple index, which ends with a slash. It speaks HTML alone, and knows neither
    dates nor sizes. `takes_uploads`: from everyone, at the URL above.
    """
    folder.mkdir(parents=True)
    for built in files:
        folder.joinpath(built.filename).write_bytes(built.content)
    port = _free_port()
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
        *(["-P", ".", "-a", "."] if takes_uploads else []),
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _await(process: subprocess.Popen[bytes], port: int, path: str = "/health") -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the index did not start")


def _of_devpi(name: str) -> str:
    """A program of devpi, which has an environment of its own: `tests/peers.txt`."""
    return str(Path(sys.prefix) / "peers" / "bin" / name)


def lacks_devpi() -> bool:
    """True where devpi is not installed."""
    return not Path(_of_devpi("devpi-server")).exists()


@contextmanager
def devpi(folder: Path, password: str) -> Iterator[str]:
    """The URL of an index of devpi that the user `ada` may send to; it ends with a slash.

    Files are sent to the URL itself and listed below its `+simple/`.
    """
    folder.mkdir(parents=True)
    data, env = str(folder / "data"), isolated(folder)
    words = [_of_devpi("devpi-init"), "--serverdir", data, "--root-passwd", password]
    words += ["--no-root-pypi"]
    subprocess.run(words, env=env, check=True, capture_output=True)
    port = _free_port()
    words = [_of_devpi("devpi-server"), "--serverdir", data, "--port", str(port)]
    words += ["--offline-mode", "--request-timeout", "5"]
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(process, port, "/+api")
        url = f"http://127.0.0.1:{port}"
        root = _logged_in(url, "root", password)
        _told(f"{url}/ada", {"password": password}, method="PUT", login=root)
        ada = _logged_in(url, "ada", password)
        of_index = {"bases": [], "volatile": False}
        _told(f"{url}/ada/prod", of_index, method="PUT", login=ada)
        yield f"{url}/ada/prod/"
    finally:
        process.terminate()
        process.wait()


def _logged_in(url: str, user: str, password: str) -> str:
    answer = _told(f"{url}/+login", {"user": user, "password": password}, method="POST")
    token = f"{user}:{answer['result']['password']}"
    return base64.b64encode(token.encode()).decode()


def _told(url: str, body: dict[str, Any], *, method: str, login: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if login:
        headers["X-Devpi-Auth"] = login
    data = json.dumps(body).encode()
    with urlopen(Request(url, data=data, headers=headers, method=method), timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
        return answer
