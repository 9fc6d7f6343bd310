"""The fetcher over aiohttp: the only module that knows that library, loaded with the first request.

What aiohttp would do by itself is switched off where it costs or decides too much: cookies,
redirects (ours keep credentials at home), decompression (ours is bounded), `.netrc`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from reconciler import __version__
from reconciler.errors import Malformed, ReconcilerError, Refused, Unreachable
from reconciler.model import Remote
from reconciler.remote.addresses import EnvironmentProxies, shown
from reconciler.remote.fetcher import Response
from reconciler.remote.responses import (
    check_status,
    is_conditional,
    is_ranged,
    too_large,
    whole_body,
)
from reconciler.remote.secrets import Credentials
from reconciler.remote.tls import TlsContexts

MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUFFER = (
    256 * 1024
)  # aiohttp pauses the socket at twice this: few pauses, and a piece stays under 1 MiB
_PLAIN = r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*"
_PLAIN_URL = re.compile(rf"https?://[a-z0-9.\-\[\]:]+/{_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*")
_FAILURES = (
    aiohttp.ClientError,
    OSError,
    ValueError,
)  # TimeoutError is an OSError, a bad URL a ValueError


class AiohttpFetcher:
    """The port over one connection pool. `base_url` says which host is the remote's own; None: no
    host is.
    """

    def __init__(
        self, remote: Remote, base_url: str | None, credentials: Credentials, tls: TlsContexts
    ) -> None:
        base = _parsed(base_url) if base_url is not None else None
        self._origin = _origin(base) if base is not None else None
        self._prefix = f"{base.origin()}/" if base is not None else None
        self._own_headers = {
            name: concealed.value for name, concealed in credentials.headers.items()
        }
        self._tls = tls
        self._proxy = remote.proxy
        self._environment = EnvironmentProxies() if remote.proxy is None else None
        self._concurrency = remote.concurrency
        self._timeout = aiohttp.ClientTimeout(
            total=remote.total_timeout,
            connect=remote.connect_timeout,
            sock_connect=remote.connect_timeout,
            sock_read=remote.read_timeout,
        )
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """One whole body of at most `limit` bytes after decompression."""
        response = await self._open(url, {**headers, "Accept-Encoding": "gzip, deflate"})
        try:
            length = response.content_length
            if length is not None and length > limit:
                raise too_large(url, limit)
            body = await whole_body(
                _pieces(response, url), response.headers.get("Content-Encoding"), limit, url
            )
            return Response(
                response.status,
                str(response.url),
                {name.lower(): value for name, value in response.headers.items()},
                body,
            )
        finally:
            response.release()

    def stream(self, url: str, headers: Mapping[str, str] | None = None) -> _Opening:
        """A body piece by piece, as it is on disk there."""
        return _Opening(self, url, headers)

    async def close(self) -> None:
        """Close the connections. The fetcher is over then."""
        if self._session is not None:
            await self._session.close()

    async def _open(self, url: str, headers: Mapping[str, str] | None) -> aiohttp.ClientResponse:
        """Follow redirects up to a usable answer. Credentials end with the first hop that leaves
        the remote's own host.
        """
        try:
            target = _parsed(url)
            own = (self._prefix is not None and url.startswith(self._prefix)) or _origin(
                target
            ) == self._origin
            response = await self._ask(target, headers, own)
            seen: set[URL] = set()
            while response.status in _REDIRECTS:
                seen.add(target)
                target = _next(target, response, seen, url)
                own = own and _origin(target) == self._origin
                response = await self._ask(target, headers, own)
        except _FAILURES as error:
            raise _explained(error, url, self._timeout) from None
        try:
            check_status(
                response.status,
                str(target),
                response.headers.get("Retry-After"),
                ranged=is_ranged(headers),
            )
        except ReconcilerError:
            response.release()
            raise
        return response

    async def _ask(
        self, target: URL, headers: Mapping[str, str] | None, own: bool
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = self._new_session()
        if own and self._own_headers:
            headers = {**self._own_headers, **headers} if headers else self._own_headers
        return await self._session.get(
            target,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls.own if own else self._tls.other,
            proxy=(
                self._environment.proxy_for(target.scheme, target.raw_host or "")
                if self._environment
                else self._proxy
            ),
        )

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._concurrency, ttl_dns_cache=300, keepalive_timeout=30
            ),
            headers={
                "User-Agent": f"reconciler/{__version__}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            },
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_BUFFER,
        )


class _Opening:
    """What `stream` returns: asks on entering, lets go of the connection on leaving."""

    __slots__ = ("_fetcher", "_headers", "_response", "_url")

    def __init__(
        self, fetcher: AiohttpFetcher, url: str, headers: Mapping[str, str] | None
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._headers = headers
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> _Body:
        response = await self._fetcher._open(self._url, self._headers)
        if response.status == 304 and not is_conditional(self._headers):
            response.release()
            raise Malformed(
                f"`{shown(self._url)}` answered 304 Not Modified, which was not asked for"
            )
        self._response = response
        return _Body(response, self._url)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is not None:
            self._response.release()  # closes the connection when part of the body is still to come


class _Body:
    """An open answer."""

    __slots__ = ("_asked", "_response", "headers", "length", "status")

    def __init__(self, response: aiohttp.ClientResponse, asked: str) -> None:
        self._response = response
        self._asked = asked
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.length = response.content_length

    @property
    def url(self) -> str:
        return str(self._response.url)

    def chunks(self) -> AsyncIterator[bytes]:
        return _pieces(self._response, self._asked)


async def _pieces(response: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
    read = response.content.readany
    try:
        while piece := await read():
            yield piece
    except _FAILURES as error:
        raise _explained(error, url, None) from None


def _parsed(url: str) -> URL:
    """As it is written where every character may stand in a request (signed URLs must not be
    requoted), else quoted.

    A user and a password in it are dropped: credentials come from the remote's `auth` only.
    """
    if _PLAIN_URL.fullmatch(url):
        return URL(url, encoded=True)
    return URL(url).with_user(None)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _next(target: URL, response: aiohttp.ClientResponse, seen: set[URL], asked: str) -> URL:
    """Where a redirect leads. Raises Refused for a loop, too many hops, and a way out of TLS."""
    location = response.headers.get("Location")
    response.release()
    if not location:
        raise Malformed(f"`{shown(str(target))}` redirects without saying where to")
    following = _parsed(urljoin(str(target), location)).with_fragment(None)
    if following in seen:
        raise Refused(f"`{shown(asked)}` redirects in a loop, through `{shown(str(following))}`")
    if len(seen) > MAX_REDIRECTS:
        raise Refused(f"`{shown(asked)}` redirects more than {MAX_REDIRECTS} times")
    if target.scheme == "https" and following.scheme == "http":
        raise Refused(
            f"`{shown(asked)}` redirects from https to http, to `{shown(str(following))}`"
        )
    return following


def _explained(
    error: Exception, url: str, timeout: aiohttp.ClientTimeout | None
) -> ReconcilerError:
    """aiohttp's exceptions in our words. Their own text may hold headers and URLs with credentials,
    so it is not passed on.
    """
    place = f"`{shown(url)}`"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "it does not match"
            return Refused(
                f"{place} has a certificate that is not trusted: {reason}",
                hint="name the authority that signed it in `tls.ca` of the remote",
            )
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(f"{place}: the host name does not resolve")
        case aiohttp.ClientConnectorSSLError() if not isinstance(
            error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError
        ):
            return Refused(
                f"{place}: the TLS handshake failed:"
                f" {getattr(error.os_error, 'reason', None) or 'no reason given'}"
            )
        case aiohttp.ConnectionTimeoutError():
            return Unreachable(
                f"{place}: no connection"
                + (f" within {timeout.connect:g} s" if timeout and timeout.connect else "")
            )
        case asyncio.TimeoutError():
            return Unreachable(
                f"{place}: no answer, or no end of it, within the time-out",
                hint="`timeouts` of the remote sets the limits",
            )
        case aiohttp.ClientHttpProxyError():
            return _proxy_refusal(place, error.status)
        case aiohttp.ClientProxyConnectionError():
            return Unreachable(
                f"{place}: no connection to the proxy:"
                f" {error.os_error.strerror or 'it does not answer'}"
            )
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Malformed(f"{place} is no URL that can be asked")
        case aiohttp.ClientConnectorError() | aiohttp.ClientOSError() | OSError():
            return Unreachable(f"{place}: {error.strerror or 'the connection broke'}")
        case aiohttp.ClientPayloadError():
            return Unreachable(f"{place} ended before its body was whole")
        case aiohttp.ClientResponseError():
            return Unreachable(f"{place} answered with something that is not HTTP")
        case aiohttp.ClientError():
            return Unreachable(f"{place}: the connection was closed before the answer")
        case _:
            return Malformed(f"{place} is no URL that can be asked")


def _proxy_refusal(place: str, status: int) -> ReconcilerError:
    if status == 407:
        return Refused(
            f"{place}: the proxy wants credentials (407)",
            hint="put them into the variable or the setting that names the proxy",
        )
    return Unreachable(f"{place}: the proxy answered {status}")
