"""Relay: upstream's bytes to a client and into the store, in one pass."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from reconciler.errors import DigestMismatch
from reconciler.model import Digest
from reconciler.remote.body_blocks import blocks
from reconciler.remote.download import ArtifactStore, BodyCounter, with_url
from reconciler.remote.fetcher import Fetcher
from reconciler.remote.resumption import ResumedStream
from reconciler.threads import in_thread


async def relay(
    fetcher: Fetcher,
    store: ArtifactStore,
    url: str,
    *,
    expected: Digest,
    limit: int,
    announce: Callable[[int | None], None] = lambda length: None,
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of `url` in blocks of about 1 MiB, written into `store` on their way.

    limit: as for `download`. announce: called with the length that upstream announces, or None,
    before the first block.

    The last block is given out only after the digest of all of them was right and the store has
    them; so no client ever holds a whole body of wrong bytes, and a body of one block is right or
    not given at all. Holds two blocks at the most. A body that breaks off goes on
    where it ended, where the server can do that; nothing else is retried.

    Raises DigestMismatch, Malformed for a body beyond `limit`, and what the fetcher raises, also in
    its middle; nothing of it stays in the store then, nor when the caller stops early (`aclose`,
    as `contextlib.aclosing` does it).
    """
    counter = BodyCounter(url, limit, lambda count: None)
    async with ResumedStream(fetcher, url) as response:
        if response.length is not None:
            counter.check(response.length)
        announce(response.length)
        incoming = store.incoming()
        held = b""
        try:
            async for block in blocks(counter.counted(response.chunks())):
                await in_thread(incoming.write, block)
                if held:
                    yield held
                held = block
            await in_thread(incoming.keep, expected)
        except DigestMismatch as error:
            raise with_url(error, url) from None
        finally:
            incoming.discard()  # of no effect once the bytes are kept
    if held:
        yield held
