"""The fetcher over a local folder: `file://` URLs (RFC 8089), answered the way a careful web server
would answer them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from email.utils import formatdate
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urldefrag, urlsplit

from reconciler.errors import Gone, Malformed, ReconcilerError, Refused, Unreachable, UsageFault
from reconciler.model import Digest
from reconciler.redaction import sanitize
from reconciler.remote.addresses import shown
from reconciler.remote.blocks import BLOCK
from reconciler.remote.fetcher import Response
from reconciler.remote.folder_listing import FOLDER_MEDIA_TYPE, etag_of, is_within, listing
from reconciler.remote.ranges import window
from reconciler.remote.responses import too_large
from reconciler.threads import in_thread

_TINY = (
    64 * 1024
)  # read without a thread: from the machine's own disk that takes less time than a thread's start
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})
_LAST_DATE = 253_402_300_799  # the end of the year 9999, which ends what an HTTP date can say


class FileFetcher:
    """The port over the folder that `base_url` names, or that its file lies in.

    A file is answered with its bytes, an `ETag` of its time, size and inode, and 304 to whoever
    knows that one. A folder is answered with a listing, see `listing`. Raises, as the port says:
    Gone for what is not there; Refused for what lies outside the folder (links followed), what is
    neither file nor folder, what must not be read, and for everything while the folder itself is
    missing; Unreachable for a disk that fails and a file that changes while it is read; Malformed
    for a body larger than `limit` and for what is no file URL.
    """

    def __init__(self, base_url: str) -> None:
        """Raises UsageFault for what is no file URL. The folder need not be there yet."""
        try:
            self._base = _path(base_url)
        except (Malformed, Refused) as error:
            raise UsageFault(str(error), hint="`file:///` and an absolute path") from None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """One whole file, or the listing of a folder, of at most `limit` bytes."""
        place = self._place(url)
        with _opened(place) as (descriptor, facts):
            if S_ISDIR(facts.st_mode):
                return await _listed(place, headers, limit)
            answered = _headers(facts)
            if _known(answered["etag"], headers):
                return Response(304, place.url, answered, b"")
            if facts.st_size > limit:
                raise too_large(url, limit)
            body = await _part(descriptor, 0, facts.st_size, place)
            _check_unchanged(descriptor, facts, len(body), place)
            return Response(200, place.url, answered, body)

    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[_Body]:
        """A file piece by piece. A folder is refused."""
        return self._stream(url, headers or {})

    async def close(self) -> None:
        """Nothing stays open between requests."""

    @asynccontextmanager
    async def _stream(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[_Body]:
        place = self._place(url)
        with _opened(place) as (descriptor, facts):
            if S_ISDIR(facts.st_mode):
                raise Refused(
                    f"`{sanitize(place.path)}` is a folder",
                    hint="a folder can be listed; its files can be downloaded",
                )
            yield _Body(descriptor, facts, place, headers)

    def _place(self, url: str) -> _Place:
        """Where a URL leads, links followed. Raises Refused when that is not below the remote's own
        folder.
        """
        folder = (
            self._base
            if self._base.endswith("/") or os.path.isdir(self._base)
            else os.path.dirname(self._base)
        )
        base = os.path.realpath(folder)
        path = _path(url)
        real = os.path.realpath(path)
        if not is_within(real, base):
            raise Refused(
                f"`{sanitize(path)}` lies outside `{sanitize(folder)}`, the folder of its remote"
            )
        return _Place(
            urldefrag(url).url, real + "/" if path.endswith("/") and real != "/" else real, base
        )


class _Place(NamedTuple):
    """`path`: without links, ending with a slash where the URL does, which opens folders only;
    `base`: what it lies below.
    """

    url: str
    path: str
    base: str


class _Body:
    """An open file, or the part of it that `asked` asks for."""

    __slots__ = ("_descriptor", "_facts", "_place", "_start", "headers", "length", "status")

    def __init__(
        self, descriptor: int, facts: os.stat_result, place: _Place, asked: Mapping[str, str]
    ) -> None:
        self._descriptor = descriptor
        self._facts = facts
        self._place = place
        self._start = 0
        self.status = 304 if _known(etag_of(facts), asked) else 200
        self.headers: Mapping[str, str] = _headers(facts)
        self.length: int | None = 0 if self.status == 304 else facts.st_size
        part = window(asked, facts.st_size)
        if part is not None and self.status == 200:
            self._narrow(*part)

    @property
    def url(self) -> str:
        return self._place.url

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it was when it was opened. Raises Unreachable when it is another by the end."""
        done, end = self._start, self._start + (self.length or 0)
        while done < end:
            part = await _part(self._descriptor, done, min(BLOCK, end - done), self._place)
            done += len(part)
            if not part or done == end:
                _check_unchanged(
                    self._descriptor, self._facts, self._facts.st_size - end + done, self._place
                )
                yield part
                return
            yield part

    def _narrow(self, start: int, end: int) -> None:
        size = self._facts.st_size
        self._start, self.length = start, max(0, end - start)
        self.status = 206 if self.length else 416
        said = f"{start}-{end - 1}" if self.length else "*"
        self.headers = {
            **self.headers,
            "content-length": str(self.length),
            "content-range": f"bytes {said}/{size}",
        }


