"""The peers: bandersnatch and proxpi, each in an environment of its own, installed when first asked
for.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.benchmarks.costs import Cost, measured
from tests.benchmarks.places import KEPT
from tests.support.clients import isolated
from tests.support.nginx import Nginx

MODERN = sys.version_info >= (3, 12)
BANDERSNATCH = f"bandersnatch {'8.2.0' if MODERN else '6.8'}"
PROXPI = "proxpi 1.3.1"
PATIENCE = 60  # seconds until a server that does not answer is given up

CONFIGURATION = """\
[mirror]
directory = {folder}/mirror
master = {url}
{method}
allow-non-https = true
json = true
release-files = true
hash-index = false
simple-format = ALL
compare-method = stat
workers = 10
verifiers = 3
timeout = 10
global-timeout = 1800
stop-on-error = false
storage-backend = filesystem
"""


@cache
def installed(name: str, *packages: str) -> Path | None:
    """The `bin` folder of a peer's environment; None, and a word about it, where its packages
    cannot be had.
    """
    folder = KEPT / "peers" / name.replace(" ", "-")
    programs = folder / "bin"
    ready = folder / "ready"
    if ready.exists():
        return programs
    print(f"installing {name} ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"
    }
    command: list[str | Path] = [
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *packages,
    ]
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(
            f"{name} cannot be installed, so nothing is compared with it; is the package registry"
            f" reachable?\n{done.stdout}",
            flush=True,
        )
        return None
    ready.touch()
    return programs


class Bandersnatch:
    """A mirror by bandersnatch in a fresh folder."""

    def __init__(self, folder: Path, url: str) -> None:
        programs = installed(BANDERSNATCH, f"bandersnatch[uvloop]=={BANDERSNATCH.split()[1]}")
        self._program = programs / "bandersnatch" if programs else None
        self._folder = folder
        self._configuration = folder / "bandersnatch.conf"
        (folder / "mirror").mkdir()
        method = "" if MODERN else "api-method = simple"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, url=url, method=method))

    def sync(self, upstream: Nginx | None = None) -> Cost | None:
        """What it cost; None where there is no bandersnatch."""
        if self._program is None:
            return None
        return measured(
            [self._program, "-c", self._configuration, "mirror"], self._folder, upstream
        )

    def files(self) -> int:
        """How many distributions it holds."""
        return sum(
            1
            for path in (self._folder / "mirror" / "web").glob("packages/*/*/*/*")
            if path.suffix != ".metadata"
        )


@contextmanager
def proxpi(folder: Path, index: str) -> Iterator[tuple[str, int] | None]:
    """proxpi under gunicorn, one worker (its index cache is per process), 16 threads: URL of its
    index and pid. None where it cannot be had.
    """
    programs = installed(PROXPI, PROXPI.replace(" ", "=="), "gunicorn")
    if programs is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    cache_folder = folder / "cache"
    cache_folder.mkdir()
    settings = {
        "PROXPI_INDEX_URL": index,
        "PROXPI_CACHE_DIR": str(cache_folder),
        "PROXPI_DOWNLOAD_TIMEOUT": "5",
        "PROXPI_LOGGING_LEVEL": "WARNING",
    }
    options = ["-b", f"127.0.0.1:{port}", "-w", "1", "--threads", "16", "--no-control-socket"]
    command: list[str | Path] = [programs / "gunicorn", *options, "proxpi.server:app"]
    with (folder / "proxpi.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**isolated(folder), **settings}, cwd=folder, stdout=log, stderr=log
        )
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/index/", process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_for(port: int) -> None:
    """Until somebody listens there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
