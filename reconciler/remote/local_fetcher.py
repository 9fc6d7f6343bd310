"""Fetcher over a local folder: `file://` URLs (RFC 8089), with the responses of a web server."""

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
from reconciler.remote.body_blocks import BLOCK
from reconciler.remote.fetcher import Response, Trust
from reconciler.remote.folder_listing import FOLDER_MEDIA_TYPE, etag_of, is_within, list_folder
from reconciler.remote.page_budget import current_lease
from reconciler.remote.ranges import requested_range
from reconciler.remote.responses import too_large
from reconciler.remote.urls import display_url
from reconciler.threads import in_thread

# read without a thread: from a local disk that takes less time than a thread's start
_TINY = 64 * 1024
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO})
_LAST_DATE = 253_402_300_799  # the end of the year 9999, which ends what an HTTP date can say


class LocalFetcher:
    """Fetcher of the folder that `base_url` names, or that its file lies in.

    A file has an `ETag` of its time, size and inode. A folder is a page, see `list_folder`. Raises,
    as the port says:
    Gone for what is not there; Refused for what lies outside the folder (links followed), what is
    neither file nor folder, what must not be read, and for everything while the folder itself is
    missing; Unreachable for a disk that fails and a file that changes while it is read; Malformed
    for a body larger than `limit` and for what is no file URL.
    """

    def __init__(self, base_url: str) -> None:
        """Raise UsageFault for what is no file URL. The folder need not exist yet."""
        try:
            self._base = _path(base_url)
        except (Malformed, Refused) as error:
            raise UsageFault(str(error), hint="`file:///` and an absolute path") from None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Return one whole file, or the listing of a folder, of at most `limit` bytes."""
        location = self._locate(url)
        with _opened(location) as (descriptor, facts):
            if S_ISDIR(facts.st_mode):
                return await _listed(location, headers, limit)
            response = _headers(facts)
            if _matches(response["etag"], headers):
                return Response(304, location.url, response, b"")
            if facts.st_size > limit:
                raise too_large(url, limit)
            await current_lease().take(facts.st_size)
            body = await _part(descriptor, 0, facts.st_size, location=location)
            _check_unchanged(descriptor, facts, len(body), location=location)
            return Response(200, location.url, response, body)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[_Body]:
        """Open a file, to be read piece by piece. Raises Refused for a folder."""
        return self._stream(url, headers or {})

    async def close(self) -> None:
        """Do nothing: no file stays open between requests."""

    @asynccontextmanager
    async def _stream(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[_Body]:
        location = self._locate(url)
        with _opened(location) as (descriptor, facts):
            if S_ISDIR(facts.st_mode):
                raise Refused(
                    f"`{sanitize(location.path)}` is a folder",
                    hint="a folder can be listed; its files can be downloaded",
                )
            yield _Body(descriptor, facts, location, request=headers)

    def _locate(self, url: str) -> _Location:
        """Return where a URL leads, links followed.

        Rule: nothing outside of the remote's own folder is read; raises Refused.
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
        return _Location(
            urldefrag(url).url, real + "/" if path.endswith("/") and real != "/" else real, base
        )


class _Location(NamedTuple):
    """Path of a file or folder, and the folder that it lies below.

    `path`: without links, ending with a slash where the URL does, which opens folders only; `base`:
    what it lies below.
    """

    url: str
    path: str
    base: str


