"""Measurements: digest and size of files for which upstream declares none.

The files are downloaded, or a 304 confirms an earlier download.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from reconciler.errors import DigestMismatch, NotCached, StateFault
from reconciler.model import Digest
from reconciler.remote.body_blocks import SMALL, blocks
from reconciler.remote.cache_folder import CacheFolder
from reconciler.remote.download import CHANGED_BYTES, BodyCounter
from reconciler.remote.fetcher import Fetcher, StreamedResponse, Trust
from reconciler.remote.responses import header_text
from reconciler.remote.retries import read_body
from reconciler.remote.urls import display_url
from reconciler.retrying import RetryPolicy
from reconciler.threads import in_thread

_MAGIC = b"reconciler-measure 2\n"
_NONE: Mapping[str, str] = MappingProxyType({})
# `shake` digests have no fixed length
_ALGORITHMS = frozenset(
    name for name in hashlib.algorithms_guaranteed if not name.startswith("shake")
)


class Measurement(NamedTuple):
    """Digest and size of a file.

    sha256: 64 lower-case hex digits. size: in bytes. path: the bytes, for the caller to keep or
    delete, or None without a download.
    """

    sha256: str
    size: int
    path: Path | None


class CachedMeasurement(msgspec.Struct, frozen=True):
    """Content of a URL when it was last downloaded.

    url: on disk its digest, since it may hold a token. etag, last_modified: as sent, at least one
    of them. remote_key: see
    `MeasurementCache.for_remote`. digests: of the bytes, by the other algorithms for which upstream
    declared some.
    """

    url: str
    sha256: str
    size: int
    etag: str | None = None
    last_modified: str | None = None
    remote_key: str = msgspec.field(default="", name="whose")
    digests: dict[str, str] = {}

    def condition(self) -> dict[str, str]:
        """Return a condition (RFC 9110 13.1): an entity tag is exact, a date less so."""
        if self.etag is not None:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified is not None else {}


_MEASUREMENT = msgspec.json.Decoder(CachedMeasurement)


class MeasurementCache:
    """Folder of measurements by URL.

    A cache, not state: it may be deleted at any time; where it cannot be written, nothing is
    cached.
    """

    def __init__(self, root: Path, remote_key: str = "") -> None:
        self._root = root
        self._remote_key = remote_key
        self._entries = CacheFolder(root, _MAGIC)

    def for_remote(self, remote_key: str) -> MeasurementCache:
        """Return the cache of one remote, in the same folder.

        With other credentials a URL may hold something else.
        """
        return MeasurementCache(self._root, remote_key)

    def load(self, url: str) -> CachedMeasurement | None:
        """Return what is cached of a URL, or None. Never raises for what stands in the folder."""
        payload = self._entries.load(self._key(url))
        if payload is None:
            return None
        try:
            cached = _MEASUREMENT.decode(payload)
        except msgspec.DecodeError:
            return None
        if (cached.url, cached.remote_key) != (_hidden(url), self._remote_key):
            return None
        return msgspec.structs.replace(cached, url=url)

    def store(self, measurement: CachedMeasurement) -> None:
        """Cache a measurement in the place of the one before."""
        kept = msgspec.structs.replace(
            measurement, url=_hidden(measurement.url), remote_key=self._remote_key
        )
        self._entries.store(self._key(measurement.url), msgspec.json.encode(kept))

    def drop(self, url: str) -> None:
        """Forget a URL, whose bytes turned out to be others under the same validator."""
        self._entries.drop(self._key(url))

    def _key(self, url: str) -> str:
        return f"{self._remote_key} {url}" if self._remote_key else url


def _hidden(url: str) -> str:
    return Digest.of(url.encode()).hex


async def measure(
    fetcher: Fetcher | None,
    cache: MeasurementCache,
    url: str,
    *,
    into: Path,
    retry: RetryPolicy,
    limit: int,
    digests: Mapping[str, str] = _NONE,
    progress: Callable[[int], None] = lambda count: None,
) -> Measurement:
    """Return what `url` holds now; what it held last, where `fetcher` is None (an offline run).

    Requests conditionally where the URL is cached; else downloads into a new file in the folder
    `into`, and caches what came with a validator.

    limit: as for `download`. digests: as declared, by algorithm of `hashlib`; unknown algorithms
    are ignored. retry: for a body that breaks off or has another digest. progress: as for
    `download`.

    Raises NotCached when offline and unknown, DigestMismatch, Malformed for a body beyond `limit`,
    and what the fetcher raises. Nothing of a failed try is left in `into`.
    """
    expected = _Expected(
        url, {name: digest for name, digest in digests.items() if name in _ALGORITHMS}
    )
    cached = cache.load(url)
    if cached is not None and not expected.digests.keys() <= cached.digests.keys():
        cached = None  # only the bytes can tell
    if fetcher is None:
        if cached is None:
            raise NotCached(
                f"`{display_url(url)}` was never read, so an offline run cannot know its digest",
                hint="run once without `--offline`",
            )
        return expected.confirm(cached)

    async def read(response: StreamedResponse) -> Measurement | None:
        if response.status == 304 and cached is not None:
            return None
        with BodyCounter(url, limit, progress) as counter:
            measurement, others = await _receive(response, into, counter, expected=expected)
        _remember(cache, url, measurement, digests=others, response=response)
        return measurement

    condition = cached.condition() if cached is not None else None
    trust = Trust.DIGEST if expected.digests else Trust.ORIGIN
    measurement = await read_body(retry, lambda: fetcher.stream(url, condition, trust=trust), read)
    if measurement is None:
        assert cached is not None  # only then the request was conditional
        return expected.confirm(cached)
    return measurement


class _Expected(NamedTuple):
    """Digests that upstream declares for a file."""

    url: str
    digests: dict[str, str]

    def confirm(self, cached: CachedMeasurement) -> Measurement:
        """Return what is cached, where upstream says that it has not changed. Raises as `check`."""
        self.check(cached.digests)
        return Measurement(cached.sha256, cached.size, None)

    def check(self, digests: Mapping[str, str]) -> None:
        """Raise DigestMismatch where the bytes are not those that were declared."""
        for algorithm, declared in self.digests.items():
            if digests[algorithm] != declared:
                raise DigestMismatch(
                    f"`{display_url(self.url)}` has the {algorithm} {digests[algorithm]} instead of"
                    f" {declared:.200}, which was declared for it",
                    hint=CHANGED_BYTES,
                )


def _remember(
    cache: MeasurementCache,
    url: str,
    measurement: Measurement,
    *,
    digests: dict[str, str],
    response: StreamedResponse,
) -> None:
    """Cache what came with a validator."""
    headers = {name.lower(): header_text(value) for name, value in response.headers.items()}
    entry = CachedMeasurement(
        url,
        measurement.sha256,
        measurement.size,
        headers.get("etag"),
        headers.get("last-modified"),
        digests=digests,
    )
    if entry.condition():
        cache.store(entry)
    else:
        cache.drop(url)


async def _receive(
    response: StreamedResponse, into: Path, counter: BodyCounter, *, expected: _Expected
) -> tuple[Measurement, dict[str, str]]:
    """Hash and write in worker threads, a block a call, as a download does; a small body at once.

    Returns the other digests as well.
    """
    if response.length is not None:
        counter.check(response.length)
    small = response.length is not None and response.length <= SMALL
    try:
        file = _File(into, expected.digests)
    except OSError as error:
        raise _unwritable(into, error) from None
    try:
        async for block in blocks(counter.counted(response.chunks())):
            if small:
                file.write(block)
            else:
                await in_thread(file.write, block)
        digests = file.digests()
        expected.check(digests)
        return file.done(), digests
    except BaseException as error:
        file.discard()
        if isinstance(error, OSError):  # of this file: a fetcher raises none
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
        """Return the digests of the other algorithms, in hex."""
        return {name: other.hexdigest() for name, other in self._others.items()}

    def done(self) -> Measurement:
        self._file.close()
        return Measurement(self._hash.hexdigest(), self._size, self._path)

    def discard(self) -> None:
        self._file.close()
        with suppress(OSError):
            self._path.unlink()


def _unwritable(into: Path, error: OSError) -> StateFault:
    return StateFault(
        f"`{into}` cannot be written: {error.strerror}",
        hint="downloads that are measured need room there",
    )
