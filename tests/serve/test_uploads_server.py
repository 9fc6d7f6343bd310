"""Files sent to the real server, and files that it brings, as clients see it."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from reconciler.model import Digest
from tests.support.processes import Server, running
from tests.support.site import LARGE
from tests.support.uploading import ADA, END, FORM, file_part, form, text_part

MIB = 1024 * 1024
HUGE = 200  # MiB


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with running(place, site="taking", workers=2) as server:
        yield server


def incoming(place: Path) -> list[str]:
    return (
        [path.name for path in (place / "incoming").iterdir()]
        if (place / "incoming").exists()
        else []
    )


def open_socket(server: Server) -> socket.socket:
    url = urlsplit(server.url)
    assert url.hostname is not None
    return socket.create_connection((url.hostname, url.port or 0), timeout=30)


def head(length: int, *headers: tuple[str, str]) -> bytes:
    lines = [
        f"{name}: {value}"
        for name, value in [("Host", "x"), FORM, ("Content-Length", str(length)), *headers]
    ]
    return ("POST /team/upload/ HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()


def until_closed(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def test_several_files_on_one_connection(server: Server, place: Path) -> None:
    connection = server.connect()
    for name, data in (("first.whl", b"1" * 300_000), ("second.whl", b"2")):
        connection.request(
            "POST",
            "/team/upload/",
            form(text_part("a", "b"), file_part(name, data)),
            dict([ADA, FORM]),
        )
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == (
            201,
            f"{name} {len(data)} {Digest.of(data).hex}\n",
        )
        assert (place / "kept" / name).read_bytes() == data
    connection.request("POST", "/team/upload/", form(text_part("a", "b")), dict([ADA, FORM]))
    answer = connection.getresponse()
    assert (answer.status, b"no file" in answer.read()) == (400, True)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


def test_fifty_at_once_from_another_library(server: Server, place: Path) -> None:
    files = {
        f"many-{number}.whl": hashlib.sha256(bytes([number])).digest() * (number * 1000 + 1)
        for number in range(50)
    }

    async def send(session: aiohttp.ClientSession, name: str, data: bytes) -> tuple[int, str]:
        sent = aiohttp.FormData({":action": "file_upload", "sha256_digest": Digest.of(data).hex})
        sent.add_field(
            "content", io.BytesIO(data), filename=name, content_type="application/octet-stream"
        )
        async with session.post(f"{server.url}/team/", data=sent) as answer:
            return answer.status, await answer.text()

    async def together() -> list[tuple[int, str]]:
        async with aiohttp.ClientSession(
            headers=dict([ADA]), connector=aiohttp.TCPConnector(limit=0)
        ) as session:
            return await asyncio.gather(
                *(send(session, name, data) for name, data in files.items())
            )

    for (status, text), (name, data) in zip(asyncio.run(together()), files.items(), strict=True):
        assert (status, text) == (201, f"{name} {len(data)} {Digest.of(data).hex}\n")
        assert (place / "kept" / name).read_bytes() == data
    assert incoming(place) == []


def peak_memory(server: Server) -> int:
    """Bytes that the largest worker has had in memory at most."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    peaks = [
        line
        for child in children
        for line in Path(f"/proc/{child}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(int(line.split()[1]) * 1024 for line in peaks)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is measured through /proc"
)
def test_a_huge_file_stays_out_of_memory(tmp_path: Path) -> None:
    begin, end = file_part("huge.bin", b"")[:-2], b"\r\n" + END
    block = bytes(range(256)) * (MIB // 256)

    def body() -> Iterator[bytes]:
        yield begin
        for _ in range(HUGE):
            yield block
        yield end

    with running(tmp_path, site="taking") as server:
        before = peak_memory(server)
        connection = server.connect()
        headers = dict([ADA, FORM, ("Content-Length", str(len(begin) + HUGE * MIB + len(end)))])
        connection.request("POST", "/team/upload/", body(), headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read().split()[1]) == (201, str(HUGE * MIB).encode())
        assert (tmp_path / "kept" / "huge.bin").stat().st_size == HUGE * MIB
        connection.close()
        grown = peak_memory(server) - before
    print(f"\n{before / MIB:.0f} MiB before, {grown / MIB:.1f} MiB more for a file of {HUGE} MiB")
    assert grown < 32 * MIB


def test_a_chunked_body_without_a_length(server: Server, place: Path) -> None:
    connection = server.connect()
    body = form(file_part("chunked.whl", b"x" * 100_000))
    connection.request(
        "POST",
        "/team/upload/",
        iter([body[:50], body[50:]]),
        dict([ADA, FORM]),
        encode_chunked=True,
    )
    assert connection.getresponse().status == 201
    connection.close()
    assert (place / "kept" / "chunked.whl").read_bytes() == b"x" * 100_000


def test_a_stranger_can_read_the_challenge_though_it_still_sends(server: Server) -> None:
    connection = server.connect()
    body = form(file_part("a", bytes(20 * MIB)))
    connection.request("POST", "/team/upload/", body, dict([FORM]))
    answer = connection.getresponse()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (
        401,
        'Basic realm="publication-1", charset="UTF-8"',
    )
    answer.read()
    connection.request(
        "POST", "/team/upload/", form(file_part("known.whl", b"x")), dict([FORM, ADA])
    )
    assert connection.getresponse().status == 201
    connection.close()


def test_too_much_is_refused_before_it_is_sent(server: Server) -> None:
    with open_socket(server) as connection:
        connection.sendall(head(300_000_001, ADA, ("Expect", "100-continue")))
        assert until_closed(connection).startswith(b"HTTP/1.1 413 ")


def test_who_waits_for_continue_is_told_to_and_strangers_are_not(server: Server) -> None:
    body = form(file_part("waited.whl", b"x"))
    with open_socket(server) as connection:
        connection.sendall(head(len(body), ("Expect", "100-continue")))
        assert until_closed(connection).startswith(b"HTTP/1.1 401 ")
    with open_socket(server) as connection:
        connection.sendall(
            head(len(body), ADA, ("Expect", "100-continue"), ("Connection", "close"))
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert until_closed(connection).startswith(b"HTTP/1.1 201 ")


def test_a_body_that_ends_early_leaves_nothing(server: Server, place: Path) -> None:
    body = form(file_part("early.whl", bytes(3 * MIB)))
    with open_socket(server) as connection:
        connection.sendall(head(len(body), ADA) + body[: 2 * MIB])
        connection.shutdown(socket.SHUT_WR)
        until_closed(connection)
    assert not (place / "kept" / "early.whl").exists()
    assert incoming(place) == []


def test_faults_of_clients_are_told_to_them_and_not_to_the_log(tmp_path: Path) -> None:
    silent = form(file_part("silent.whl", bytes(MIB)))
    with running(tmp_path, site="impatient") as server:
        for sent, length, status in ((silent[:-1], len(silent), 408), (b"nonsense", 8, 400)):
            with open_socket(server) as connection:
                connection.sendall(head(length, ADA, ("Connection", "close")) + sent)
                assert until_closed(connection).startswith(f"HTTP/1.1 {status} ".encode())
        assert incoming(tmp_path) == []
        server.process.send_signal(signal.SIGTERM)
        _, errors = server.process.communicate()
        assert (server.process.returncode, errors) == (0, "")


def test_missing_files_are_brought_and_a_break_is_noticed(tmp_path: Path) -> None:
    with running(tmp_path, site="bringing") as server:
        connection = server.connect()
        for headers in ({}, {"Range": "bytes=5-9"}, {}):
            connection.request("GET", "/team/files/large.whl", headers=headers)
            answer = connection.getresponse()
            data = answer.read()
            assert data == (LARGE + b"large")[5:10] if headers else LARGE + b"large"
        connection.request("GET", "/team/files/broken.whl")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Length"]) == (
            200,
            str(len(LARGE) + len(b"broken")),
        )
        other = server.connect()
        other.request("GET", "/team/files/last.whl")
        assert other.getresponse().read() == LARGE + b"last"
        other.close()
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        connection.close()
