"""Delivery of a representation: the headers alone, a part, or the whole body.

The body comes from memory, from the store, or while it is fetched.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from reconciler.errors import ReconcilerError, StateFault, Temporary
from reconciler.model import ChunkedBody
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.conditional_requests import ConditionResult
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.on_demand import IncomingFile, OnDemand
from reconciler.serve.representation import Message, Representation, body
from reconciler.serve.responses import (
    EMPTY,
    PRECONDITION_FAILED,
    Send,
    error_text,
    send_text,
    send_whole,
)
from reconciler.serve.uploads import retry_after

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

SMALL_FILE = 64 * 1024  # bytes up to which a file is kept in memory; a larger one is streamed
PIECE = 256 * 1024  # bytes of a streamed file that are in memory at once


class Delivery:
    """Sends representations.

    Everything that can fail comes before the first message is sent; what fails later breaks the
    connection, so that the client notices.
    """

    def __init__(self, catalogue: Catalogue, on_demand: OnDemand | None) -> None:
        self._catalogue = catalogue
        self._on_demand = on_demand

    async def deliver(
        self,
        request: ContentRequest,
        send: Send,
        representation: Representation,
        *,
        publication: str,
        data: bytes | None,
    ) -> None:
        """Respond with a representation of a publication. data: its body where that is in memory.

        Raises StateFault before anything was sent.
        """
        entry = representation.entry
        if request.conditions:
            result = request.conditions.evaluate(representation.etag, representation.modified)
            if result is ConditionResult.NOT_MODIFIED:
                await send_whole(request, send, representation.start_unmodified(), data=b"")
                return
            if result is ConditionResult.FAILED:
                await send_text(request, send, 412, text=PRECONDITION_FAILED)
                return
        chunked = await self._catalogue.chunked(representation) if data is None else None
        if chunked is not None:
            await self._send_chunked(request, send, representation, chunked=chunked)
        elif request.head and not entry.page:
            head_size = (
                await self._promised_size(representation, publication)
                if data is None
                else len(data)
            )
            await send_whole(request, send, representation.start(head_size), data=b"")
        else:
            size = await self._size(representation, data)
            await self._send_body(
                request, send, representation, publication=publication, data=data, size=size
            )

    async def _send_chunked(
        self,
        request: ContentRequest,
        send: Send,
        representation: Representation,
        *,
        chunked: ChunkedBody,
    ) -> None:
        """Send a large page while its chunks are read. Raises StateFault before the first one."""
        size = chunked.gzip_size if representation.gzip else chunked.size
        part = request.part(representation.etag, size)
        start = (
            representation.start(size) if part is None else representation.start_part(part, size)
        )
        if request.head or (part is not None and not part):
            await send_whole(request, send, start, data=b"")
            return
        pieces = self._catalogue.pieces(representation, chunked, part)
        data = await self._catalogue.read(pieces)
        await send(start)
        while data:
            try:
                following = await self._catalogue.read(pieces)
            except StateFault as fault:
                raise EOFError(fault.message) from None  # breaks the connection
            await send(body(data, more=bool(following)))
            data = following

    async def _promised_size(self, representation: Representation, publication: str) -> int | None:
        """Return the bytes of a file that GET would send, None where it is unknown.

        A file is compared with its digest as for GET; a large one, which GET hashes while it is
        sent, only if its size is another than what was recorded. Raises StateFault where GET would
        have nothing to send.
        """
        entry = representation.entry
        try:
            size = await self._catalogue.stored_size(representation)
            other = entry.size not in (None, size)
            (await self._catalogue.open(representation, partly=other)).file.close()
            return size
        except StateFault:
            if self._on_demand is None or not await self._on_demand.has(publication, entry.digest):
                raise
            return entry.size

    async def _size(self, representation: Representation, data: bytes | None) -> int | None:
        """Return the bytes of a body; of a file that is not in the store as declared, or None."""
        if data is not None or representation.entry.page:
            return representation.entry.size if data is None else len(data)
        try:
            return await self._catalogue.stored_size(representation)
        except StateFault:
            return representation.entry.size

    async def _send_body(
        self,
        request: ContentRequest,
        send: Send,
        representation: Representation,
        *,
        publication: str,
        data: bytes | None,
        size: int | None,
    ) -> None:
        entry = representation.entry
        try:
            if data is None and (entry.page or is_small(size)):
                data = await self._catalogue.load(representation)
            part = None
            if request.asks_for_part and not entry.page:
                size = await self._catalogue.stored_size(representation)
                part = request.part(representation.etag, size)
            if part is not None:
                await self._send_part(request, send, representation, data=data, part=part)
            elif data is not None:
                await send_whole(request, send, representation.start(len(data)), data=data)
            else:
                await self._send_file(request, send, representation)
        except StateFault:
            incoming = (
                None
                if entry.page or self._on_demand is None
                else await self._on_demand.open(publication, entry.digest, entry.size)
            )
            if incoming is None:
                raise
            with closing(incoming):
                await self._send_incoming(request, send, representation, incoming=incoming)

    async def _send_incoming(
        self,
        request: ContentRequest,
        send: Send,
        representation: Representation,
        *,
        incoming: IncomingFile,
    ) -> None:
        """Send a file that is being fetched into the store.

        Its size is what upstream announces, or nothing is said of it: what was declared is advice.
        """
        try:
            await incoming.ready(whole=request.asks_for_part)
            if is_small(incoming.size):
                await incoming.ready(whole=True)
        except ReconcilerError as error:
            await self._send_failure(request, send, error)
            return
        size = incoming.size
        part = request.part(representation.etag, size) if size is not None else None
        if part is None:
            await send(representation.start(size))
        else:
            await send(representation.start_part(part, size or 0))
        async for data in incoming.read(part):
            await send(body(data, more=True))
        await send(EMPTY)

    async def _send_failure(
        self, request: ContentRequest, send: Send, error: ReconcilerError
    ) -> None:
        """Say why a file cannot be fetched: 503 where a client should come back, 502 otherwise."""
        text = f"`{request.path}` cannot be fetched now: {error_text(error)}"
        if isinstance(error, Temporary):
            headers = [(b"retry-after", b"%d" % retry_after(error))]
            await send_text(request, send, 503, text=text, headers=headers)
        else:
            await send_text(request, send, 500 if isinstance(error, StateFault) else 502, text=text)

    async def _send_part(
        self,
        request: ContentRequest,
        send: Send,
        representation: Representation,
        *,
        data: bytes | None,
        part: range,
    ) -> None:
        start = representation.start_part(part, await self._catalogue.stored_size(representation))
        if not part:
            await send_whole(request, send, start, data=b"")
        elif data is not None:
            await send(start)
            await send(body(data[part.start : part.stop]))
        else:
            stored = await self._catalogue.open(representation, partly=True)
            await self._stream(send, start, stored.file, part=part)

    async def _send_file(
        self, request: ContentRequest, send: Send, representation: Representation
    ) -> None:
        """Send a large file; the server does it by itself where it can, once it is verified."""
        size = await self._catalogue.stored_size(representation)
        start = representation.start(size)
        path = await self._catalogue.path(representation) if request.files_by_path else None
        if path is not None:
            await send(start)
            await send({"type": "http.response.pathsend", "path": path})
            return
        stored = await self._catalogue.open(representation, partly=False)
        if stored.verified:
            await self._stream(send, start, stored.file, part=range(size))
        else:
            await self._stream_unverified(
                send, start, stored.file, representation=representation, size=size
            )

    async def _stream(self, send: Send, start: Message, file: BinaryIO, *, part: range) -> None:
        with file:
            await send(start)
            await self._catalogue.in_thread(file.seek, part.start)
            left = len(part)
            while left:
                data = await self._catalogue.in_thread(file.read, min(PIECE, left))
                if not data:
                    # breaks the connection: the client must notice
                    raise EOFError(f"a stored file is {left} bytes shorter than recorded")
                left -= len(data)
                await send(body(data, more=left > 0))

    async def _stream_unverified(
        self,
        send: Send,
        start: Message,
        file: BinaryIO,
        *,
        representation: Representation,
        size: int,
    ) -> None:
        """Send a whole file while it is hashed; the last piece follows once the digest is right.

        So no client ever holds a whole body of wrong bytes. Raises EOFError, which breaks the
        connection.
        """
        with file:
            await send(start)
            actual, held, left = hashlib.sha256(), b"", size
            while data := await self._catalogue.in_thread(_hashed_piece, file, actual):
                if held:
                    left -= len(held)
                    await send(body(held, more=True))
                held = data
            try:
                await self._catalogue.complete(representation, file, actual.digest())
            except StateFault as fault:
                raise EOFError(fault.message) from None
            if len(held) != left:
                raise EOFError(f"a stored file has not the {left} bytes more that were announced")
            await send(body(held))


def _hashed_piece(file: BinaryIO, hash: Hash) -> bytes:
    data = file.read(PIECE)
    hash.update(data)
    return data


def is_small(size: int | None) -> bool:
    """Return True for a file that is kept in memory, and sent in one piece."""
    return size is not None and size <= SMALL_FILE
