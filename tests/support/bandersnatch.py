"""A tree that bandersnatch made, from an index on loopback that speaks what it asks for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.clients import isolated, program
from tests.support.wheels import Built

JSON = "application/vnd.pypi.simple.v1+json"
SERIAL = 7
UPLOADED = "2026-01-02T03:04:05.000000Z"
CONFIGURATION = """\
[mirror]
directory = {folder}
master = {url}
allow-non-https = true
api-method = simple
json = false
release-files = true
cleanup = false
timeout = 10
global-timeout = 60
workers = 2
verifiers = 1
hash-index = {hashed}
simple-format = {format}
stop-on-error = true
storage-backend = filesystem
compare-method = hash
{more}
[plugins]
enabled =
    {plugins}
[allowlist]
packages =
    {packages}
[blocklist]
packages =
    {blocked}
"""


class Upstream(ThreadingHTTPServer):
    """Projects by name, in the simple API with serials and the JSON API of releases.

    `asked`: the paths of requests.
    """

    daemon_threads = True

    def __init__(self, files: Iterable[Built]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.bodies: dict[str, bytes] = {}
        self._projects: dict[str, list[Built]] = {}
        for built in files:
            name = built.filename.partition("-")[0].replace("_", "-")
            self._projects.setdefault(name, []).append(built)
            self.bodies[self.path_of(built)] = built.content
        for name in self._projects:
            self.bodies[f"/pypi/{name}/json"] = json.dumps(self._releases(name)).encode()
            self.bodies[f"/simple/{name}/"] = json.dumps(self._page(name)).encode()
        projects = [{"name": name, "_last-serial": SERIAL} for name in self._projects]
        listed = {"meta": {"api-version": "1.1", "_last-serial": SERIAL}, "projects": projects}
        self.bodies["/simple/"] = json.dumps(listed).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def files(self) -> list[str]:
        """Paths of files that were asked for."""
        return [path for path in self.asked if path.startswith("/packages/")]

    def path_of(self, built: Built) -> str:
        """Return the path of a file: as the reference index has it, by blake2b."""
        digest = hashlib.blake2b(built.content, digest_size=32).hexdigest()
        return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{built.filename}"

    def _page(self, name: str) -> dict[str, Any]:
        files = [
            {
                "filename": built.filename,
                "url": f"{self.url}{self.path_of(built)}",
                "hashes": {"sha256": built.sha256},
                "size": len(built.content),
                "upload-time": UPLOADED,
                "requires-python": ">=3.8",
            }
            for built in self._projects[name]
        ]
        return {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": files}

    def _releases(self, name: str) -> dict[str, Any]:
        releases: dict[str, list[dict[str, Any]]] = {}
        for built in self._projects[name]:
            wheel = built.filename.endswith(".whl")
            version = built.filename.removesuffix(".tar.gz").split("-")[1]
            releases.setdefault(version, []).append(
                {
                    "filename": built.filename,
                    "url": f"{self.url}{self.path_of(built)}",
                    "digests": {
                        "sha256": built.sha256,
                        "md5": hashlib.md5(built.content).hexdigest(),
                    },
                    "md5_digest": hashlib.md5(built.content).hexdigest(),
                    "packagetype": "bdist_wheel" if wheel else "sdist",
                    "requires_python": ">=3.8",
                    "size": len(built.content),
                    "upload_time_iso_8601": UPLOADED,
                    "yanked": False,
                    "yanked_reason": None,
                }
            )
        info = {"name": name, "version": max(releases), "classifiers": []}
        return {"info": info, "last_serial": SERIAL, "releases": releases}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        path = self.path if self.path != "/simple" else "/simple/"
        self.server.asked.append(path)
        body = self.server.bodies.get(path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", JSON if "simple" in path else "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("X-PyPI-Last-Serial", str(SERIAL))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read `asked` instead."""


@contextmanager
def upstream(files: Iterable[Built]) -> Iterator[Upstream]:
    """Serve files until the block ends."""
    with Upstream(files) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def mirrored(folder: Path, url: str, packages: Iterable[str], **more: Any) -> Path:
    """Run bandersnatch; return its configuration. Its tree is `folder / "pypi" / "web"`.

    `more`: `plugins` and `blocked` as lists, `hashed`, `format` and `more` lines of `[mirror]`.
    """
    configuration = folder / "bandersnatch.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder / "pypi",
            url=url,
            hashed=str(more.get("hashed", False)).lower(),
            format=more.get("format", "ALL"),
            packages="\n    ".join(packages),
            plugins="\n    ".join(more.get("plugins", ["allowlist_project"])),
            blocked="\n    ".join(more.get("blocked", [])),
            more=more.get("more", ""),
        )
    )
    done = subprocess.run(
        [program("bandersnatch"), "-c", str(configuration), "mirror"],
        env=isolated(folder) | {"TMPDIR": os.environ.get("TMPDIR", "/tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return configuration
