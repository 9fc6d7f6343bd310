"""Reads a suite: its Release, verified and fresh, and the indexes that it lists.

An archive may move on between two reads: an index then is gone, or has other bytes. The Release is
read again in that case, and the error stands only where it is still the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from reconciler.plugin import Gone, Malformed, ReadConduit, Refused
from reconciler_deb.control.compression import unpack
from reconciler_deb.reading.index_files import (
    ANY,
    ListedIndex,
    flat_indexes,
    index_urls,
    wanted_indexes,
)
from reconciler_deb.reading.listings import Listing
from reconciler_deb.reading.suite_names import is_flat, suite_folder, unit_suite
from reconciler_deb.releases.freshness import Freshness
from reconciler_deb.releases.release_file import Release, parse_release
from reconciler_deb.releases.signatures import Keyring

_LARGEST_INDEX: Final = 768 * 1024 * 1024  # bytes, unpacked; the largest of Debian have some 60 MB
_ATTEMPTS: Final = 3


class SuiteRequest(msgspec.Struct, frozen=True):
    """Request for a suite.

    `keyring`: None for an archive that is believed without a signature. `last`: Date of the Release
    that was read last. `fresh`: whether an old one is an error.
    """

    suite: str
    components: Sequence[str]
    architectures: Sequence[str]
    keyring: Keyring | None
    fresh: bool = True
    last: datetime | None = None


class Suite(msgspec.Struct, frozen=True):
    """A Release that may be believed, and the indexes that are asked of it."""

    request: SuiteRequest
    release: Release
    indexes: Sequence[ListedIndex]

    @property
    def state(self) -> str:
        """A text that changes when one of the indexes does; a newer Date means nothing."""
        lines = [f"{each.component} {each.architecture} {each.digest}" for each in self.indexes]
        return "\n".join([self.request.suite, *sorted(lines)])


def suites_validator(suites: Sequence[Suite]) -> str:
    """Return the validator of a whole source."""
    states = "\n\n".join(sorted(suite.state for suite in suites))
    return f"indexes:{sha256(states.encode()).hexdigest()}"


async def read_suite(conduit: ReadConduit, request: SuiteRequest) -> Suite:
    """Return a suite. Raises with its name and URL where it cannot be believed, or is not fresh."""
    where = f"{conduit.url}{suite_folder(request.suite)}"
    try:
        release = parse_release(await _verified_release(conduit, request))
        if request.fresh:
            Freshness(conduit.now, request.last).check(release)
        indexes = (
            flat_indexes(release, request.architectures)
            if is_flat(request.suite)
            else wanted_indexes(release, request.components, request.architectures)
        )
    except Gone as error:
        raise Malformed(
            f"`{where}` has neither `InRelease` nor `Release`: {error}",
            hint="check the URL of the remote and the names in `suites`",
        ) from None
    except (Malformed, Refused) as error:
        raise type(error)(f"the Release of `{where}`: {error}", hint=error.hint) from None
    return Suite(request, release, indexes)


async def read_indexes(conduit: ReadConduit, suite: Suite, listing: Listing) -> Suite:
    """Add what the indexes of a suite list, and return the suite as it was read in the end."""
    for attempt in range(_ATTEMPTS):
        try:
            bodies = [await _index_body(conduit, suite, index) for index in suite.indexes]
        except (Gone, Malformed):
            newer = await read_suite(conduit, suite.request)
            if newer.state == suite.state or attempt == _ATTEMPTS - 1:
                raise
            suite = newer
        else:
            for index, body in zip(suite.indexes, bodies, strict=True):
                await asyncio.to_thread(_add, listing, suite.request, index, body=body)
            return suite
    raise AssertionError("the last attempt returns or raises")


def _add(listing: Listing, request: SuiteRequest, index: ListedIndex, *, body: bytes) -> None:
    suite = unit_suite(request.suite)
    if index.architecture == ANY:
        listing.add_flat(suite, index.component, request.architectures, body=body)
    else:
        listing.add(suite, index.component, index.architecture, body=body)


async def _verified_release(conduit: ReadConduit, request: SuiteRequest) -> bytes:
    folder = suite_folder(request.suite)
    keyring = request.keyring
    try:
        signed = (await conduit.get(f"{folder}InRelease")).body
    except Gone:
        text = (await conduit.get(f"{folder}Release")).body
        if keyring is None:
            return text
        signature = (await conduit.get(f"{folder}Release.gpg")).body
        return await asyncio.to_thread(keyring.verified_text, text, signature)
    if keyring is None:
        return unsigned_text(signed)
    return await asyncio.to_thread(keyring.verified_text, signed)


def unsigned_text(signed: bytes) -> bytes:
    """Return the text within a signature that is not verified (RFC 9580 7)."""
    text = signed.replace(b"\r\n", b"\n")
    if not text.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\n"):
        return text
    body = text.partition(b"\n\n")[2].partition(b"\n-----BEGIN PGP SIGNATURE-----")[0]
    return b"\n".join(line.removeprefix(b"- ") for line in body.split(b"\n"))


async def _index_body(conduit: ReadConduit, suite: Suite, index: ListedIndex) -> bytes:
    """Return an index, unpacked and compared with what the Release says of it."""
    failure: Exception | None = None
    for ending, file in index.choices:
        for url in index_urls(suite.request.suite, file, by_hash=suite.release.by_hash):
            try:
                body = await conduit.get_file(url, sha256=file.sha256)
            except Gone as error:  # listed, and not served: another compression may be
                failure = error
                continue
            if len(body) != file.size:
                raise Malformed(f"`{file.path}` has {len(body):,} bytes, not {file.size:,}")
            return await asyncio.to_thread(_unpacked, index, file.path, body, ending=ending)
    assert failure is not None
    raise failure


def _unpacked(index: ListedIndex, path: str, body: bytes, *, ending: str) -> bytes:
    limit = index.plain.size if index.plain is not None else _LARGEST_INDEX
    try:
        plain = unpack(body, ending, limit=min(limit, _LARGEST_INDEX))
    except Malformed as error:
        raise Malformed(f"`{path}`: {error}") from None
    if index.plain is not None and sha256(plain).hexdigest() != index.plain.sha256:
        raise Malformed(f"`{path}` holds another index than its Release says")
    return plain
