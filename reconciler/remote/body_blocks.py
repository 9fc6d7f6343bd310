"""Blocks of a body: bytes gathered to a size that is worth a worker thread's call."""

from __future__ import annotations

from collections.abc import AsyncIterator

# Bytes up to which handing the interpreter lock to and fro costs more CPU than a thread takes off
# the event loop (4 ms at the most).
SMALL = 1024 * 1024
BLOCK = 1024 * 1024


async def blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of at least `BLOCK` each, except for the last.

    No piece is empty.
    """
    gathered: list[bytes] = []
    held = 0
    async for piece in pieces:
        gathered.append(piece)
        held += len(piece)
        if held >= BLOCK:
            yield b"".join(gathered)
            gathered.clear()
            held = 0
    if held:
        yield b"".join(gathered)
