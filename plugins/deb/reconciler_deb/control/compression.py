"""Compressed indexes and archives, unpacked within limits."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from reconciler.plugin import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENDINGS: Final = (".zst", ".xz", ".gz", ".bz2", "")
"""Endings of an index, the one that is read first where an archive has several."""

_BLOCK: Final = 1024 * 1024
_XZ_MEMORY: Final = 128 * 1024 * 1024  # bytes: `xz -9` needs 65 MiB to unpack


class _Decompressor(Protocol):
    """Common interface of the decompressors of the standard library."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decompressor of gzip, with the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_MAKERS: Final[dict[str, Callable[[], Any]]] = {
    ".gz": _Gzip,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    ".lzma": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
    ".zst": zstd.ZstdDecompressor,
}


def unpack(body: bytes, ending: str, *, limit: int) -> bytes:
    """Return the bytes that a compressed body holds; `ending` (`.xz`) names the compression.

    Several streams one behind the other are one body. Raises Malformed for more than `limit` bytes,
    a body that breaks off, and what cannot be unpacked.
    """
    if not ending:
        if len(body) > limit:
            raise _too_long(limit)
        return body
    if ending not in _MAKERS:
        raise Malformed(f"`{ending[:20]}` is no compression that is known here")
    try:
        return _unpack_streams(body, _MAKERS[ending], limit)
    except (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, ValueError, EOFError) as error:
        raise Malformed(f"it cannot be unpacked: {error}") from None


def _unpack_streams(body: bytes, make: Callable[[], _Decompressor], limit: int) -> bytes:
    blocks: list[bytes] = []
    size, rest = 0, body
    while rest:
        decompressor = make()
        given = rest
        while not decompressor.eof:
            block = decompressor.decompress(given, _BLOCK)
            given = b""
            size += len(block)
            if size > limit:
                raise _too_long(limit)
            blocks.append(block)
            if not block and decompressor.needs_input and not decompressor.eof:
                raise Malformed("it breaks off")
        rest = decompressor.unused_data.lstrip(b"\0")  # padding between streams, of xz and of tar
    return b"".join(blocks)


def _too_long(limit: int) -> Malformed:
    return Malformed(f"it unpacks to more than {limit:,} bytes")
