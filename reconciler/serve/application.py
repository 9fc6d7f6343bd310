"""The ASGI application: one bare callable, no routing table, no framework."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, BinaryIO
from urllib.parse import quote

from reconciler.errors import StateFault
from reconciler.serve.catalogue import Catalogue, Found
from reconciler.serve.conditions import Verdict
from reconciler.serve.listing import listing, listing_page
from reconciler.serve.representation import NOSNIFF, REVALIDATE, Header, Message, Representation, body, opening
from reconciler.serve.request import Request

SMALL_FILE = 64 * 1024  # bytes; a file up to here is read whole and kept in memory, a larger one is streamed
PIECE = 256 * 1024  # bytes of a streamed file that are in memory at once
EMPTY = body(b"")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Canonical = Callable[[str], str | None]
"""From a path within a publication that nothing is at to the path that was meant, or None."""

log = logging.getLogger(__name__)


class Application:
    """Publications over HTTP. `canonical`: by publisher ID, asked where a path is not found; a redirect leads to its answer if that exists."""

    def __init__(self, catalogue: Catalogue, canonical: Mapping[str, Canonical] | None = None) -> None:
        self._catalogue = catalogue
        self._canonical = canonical or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Request(scope), send)
        else:
            raise ValueError(f"this server speaks HTTP only, not `{scope['type']}`")

    async def refresh(self) -> None:
        """Look what is served now; requests that begin afterwards are answered from it."""
        await self._catalogue.refresh()

    async def _live(self, receive: Receive, send: Send) -> None:
        """The life of the server: nothing is served before the database could be read."""
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                try:
                    await self._catalogue.refresh()
                except Exception as error:  # whatever a database raises: the server must not start
                    await send({"type": "lifespan.startup.failed", "message": f"cannot see what is to be served: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif event == "lifespan.shutdown":
                self._catalogue.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, request: Request, send: Send) -> None:
        if request.method not in ("GET", "HEAD"):
            await _say(request, send, 405, f"`{request.method}` is not possible here: GET and HEAD are", [(b"allow", b"GET, HEAD")])
            return
        await self._catalogue.check()
        try:
            await self._get(request, send)
        except StateFault as fault:
            await self._get_again(request, send, fault)

    async def _get_again(self, request: Request, send: Send, fault: StateFault) -> None:
        """Bytes are missing. A publication that moved on may have been pruned under a request: the new one has them."""
        await self._catalogue.refresh()
        try:
            await self._get(request, send)
        except StateFault:
            log.error("%s", fault)
            await _say(request, send, 500, str(fault))

    async def _get(self, request: Request, send: Send) -> None:
        """Everything that can fail comes before the first message is sent."""
        if request.path in ("", "/"):
            page = listing(self._catalogue.served())
            await self._deliver(request, send, listing_page(page), page)
            return
        found = self._catalogue.known(request.path) or await self._catalogue.find(request.path)
        if found is None or found.resource is None:
            await self._miss(request, send, found)
            return
        representation = found.resource.choose(request.accept, request.accept_encoding)
        await self._deliver(request, send, representation, self._catalogue.body(representation))

    async def _miss(self, request: Request, send: Send, found: Found | None) -> None:
        if found is None:
            await _say(request, send, 404, f"`{request.path}` is below no publication; `/` lists them")
        elif location := await self._elsewhere(request.path, found):
            query = b"?" + request.query if request.query else b""
            await _say(request, send, 301, "it is here", [(b"location", quote(location).encode() + query)])
        else:
            await _say(request, send, 404, f"`{request.path}` does not exist in the publication `{found.mount.served.name}`")

    async def _elsewhere(self, url_path: str, found: Found) -> str | None:
        """A relative reference to what was meant: the same path with its last slash, or what the publisher says."""
        served = found.mount.served
        path = found.path or ""
        up = f"{served.path.rpartition('/')[2]}/" if found.path is None else "../" * path.count("/")
        candidates = [] if path.endswith("/") else [f"{path}/" if path else ""]
        if (meant := self._meant(served.publisher, path)) is not None:
            candidates += [meant, f"{meant}/"]
        for candidate in candidates:
            target = f"/{served.path}/{candidate}"
            if target != url_path and (there := await self._catalogue.find(target)) and there.resource is not None:
                return up + candidate
        return None

    def _meant(self, publisher: str, path: str) -> str | None:
        try:
            hook = self._canonical.get(publisher)
            return hook(path) if hook else None
        except Exception:  # a plugin's code: its mistake must not turn a 404 into a 500
            log.exception("the publisher `%s` failed to say what `%s` means", publisher, path)
            return None

    async def _deliver(self, request: Request, send: Send, representation: Representation, data: bytes | None) -> None:
        entry = representation.entry
        part = None
        if request.conditions:
            verdict = request.conditions.judge(representation.etag)
            if verdict is Verdict.NOT_MODIFIED:
                await _send_whole(request, send, representation.start_unmodified(), b"")
                return
            if verdict is Verdict.FAILED:
                await _say(request, send, 412, "what is here is not what `If-Match` names")
                return
            if not request.head and not entry.page:
                part = request.conditions.part(representation.etag, entry.size)
        if data is None and (entry.page or entry.size <= SMALL_FILE):
            data = await self._catalogue.load(representation)
        if part is not None:
            await self._deliver_part(send, representation, data, part)
        elif data is not None:
            await _send_whole(request, send, representation.start(len(data)), data)
        elif request.head:
            await _send_whole(request, send, representation.start(entry.size), b"")
        else:
            await self._deliver_file(request, send, representation)

    async def _deliver_part(self, send: Send, representation: Representation, data: bytes | None, part: range) -> None:
        start = representation.start_part(part)
        if data is not None or not part:
            await send(start)
            await send(body((data or b"")[part.start : part.stop]))
        else:
            await self._stream(send, start, await self._catalogue.open(representation), part)

    async def _deliver_file(self, request: Request, send: Send, representation: Representation) -> None:
        """A large file: the server sends it by itself where it can."""
        start = representation.start(representation.entry.size)
        path = await self._catalogue.path(representation) if request.files_by_path else None
        if path is not None:
            await send(start)
            await send({"type": "http.response.pathsend", "path": path})
        else:
            await self._stream(send, start, await self._catalogue.open(representation), range(representation.entry.size))

    async def _stream(self, send: Send, start: Message, file: BinaryIO, part: range) -> None:
        with file:
            await send(start)
            await self._catalogue.in_thread(file.seek, part.start)
            left = len(part)
            while left:
                data = await self._catalogue.in_thread(file.read, min(PIECE, left))
                if not data:
                    raise EOFError(f"a stored file is {left} bytes shorter than recorded")  # breaks the connection: the client must notice
                left -= len(data)
                await send(body(data, more=left > 0))


async def _send_whole(request: Request, send: Send, start: Message, data: bytes) -> None:
    await send(start)
    await send(EMPTY if request.head else body(data))


async def _say(request: Request, send: Send, status: int, text: str, headers: list[Header] | None = None) -> None:
    """A short plain text for a person."""
    data = f"{text}\n".encode(errors="replace")
    fixed = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(data)), NOSNIFF, REVALIDATE]
    await _send_whole(request, send, opening(status, [*fixed, *(headers or [])]), data)