class _Body:
    """An open file, or the part of it that the headers of a request ask for."""

    __slots__ = ("_descriptor", "_facts", "_location", "_start", "headers", "length", "status")

    def __init__(
        self,
        descriptor: int,
        facts: os.stat_result,
        location: _Location,
        *,
        request: Mapping[str, str],
    ) -> None:
        self._descriptor = descriptor
        self._facts = facts
        self._location = location
        self._start = 0
        self.status = 304 if _matches(etag_of(facts), request) else 200
        self.headers: Mapping[str, str] = _headers(facts)
        self.length: int | None = 0 if self.status == 304 else facts.st_size
        part = requested_range(request, facts.st_size)
        if part is not None and self.status == 200:
            self._narrow(*part)

    @property
    def url(self) -> str:
        return self._location.url

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it was opened. Raises Unreachable when it has changed by the end."""
        done, end = self._start, self._start + (self.length or 0)
        while done < end:
            part = await _part(
                self._descriptor, done, min(BLOCK, end - done), location=self._location
            )
            done += len(part)
            if not part or done == end:
                _check_unchanged(
                    self._descriptor,
                    self._facts,
                    self._facts.st_size - end + done,
                    location=self._location,
                )
                yield part
                return
            yield part

    def _narrow(self, start: int, end: int) -> None:
        size = self._facts.st_size
        self._start, self.length = start, max(0, end - start)
        self.status = 206 if self.length else 416
        content = f"{start}-{end - 1}" if self.length else "*"
        self.headers = {
            **self.headers,
            "content-length": str(self.length),
            "content-range": f"bytes {content}/{size}",
        }


@contextmanager
def _opened(location: _Location) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file or a folder. A pipe is refused, and does not block."""
    try:
        descriptor = os.open(location.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ABSENT and not os.path.isdir(
            location.base
        ):  # a disk that is not mounted says nothing about its files
            raise Refused(
                f"`{sanitize(location.path)}` cannot be read: the remote's folder"
                f" `{sanitize(location.base)}` does not exist"
            ) from None
        raise _error_of(error, location.path) from None
    try:
        facts = os.fstat(descriptor)
        if not S_ISREG(facts.st_mode) and not S_ISDIR(facts.st_mode):
            raise Refused(f"`{sanitize(location.path)}` is neither a file nor a folder")
        yield descriptor, facts
    finally:
        os.close(descriptor)


async def _listed(location: _Location, headers: Mapping[str, str], limit: int) -> Response:
    url = (
        location.url if location.url.endswith("/") else f"{location.url}/"
    )  # what relative links of a listing start from
    try:
        body = await in_thread(list_folder, location.path, location.base)
    except OSError as error:
        raise _error_of(error, error.filename or location.path) from None
    response = {"content-type": FOLDER_MEDIA_TYPE, "etag": f'"{Digest.of(body).hex}"'}
    if _matches(response["etag"], headers):
        return Response(304, url, response, b"")
    if len(body) > limit:
        raise too_large(url, limit)
    await current_lease().take(len(body))
    return Response(200, url, response, body)


async def _part(descriptor: int, start: int, count: int, *, location: _Location) -> bytes:
    try:
        return (
            os.pread(descriptor, count, start)
            if count <= _TINY
            else await in_thread(os.pread, descriptor, count, start)
        )
    except OSError as error:
        raise _error_of(error, location.path) from None


def _check_unchanged(
    descriptor: int, facts: os.stat_result, count: int, *, location: _Location
) -> None:
    """Raise Unreachable for a file that changed while it was read.

    The bytes never were a file as a whole, and its validator must not vouch for them.
    """
    if count != facts.st_size or etag_of(os.fstat(descriptor)) != etag_of(facts):
        raise Unreachable(f"`{sanitize(location.path)}` changed while it was read")


def _headers(facts: os.stat_result) -> dict[str, str]:
    return {
        "content-type": "application/octet-stream",
        "content-length": str(facts.st_size),
        "etag": etag_of(facts),
        "last-modified": formatdate(max(0, min(int(facts.st_mtime), _LAST_DATE)), usegmt=True),
    }


def _matches(etag: str, headers: Mapping[str, str]) -> bool:
    """Return True where `If-None-Match` (RFC 9110 13.1.2) lists the entity tag."""
    wanted = next((value for name, value in headers.items() if name.lower() == "if-none-match"), "")
    return wanted.strip() == "*" or etag in (
        tag.strip().removeprefix("W/") for tag in wanted.split(",")
    )


def _path(url: str) -> str:
    """Return the absolute path of a file URL, with its last slash.

    Raises Refused for other schemes and hosts, Malformed for no path.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Malformed(f"`{display_url(url)}` is no URL that can be asked") from None
    if parts.scheme != "file" or parts.netloc.lower() not in ("", "localhost"):
        raise Refused(f"`{display_url(url)}` is no file of this machine")
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if not path.startswith("/") or "\0" in path or parts.query:
        raise Malformed(
            f"`{display_url(url)}` is no URL that can be asked",
            hint="`file:///` and an absolute path, odd characters percent-encoded",
        )
    return path


def _error_of(error: OSError, path: str) -> ReconcilerError:
    location = f"`{sanitize(path)}`"
    if error.errno in _ABSENT:
        return Gone(f"{location} does not exist")
    reason = error.strerror or "no reason given"
    if error.errno in _FORBIDDEN:
        return Refused(f"{location} cannot be read: {reason}")
    return Unreachable(f"{location} cannot be read: {reason}")
