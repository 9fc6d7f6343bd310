"""Responses: ASGI messages for the hot path, Starlette responses for everything else.

Both send the same headers for the same content.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from reconciler.errors import ReconcilerError, StateFault
from reconciler.model import Digest
from reconciler.serve.conditional_requests import ConditionalHeaders, ConditionResult
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.representation import NOSNIFF, REVALIDATE, Header, Message, body, start

EMPTY = body(b"")
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
NOSNIFF_HEADER = {NOSNIFF[0].decode(): NOSNIFF[1].decode()}
FIXED = {name.decode(): value.decode() for name, value in (NOSNIFF, REVALIDATE)}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]  # messages are dictionaries


async def send_whole(request: ContentRequest, send: Send, start: Message, *, data: bytes) -> None:
    """Send a response in one piece; only its start for a `HEAD`."""
    await send(start)
    await send(EMPTY if request.head else body(data))


async def send_text(
    request: ContentRequest,
    send: Send,
    status: int,
    *,
    text: str,
    headers: list[Header] | None = None,
) -> None:
    """Send a short plain text for people."""
    data = _text(text)
    fixed = [
        (b"content-type", TEXT.encode()),
        (b"content-length", b"%d" % len(data)),
        NOSNIFF,
        REVALIDATE,
    ]
    await send_whole(request, send, start(status, [*fixed, *(headers or [])]), data=data)


async def send_page(request: ContentRequest, send: Send, page: bytes) -> None:
    """Send a generated page with an entity tag, or 304 to clients that have it."""
    etag = (b"etag", f'"{Digest.of(page).hex}"'.encode())
    if request.conditions is not None:
        match request.conditions.evaluate(etag[1].decode()):
            case ConditionResult.NOT_MODIFIED:
                await send_whole(request, send, start(304, [etag, REVALIDATE]), data=b"")
                return
            case ConditionResult.FAILED:
                await send_text(request, send, 412, text=PRECONDITION_FAILED)
                return
            case ConditionResult.SEND:
                pass
    length = (b"content-length", b"%d" % len(page))
    headers = [etag, (b"content-type", HTML.encode()), length, NOSNIFF, REVALIDATE]
    await send_whole(request, send, start(200, headers), data=page)


def text_response(
    request: Request, status: int, text: str, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a short plain text for people."""
    return _response(
        request, status, _text(text), headers={"content-type": TEXT, **(headers or {})}
    )


def page_response(request: Request, page: bytes, media_type: str = HTML) -> Response:
    """Return a generated page with an entity tag, or 304 to clients that have it.

    Clients ask for such a page again each time (RFC 9110, 13).
    """
    etag = f'"{Digest.of(page).hex}"'
    conditions = ConditionalHeaders(
        if_match=request.headers.get("if-match", ""),
        if_none_match=",".join(request.headers.getlist("if-none-match")),
    )
    match conditions.evaluate(etag):
        case ConditionResult.NOT_MODIFIED:
            cache_control = FIXED["cache-control"]
            return Response(None, 304, {"etag": etag, "cache-control": cache_control})
        case ConditionResult.FAILED:
            return text_response(request, 412, PRECONDITION_FAILED)
        case ConditionResult.SEND:
            return _response(request, 200, page, headers={"etag": etag, "content-type": media_type})


PRECONDITION_FAILED = "what is here is not what `If-Match` names"


STATE_FAULT = "the server cannot use its state as it should now; its log says why"
_SERVER_PATH = re.compile(r"(?P<quote>[`'\"])(?:file:)?/.*?(?P=quote)", re.DOTALL)


def error_text(error: ReconcilerError) -> str:
    """Return an error's message and its hint, as far as clients may read them."""
    message, hint = client_words(error)
    return f"{message}\nhint: {hint}" if hint else message


def client_words(error: ReconcilerError) -> tuple[str, str | None]:
    """Return the message and the hint of an error, as far as clients may read them.

    No client learns a path of the server: of a StateFault nothing is told, of other errors no
    quoted path and no URL of a local file.
    """
    if isinstance(error, StateFault):
        return STATE_FAULT, None
    message, hint = (without_paths(text) for text in (error.message, error.hint or ""))
    return message, hint or None


def without_paths(text: str) -> str:
    """Return a text in which no quoted path of the server stands, and no URL of a local file."""
    return _SERVER_PATH.sub("a file of the server", text)


def _response(request: Request, status: int, data: bytes, *, headers: dict[str, str]) -> Response:
    content = b"" if request.method == "HEAD" else data
    return Response(content, status, {**headers, **FIXED, "content-length": str(len(data))})


def _text(text: str) -> bytes:
    return f"{text}\n".encode(errors="replace")
