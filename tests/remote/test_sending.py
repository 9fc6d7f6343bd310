"""Bodies are sent by the rules by which pages are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from reconciler.errors import ReconcilerError, Refused, Unreachable
from reconciler.model import Egress
from reconciler.remote import Answer, Credentials, SecretValue, Sender, open_sender
from tests.support import faulty
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote


class Body:
    media_type = "text/plain"
    length = 5

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b"he"
        yield b"llo"


def sent(
    prepare: Callable[[FaultyServer], None], **settings: Any
) -> tuple[Answer | ReconcilerError, FaultyServer]:
    """Send a body to `/in`; what was answered, and the server."""

    async def main() -> tuple[Answer | ReconcilerError, FaultyServer]:
        async with FaultyServer() as server:
            prepare(server)
            own = Credentials({"Authorization": SecretValue("Bearer x")})
            sender: Sender = open_sender(remote(**settings), server.url("/"), own)
            try:
                return await sender.post(server.url("/in"), Body()), server
            except ReconcilerError as error:
                return error, server
            finally:
                await sender.close()

    return asyncio.run(main())


def test_a_body_has_a_length_and_the_credentials_go_with_it() -> None:
    answer, server = sent(lambda server: server.on("/in", faulty.body(b"ok")))
    assert isinstance(answer, Answer)
    assert (answer.accepted, answer.body) == (True, b"ok")
    (request,) = server.requests
    assert request.method == "POST"
    assert request.headers["content-length"] == "5"
    assert "transfer-encoding" not in request.headers, "many servers take no body in chunks"
    assert request.headers["authorization"] == "Bearer x"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_is_an_answer(status: int) -> None:
    answer, _ = sent(lambda server: server.on("/in", faulty.status(status)))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.accepted) == (status, False)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_answer_that_leaves_it_open_is_an_error_to_try_again(status: int) -> None:
    answer, _ = sent(lambda server: server.on("/in", faulty.status(status)))
    assert isinstance(answer, Unreachable)


def test_a_redirect_that_keeps_the_method_is_followed_within_the_origin() -> None:
    def prepare(server: FaultyServer) -> None:
        server.on("/in", faulty.redirect("/in/", 308))
        server.on("/in/", faulty.body(b"ok"))

    answer, server = sent(prepare)
    assert isinstance(answer, Answer)
    assert [request.method for request in server.requests] == ["POST", "POST"]


@pytest.mark.parametrize(("status", "host"), [(302, "127.0.0.1"), (307, "localhost")])
def test_no_other_redirect_gets_the_body(status: int, host: str) -> None:
    def prepare(server: FaultyServer) -> None:
        server.on("/in", faulty.redirect(server.url("/there", host=host), status))

    answer, server = sent(prepare, redirects="any")
    assert isinstance(answer, Refused)
    assert "redirects an upload" in str(answer)
    assert [request.path for request in server.requests] == ["/in"]


def test_addresses_that_no_page_is_read_from_get_no_body() -> None:
    answer, server = sent(lambda server: None, egress=Egress(deny=("127.0.0.0/8",)))
    assert isinstance(answer, Refused)
    assert "`egress.deny`" in str(answer)
    assert server.requests == []