@contextmanager
def _opened(place: _Place) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of a regular file or a folder, and what it is. A pipe is refused, not waited
    for.
    """
    try:
        descriptor = os.open(place.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ABSENT and not os.path.isdir(
            place.base
        ):  # a disk that is not mounted says nothing about its files
            raise Refused(
                f"`{sanitize(place.path)}` cannot be read: the remote's folder"
                f" `{sanitize(place.base)}` does not exist"
            ) from None
        raise _explained(error, place.path) from None
    try:
        facts = os.fstat(descriptor)
        if not S_ISREG(facts.st_mode) and not S_ISDIR(facts.st_mode):
            raise Refused(f"`{sanitize(place.path)}` is neither a file nor a folder")
        yield descriptor, facts
    finally:
        os.close(descriptor)


async def _listed(place: _Place, headers: Mapping[str, str], limit: int) -> Response:
    url = (
        place.url if place.url.endswith("/") else f"{place.url}/"
    )  # what relative links of a listing start from
    try:
        body = await in_thread(listing, place.path, place.base)
    except OSError as error:
        raise _explained(error, error.filename or place.path) from None
    answered = {"content-type": FOLDER_MEDIA_TYPE, "etag": f'"{Digest.of(body).hex}"'}
    if _known(answered["etag"], headers):
        return Response(304, url, answered, b"")
    if len(body) > limit:
        raise too_large(url, limit)
    return Response(200, url, answered, body)


async def _part(descriptor: int, start: int, count: int, place: _Place) -> bytes:
    try:
        return (
            os.pread(descriptor, count, start)
            if count <= _TINY
            else await in_thread(os.pread, descriptor, count, start)
        )
    except OSError as error:
        raise _explained(error, place.path) from None


def _check_unchanged(descriptor: int, facts: os.stat_result, count: int, place: _Place) -> None:
    """A file that is written while it is read gives bytes that never were a file; its validator
    must not vouch for them.
    """
    if count != facts.st_size or etag_of(os.fstat(descriptor)) != etag_of(facts):
        raise Unreachable(f"`{sanitize(place.path)}` changed while it was read")


def _headers(facts: os.stat_result) -> dict[str, str]:
    return {
        "content-type": "application/octet-stream",
        "content-length": str(facts.st_size),
        "etag": etag_of(facts),
        "last-modified": formatdate(max(0, min(int(facts.st_mtime), _LAST_DATE)), usegmt=True),
    }


def _known(etag: str, headers: Mapping[str, str]) -> bool:
    """Is the entity tag among those of `If-None-Match` (RFC 9110 13.1.2)? Its names are compared in
    any case.
    """
    wanted = next((value for name, value in headers.items() if name.lower() == "if-none-match"), "")
    return wanted.strip() == "*" or etag in (
        one.strip().removeprefix("W/") for one in wanted.split(",")
    )


def _path(url: str) -> str:
    """The absolute path behind a file URL, with its last slash. Raises Refused for other schemes
    and hosts, Malformed for no path.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Malformed(f"`{shown(url)}` is no URL that can be asked") from None
    if parts.scheme != "file" or parts.netloc.lower() not in ("", "localhost"):
        raise Refused(f"`{shown(url)}` is no file of this machine")
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if not path.startswith("/") or "\0" in path or parts.query:
        raise Malformed(
            f"`{shown(url)}` is no URL that can be asked",
            hint="`file:///` and an absolute path, odd characters percent-encoded",
        )
    return path


def _explained(error: OSError, path: str) -> ReconcilerError:
    place = f"`{sanitize(path)}`"
    if error.errno in _ABSENT:
        return Gone(f"{place} does not exist")
    reason = error.strerror or "no reason given"
    if error.errno in _FORBIDDEN:
        return Refused(f"{place} cannot be read: {reason}")
    return Unreachable(f"{place} cannot be read: {reason}")
