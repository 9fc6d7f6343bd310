"""A form with one file as the body of a request (RFC 7578), streamed from the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from secrets import token_hex
from typing import BinaryIO

from reconciler.errors import Refused
from reconciler.plugin import UploadForm

_BLOCK = 256 * 1024


class FormBody:
    """Body of a request, see `reconciler.remote.RequestBody`.

    Its length is known in advance: many servers do not take a body in chunks. `counted`: called
    with the number of bytes of the file that went out; negative where they are sent again.
    """

    def __init__(
        self,
        form: UploadForm,
        open_file: Callable[[], BinaryIO],
        size: int,
        *,
        counted: Callable[[int], None],
    ) -> None:
        self._boundary = f"reconciler-{token_hex(16)}"
        self._head = _head(form, self._boundary)
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()
        self._open_file = open_file
        self._size = size
        self._counted = counted
        self._sent = 0

    @property
    def media_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the form from its beginning."""
        self._counted(-self._sent)
        self._sent = 0
        yield self._head
        with await asyncio.to_thread(self._open_file) as stream:
            while block := await asyncio.to_thread(stream.read, _BLOCK):
                yield block
                self._sent += len(block)
                self._counted(len(block))
        yield self._tail


def _head(form: UploadForm, boundary: str) -> bytes:
    parts = [_part(boundary, f'name="{_quoted(name)}"') + value for name, value in form.fields]
    file = f'name="{_quoted(form.field)}"; filename="{_quoted(form.filename)}"'
    if not form.media_type.isprintable():
        raise Refused(f"`{form.filename}` has a media type that no header can hold")
    parts.append(_part(boundary, file, f"Content-Type: {form.media_type}\r\n"))
    return "\r\n".join(parts).encode()


def _part(boundary: str, disposition: str, header: str = "") -> str:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{header}\r\n"


def _quoted(text: str) -> str:
    """Return a name as a header holds it: as browsers write it (WHATWG)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
