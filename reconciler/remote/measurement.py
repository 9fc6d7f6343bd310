"""Measuring: the digest of what upstream declares none of, by downloading it, or by hearing that it
is what it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random as _random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from reconciler.errors import DigestMismatch, Malformed, NotCached, StateFault, Temporary
from reconciler.remote.addresses import shown
from reconciler.remote.blocks import SMALL, blocks
from reconciler.remote.cache_folder import Entries
from reconciler.remote.download import Received
from reconciler.remote.fetcher import Fetcher, Stream
from reconciler.remote.retry import Random, Sleep, delay
from reconciler.threads import in_thread

_MAGIC = b"reconciler-measure 1\n"
_NONE: Mapping[str, str] = MappingProxyType({})
_ALGORITHMS = frozenset(
    name for name in hashlib.algorithms_guaranteed if not name.startswith("shake")
)  # those are of any length one likes


class Measured(NamedTuple):
    """`sha256`: 64 lower-case hex digits; `size` in bytes; `path`: the bytes, for the caller to
    keep or delete, or None without a download.
    """

    sha256: str
    size: int
    path: Path | None


class Measure(msgspec.Struct, frozen=True):
    """What a URL held when it was last downloaded. `etag`, `last_modified`: as sent, at least one
    of them; `whose`: as of `MeasureCache.of`.

    `digests`: others that the bytes have, as far as somebody declared any.
    """

    url: str
    sha256: str
    size: int
    etag: str | None = None
    last_modified: str | None = None
    whose: str = ""
    digests: dict[str, str] = {}

    def condition(self) -> dict[str, str]:
        """RFC 9110 13.1: an entity tag is exact, a date is second best."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified is not None else {}


_MEASURE = msgspec.json.Decoder(Measure)


class MeasureCache:
    """A folder of measures by URL. A cache, not state: anybody may delete it; where it cannot be
    written, nothing is remembered.
    """

    def __init__(self, root: Path, whose: str = "") -> None:
        self._root = root
        self._whose = whose
        self._entries = Entries(root, _MAGIC)

    def of(self, whose: str) -> MeasureCache:
        """What is remembered for one remote alone, in the same folder: with other credentials one
        URL may hold something else.
        """
        return MeasureCache(self._root, whose)

    def load(self, url: str) -> Measure | None:
        """What is known of a URL, or None. Never raises for what stands in the folder."""
        payload = self._entries.load(self._key(url))
        if payload is None:
            return None
        try:
            known = _MEASURE.decode(payload)
        except msgspec.DecodeError:
            return None
        return known if (known.url, known.whose) == (url, self._whose) else None

    def store(self, measure: Measure) -> None:
        """Remember a measure in the place of the one before."""
        self._entries.store(
            self._key(measure.url),
            msgspec.json.encode(msgspec.structs.replace(measure, whose=self._whose)),
        )

    def drop(self, url: str) -> None:
        """Forget a URL: the bytes behind it turned out to be others under the same validator."""
        self._entries.drop(self._key(url))

    def _key(self, url: str) -> str:
        return f"{self._whose} {url}" if self._whose else url


async def measure(
    fetcher: Fetcher | None,
    measures: MeasureCache,
    url: str,
    into: Path,
    *,
    retries: int,
    size: int | None = None,
    digests: Mapping[str, str] = _NONE,
    progress: Callable[[int], None] = lambda count: None,
    sleep: Sleep = asyncio.sleep,
    random: Random = _random.random,
) -> Measured:
    """What `url` holds now. `fetcher`: None for an offline run, which is told what was known last.

    Asks conditionally where the URL is known; else downloads into a new file in the folder `into`,
    and remembers what came with a validator. `size`: as declared, or None; `digests`: as declared,
    by algorithm of `hashlib`, unknown ones being left alone; `progress`: as for `download`. A body
    that breaks off or has another digest is fetched again, up to `retries` times. Raises NotCached
    when offline and unknown, DigestMismatch, Malformed for a body of another size than declared,
    and what the fetcher raises. Nothing of a failed try is left in `into`.
    """
    expected = _Expected(
        url, size, {name: digest for name, digest in digests.items() if name in _ALGORITHMS}
    )
    known = measures.load(url)
    if known is not None and not expected.digests.keys() <= known.digests.keys():
        known = None  # only the bytes can tell
    if fetcher is None:
        if known is None:
            raise NotCached(
                f"`{shown(url)}` was never read, so an offline run cannot know its digest",
                hint="run once without `--offline`",
            )
        return expected.confirmed(known)
    attempt = 0
    while True:
        received = Received(url, size, progress)
        async with fetcher.stream(url, known.condition() if known is not None else None) as stream:
            if stream.status == 304 and known is not None:
                return expected.confirmed(known)
            try:
                measured, found = await _take(stream, into, received, expected)
            except (Temporary, DigestMismatch):
                received.take_back()
                if attempt >= retries:
                    raise
            except BaseException:
                received.take_back()
                raise
            else:
                _remember(measures, url, measured, found, stream)
                return measured
        await sleep(delay(attempt, random))
        attempt += 1


