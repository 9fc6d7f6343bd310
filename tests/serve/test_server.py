"""The real server, in processes of its own, asked as pip would ask."""

from __future__ import annotations

import gzip
import http.client
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reconciler.errors import UsageFault
from reconciler.model import Digest
from reconciler.serve import Application, serve
from tests.support.processes import Server, running
from tests.support.site import HTML_PAGE, JSON, JSON_PAGE, LARGE, SMALL

PIP = {
    "Accept": f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
    "Accept-Encoding": "gzip, deflate",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("site")) as server:
        yield server


def test_a_session_on_one_connection(server: Server) -> None:
    connection = server.connect()

    def ask(method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer, answer.read()

    answer, body = ask("GET", "/team/simple/alpha/", **PIP)
    first = connection.sock.getsockname()
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == (
        200,
        JSON,
        "gzip",
    )
    assert gzip.decompress(body) == JSON_PAGE
    answer, body = ask("GET", "/team/simple/alpha/", **PIP, If_None_Match=answer.headers["ETag"])
    assert (answer.status, body) == (304, b"")
    answer, body = ask("GET", "/team/simple/alpha/")
    assert (answer.status, body) == (200, HTML_PAGE)
    answer, body = ask("HEAD", "/team/files/large.whl", Accept_Encoding="identity")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, str(len(LARGE)), b"")
    answer, body = ask("GET", "/team/files/large.whl", Range="bytes=-1000")
    assert (answer.status, body) == (206, LARGE[-1000:])
    answer, body = ask("GET", "/team/files/large.whl", Range="bytes=1000-1200999")
    assert (answer.status, body) == (206, LARGE[1000:1201000])
    for path, whole in (("/team/files/small.whl", SMALL), ("/team/files/large.whl", LARGE)):
        answer, body = ask("GET", path)
        assert (answer.status, Digest.of(body), answer.headers["Content-Length"]) == (
            200,
            Digest.of(whole),
            str(len(whole)),
        )
    answer, body = ask("HEAD", "/team/files/small.whl")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, str(len(SMALL)), b"")
    answer, body = ask("GET", "/team/simple/beta/")
    assert answer.status == 404
    answer, body = ask("POST", "/team/simple/alpha/")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (
        connection.sock.getsockname() == first
    )  # all of it on the connection that was opened first
    connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "/team/%2e%2e/etc/passwd",
        "/team/%00",
        "/team/%ff%fe",
        "/team/simple%5calpha/",
        "//team/",
        "/%",
        "/team/%F0%9F%92%A9",
    ],
)
def test_hostile_targets_are_404(server: Server, target: str) -> None:
    connection = server.connect()
    connection.putrequest("GET", target, skip_host=False)
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_peace(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, workers=2) as server:
        assert server.url.startswith("http://127.0.0.1:")
        server.process.send_signal(number)
        _, errors = server.process.communicate()
        assert (server.process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("workers", "in_flight"), [(1, True), (4, False)])
def test_workers_end_with_a_killed_server_and_give_its_port_free(
    tmp_path: Path, workers: int, in_flight: bool
) -> None:
    """Kind: orphans. No handler runs in a process that is killed, so its workers must look."""
    with running(tmp_path, workers=workers) as server:
        connection = server.connect()
        connection.putrequest("POST", "/team/upload/")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"the rest never comes" if in_flight else None)
        if not in_flight:
            connection.close()
        server.process.kill()
        server.process.communicate(timeout=30)  # the workers hold the pipes: until all have ended
        with socket.create_server(("127.0.0.1", urlsplit(server.url).port or 0)):
            connection.close()


def test_what_cannot_start_ends_by_itself(tmp_path: Path) -> None:
    with running(tmp_path, site="broken") as server:
        _, errors = server.process.communicate()
        assert (server.url, server.process.returncode) == ("", 1)
        assert "the database is away" in errors


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UsageFault, match=f"`127.0.0.1` port {port}: Address already in use"
        ) as caught:
            serve(_never, port=port)
    assert caught.value.hint == "choose another with `--port`; `--port 0` picks a free one"


def test_a_host_that_is_not_here_is_refused() -> None:
    with pytest.raises(UsageFault, match=r"cannot serve on `192\.0\.2\.1`"):
        serve(_never, host="192.0.2.1", port=0)


def _never() -> Application:
    raise AssertionError("no worker may start")
