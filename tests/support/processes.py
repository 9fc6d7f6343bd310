"""The real server, in processes of its own."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).parents[2]
MAIN = """
import sys
from functools import partial
from pathlib import Path
from reconciler.serve import TlsFiles, serve
from tests.support import site

if __name__ == "__main__":
    build = partial(getattr(site, sys.argv[1]), Path(sys.argv[2]))
    host, workers, files = sys.argv[3], int(sys.argv[4]), [Path(word) for word in sys.argv[5:]]
    serve(
        build,
        host=host,
        workers=workers,
        on_ready=lambda url: print(url, flush=True),
        tls=TlsFiles(*files) if files else None,
        overlap=0.5,
    )
"""


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[str]

    def connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        return http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)


@contextmanager
def running(
    folder: Path,
    *,
    site: str = "application",
    host: str = "127.0.0.1",
    workers: int = 1,
    tls: Sequence[Path] = (),
) -> Iterator[Server]:
    """A server that answers already, or has ended without (an empty URL). Ended by SIGTERM if the
    test has not done so. `tls`: its certificate and its key.
    """
    script = folder / "main.py"
    script.write_text(MAIN)
    words = [sys.executable, str(script), site, str(folder), host, str(workers)]
    words += map(str, tls)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        words,
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
            watchdog.cancel()