class _Expected(NamedTuple):
    """What was declared of a file."""

    url: str
    size: int | None
    digests: dict[str, str]

    def confirmed(self, known: Measure) -> Measured:
        """What is known, where upstream says that it is so still."""
        if self.size is not None and self.size != known.size:
            raise Malformed(
                f"`{shown(self.url)}` has {known.size:,} bytes instead of the {self.size:,} that"
                " were declared for it"
            )
        self.check(known.digests)
        return Measured(known.sha256, known.size, None)

    def check(self, found: Mapping[str, str]) -> None:
        """Raises DigestMismatch where the bytes are not those that were declared."""
        for algorithm, declared in self.digests.items():
            if found[algorithm] != declared:
                raise DigestMismatch(
                    f"`{shown(self.url)}` has the {algorithm} {found[algorithm]} instead of"
                    f" {declared:.200}, which was declared for it",
                    hint=(
                        "upstream serves other bytes than it declares, or something on the way"
                        " changes them"
                    ),
                )


def _remember(
    measures: MeasureCache, url: str, measured: Measured, digests: dict[str, str], stream: Stream
) -> None:
    headers = {name.lower(): value for name, value in stream.headers.items()}
    found = Measure(
        url,
        measured.sha256,
        measured.size,
        headers.get("etag"),
        headers.get("last-modified"),
        digests=digests,
    )
    if found.condition():
        measures.store(found)
    else:
        measures.drop(url)


async def _take(
    stream: Stream, into: Path, received: Received, expected: _Expected
) -> tuple[Measured, dict[str, str]]:
    """Hash and write in worker threads, a block a call, as a download does; a small body in one go.
    Returns the other digests as well.
    """
    if stream.length is not None:
        received.check(stream.length)
    small = stream.length is not None and stream.length <= SMALL
    try:
        file = _File(into, expected.digests)
    except OSError as error:
        raise _unwritable(into, error) from None
    try:
        async for block in blocks(received.counted(stream.chunks())):
            if small:
                file.write(block)
            else:
                await in_thread(file.write, block)
        received.finish()
        found = file.digests()
        expected.check(found)
        return file.done(), found
    except BaseException as error:
        file.discard()
        if isinstance(error, OSError):  # a fetcher's own are errors of ours by now
            raise _unwritable(into, error) from None
        raise


class _File:
    """A new file, hashed as it is written."""

    def __init__(self, into: Path, algorithms: Iterable[str]) -> None:
        descriptor, name = tempfile.mkstemp(prefix="measured-", dir=into)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._hash = hashlib.sha256()
        self._others = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._size = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        for other in self._others.values():
            other.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._size += len(data)

    def digests(self) -> dict[str, str]:
        """Those that were asked for, in hex."""
        return {name: one.hexdigest() for name, one in self._others.items()}

    def done(self) -> Measured:
        self._file.close()
        return Measured(self._hash.hexdigest(), self._size, self._path)

    def discard(self) -> None:
        self._file.close()
        with suppress(OSError):
            self._path.unlink()


def _unwritable(into: Path, error: OSError) -> StateFault:
    return StateFault(
        f"`{into}` cannot be written: {error.strerror}",
        hint="downloads that are measured need room there",
    )
