"""From a representation to the messages of an answer: none of the body, a part, or all; from
memory, the store, or on its way in.
"""

from __future__ import annotations

from contextlib import closing
from typing import BinaryIO

from reconciler.errors import ReconcilerError, StateFault, Temporary
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.conditional_requests import Verdict
from reconciler.serve.on_demand import Arrival, OnDemand
from reconciler.serve.representation import Message, Representation, body
from reconciler.serve.request import Request
from reconciler.serve.responses import EMPTY, Send, explained, say, send_whole
from reconciler.serve.uploads import retry_after

SMALL_FILE = (
    64 * 1024
)  # bytes; a file up to here is read whole and kept in memory, a larger one is streamed
PIECE = 256 * 1024  # bytes of a streamed file that are in memory at once


class Delivery:
    """Everything that can fail comes before the first message is sent; what fails later breaks the
    connection, so that the client notices.
    """

    def __init__(self, catalogue: Catalogue, on_demand: OnDemand | None) -> None:
        self._catalogue = catalogue
        self._on_demand = on_demand

    async def deliver(
        self, request: Request, send: Send, representation: Representation, data: bytes | None
    ) -> None:
        """Answer with a representation; `data` is its body where that is in memory. Raises
        StateFault before anything was sent.
        """
        entry = representation.entry
        part = None
        if request.conditions:
            verdict = request.conditions.judge(representation.etag)
            if verdict is Verdict.NOT_MODIFIED:
                await send_whole(request, send, representation.start_unmodified(), b"")
                return
            if verdict is Verdict.FAILED:
                await say(request, send, 412, "what is here is not what `If-Match` names")
                return
            if not request.head and not entry.page:
                part = request.conditions.part(representation.etag, entry.size)
        if request.head and not entry.page:
            await send_whole(request, send, representation.start(entry.size), b"")
        elif part is not None and not part:
            await send_whole(request, send, representation.start_part(part), b"")
        else:
            await self._send_body(request, send, representation, data, part)

    async def _send_body(
        self,
        request: Request,
        send: Send,
        representation: Representation,
        data: bytes | None,
        part: range | None,
    ) -> None:
        entry = representation.entry
        try:
            if data is None and (entry.page or entry.size <= SMALL_FILE):
                data = await self._catalogue.load(representation)
            if part is not None:
                await self._send_part(send, representation, data, part)
            elif data is not None:
                await send_whole(request, send, representation.start(len(data)), data)
            else:
                await self._send_file(request, send, representation)
        except StateFault:
            arrival = (
                None
                if entry.page or self._on_demand is None
                else await self._on_demand.arrival(entry.digest, entry.size)
            )
            if arrival is None:
                raise
            with closing(arrival):
                await self._send_arriving(request, send, representation, arrival, part)

    async def _send_arriving(
        self,
        request: Request,
        send: Send,
        representation: Representation,
        arrival: Arrival,
        part: range | None,
    ) -> None:
        """A file that is on its way into the store."""
        size = representation.entry.size
        wanted = range(size) if part is None else part
        try:
            await arrival.ready(whole=part is not None or size <= SMALL_FILE)
        except ReconcilerError as error:
            status = (
                503
                if isinstance(error, Temporary)
                else 500
                if isinstance(error, StateFault)
                else 502
            )
            text = f"`{request.path}` cannot be had now: {explained(error)}"
            await say(request, send, status, text, [retry_after(error)] if status == 503 else [])
            return
        await send(representation.start(size) if part is None else representation.start_part(part))
        left = len(wanted)
        if not left:
            await send(EMPTY)
        async for data in arrival.read(wanted):
            left -= len(data)
            await send(body(data, more=left > 0))

    async def _send_part(
        self, send: Send, representation: Representation, data: bytes | None, part: range
    ) -> None:
        start = representation.start_part(part)
        if data is not None:
            await send(start)
            await send(body(data[part.start : part.stop]))
        else:
            await self._stream(send, start, await self._catalogue.open(representation), part)

    async def _send_file(
        self, request: Request, send: Send, representation: Representation
    ) -> None:
        """A large file: the server sends it by itself where it can."""
        start = representation.start(representation.entry.size)
        path = await self._catalogue.path(representation) if request.files_by_path else None
        if path is not None:
            await send(start)
            await send({"type": "http.response.pathsend", "path": path})
        else:
            await self._stream(
                send,
                start,
                await self._catalogue.open(representation),
                range(representation.entry.size),
            )

    async def _stream(self, send: Send, start: Message, file: BinaryIO, part: range) -> None:
        with file:
            await send(start)
            await self._catalogue.in_thread(file.seek, part.start)
            left = len(part)
            while left:
                data = await self._catalogue.in_thread(file.read, min(PIECE, left))
                if not data:
                    raise EOFError(
                        f"a stored file is {left} bytes shorter than recorded"
                    )  # breaks the connection: the client must notice
                left -= len(data)
                await send(body(data, more=left > 0))
