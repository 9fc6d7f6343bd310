"""Fetcher over aiohttp: the only module that knows that library, loaded with the first request.

What aiohttp would do by itself is switched off where it costs or decides too much: cookies,
redirects (`egress` has the rules), decompression (ours is bounded), `.netrc`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from reconciler import __version__
from reconciler.errors import Malformed, ReconcilerError, Refused, Unreachable
from reconciler.model import Remote, pluralize
from reconciler.remote.addresses import AddressRule, ForbiddenAddressError
from reconciler.remote.credentials import Credentials
from reconciler.remote.egress import CredentialScope, OriginRule, RedirectChain, request_url
from reconciler.remote.fetcher import Response, Trust
from reconciler.remote.responses import (
    check_status,
    header_text,
    is_conditional,
    is_ranged,
    too_large,
    whole_body,
)
from reconciler.remote.sending import RequestBody
from reconciler.remote.tls import TlsContexts
from reconciler.remote.urls import EnvironmentProxies, display_url

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# aiohttp pauses the socket at twice this: few pauses, and a piece stays under 1 MiB
_BUFFER = 256 * 1024
# TimeoutError is an OSError, a URL that cannot be parsed a ValueError
FAILURES = (aiohttp.ClientError, OSError, ValueError)

_AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

logger = logging.getLogger(__name__)


class HttpFetcher:
    """Fetcher over one connection pool. base_url: the remote's own URL, see `CredentialScope`."""

    def __init__(
        self, remote: Remote, base_url: str | None, credentials: Credentials, *, tls: TlsContexts
    ) -> None:
        self._scope = CredentialScope(base_url)
        self._origins = OriginRule(remote, base_url)
        self._addresses = AddressRule(remote.egress, self._origins.host)
        self._own_headers = {name: secret.value for name, secret in credentials.headers.items()}
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
        # a host may send interim responses (RFC 9110 15.2) or headers for ever, a piece at a time
        self._headers_timeout = remote.connect_timeout + remote.read_timeout
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by: through a proxy

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Return one whole body of at most `limit` bytes after decompression."""
        record = RequestLog(url)
        headers = {**headers, "Accept-Encoding": "gzip, deflate"}
        response = await self._open(url, headers, Trust.ORIGIN)
        try:
            length = response.content_length
            if length is not None and length > limit:
                raise too_large(url, limit)
            body = await whole_body(
                _pieces(response, url), response.headers.get("Content-Encoding"), limit, url=url
            )
        finally:
            response.release()
        record.write(response.status, len(body))
        return Response(
            response.status,
            str(response.url),
            {name.lower(): header_text(value) for name, value in response.headers.items()},
            body,
        )

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> _Opening:
        """Return a body piece by piece, as the server stores it."""
        return _Opening(self, url, headers, trust=trust)

    async def close(self) -> None:
        """Close the connections. The fetcher cannot be used afterwards."""
        for session in self._sessions.values():
            await session.close()

    async def _open(
        self, url: str, headers: Mapping[str, str] | None, trust: Trust
    ) -> aiohttp.ClientResponse:
        """Return a usable response, after redirects."""
        try:
            response = await self._follow(url, headers, trust)
        except FAILURES as error:
            raise error_of(error, url, self._timeout) from None
        try:
            check_status(
                response.status,
                str(response.url),
                response.headers.get("Retry-After"),
                ranged=is_ranged(headers),
            )
        except ReconcilerError:
            response.release()
            raise
        return response

    async def _follow(
        self, url: str, headers: Mapping[str, str] | None, trust: Trust
    ) -> aiohttp.ClientResponse:
        start = target = request_url(url)
        self._origins.check(target, trust, start=start, text=url)
        own = self._scope.includes(target, url)
        chain = RedirectChain(url)
        response = await self._request(target, headers, own)
        while response.status in REDIRECTS:
            response.release()
            target = chain.next(target, response.headers.get("Location"))
            self._origins.check(target, trust, start=start)
            own = own and self._scope.includes(target)
            response = await self._request(target, headers, own)
        return response

    async def _request(
        self,
        target: URL,
        headers: Mapping[str, str] | None,
        own: bool,
        *,
        body: RequestBody | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request: GET, or POST with a body.

        own: with the remote's credentials, see `CredentialScope`.
        """
        if own and self._own_headers:
            headers = {**self._own_headers, **headers} if headers else self._own_headers
        while True:
            try:
                return await self._send(target, headers, own, body=body)
            except (aiohttp.ClientConnectorError, ForbiddenAddressError) as error:
                if _forbidden(error) is None or not await self._addresses.learn_own_host():
                    raise

    async def _send(
        self,
        target: URL,
        headers: Mapping[str, str] | None,
        own: bool,
        *,
        body: RequestBody | None,
    ) -> aiohttp.ClientResponse:
        proxy = (
            self._environment.proxy_for(target.scheme, target.raw_host or "")
            if self._environment
            else self._proxy
        )
        if proxy is not None:
            self._addresses.check_host(target.raw_host or "")
        # while a body is sent the answer is not due: only the time of the whole request counts
        async with asyncio.timeout(self._headers_timeout if body is None else None):
            return await self._session(proxy is not None).request(
                "GET" if body is None else "POST",
                target,
                headers=headers,
                data=None if body is None else body.pieces(),
                allow_redirects=False,
                ssl=self._tls.own if own else self._tls.other,
                proxy=proxy,
            )

    def _session(self, through_proxy: bool) -> aiohttp.ClientSession:
        """Return the session of requests that go through a proxy, whose address is not checked."""
        if through_proxy not in self._sessions:
            self._sessions[through_proxy] = self._new_session(
                None if through_proxy else self._checked_socket
            )
        return self._sessions[through_proxy]

    def _checked_socket(self, info: _AddressInfo) -> socket.socket:
        """Return a socket for an address that `AddressRule` allows."""
        family, type_, protocol, _, address = info
        self._addresses.check(str(address[0]))
        return socket.socket(family, type_, protocol)

    def _new_session(
        self, make_socket: Callable[[_AddressInfo], socket.socket] | None
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._concurrency,
                ttl_dns_cache=300,
                resolver=aiohttp.ThreadedResolver(),  # the one that `AddressRule` asks as well
                keepalive_timeout=30,
                socket_factory=make_socket,
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


class RequestLog:
    """The line of one request, from its start to the end of its body."""

    __slots__ = ("_method", "_start", "_url")

    def __init__(self, url: str, method: str = "GET") -> None:
        self._url = url
        self._method = method
        self._start = monotonic()

    def write(self, status: int, size: int) -> None:
        """Log the request as done."""
        if logger.isEnabledFor(logging.DEBUG):
            seconds = monotonic() - self._start
            url = display_url(self._url)
            shown = pluralize(size, "byte")
            logger.debug("%s %s: %d, %s, %.3f s", self._method, url, status, shown, seconds)


class _Opening:
    """Context manager of `stream`: requests on entering, releases the connection on leaving."""

    __slots__ = ("_body", "_fetcher", "_headers", "_log", "_response", "_trust", "_url")

    def __init__(
        self, fetcher: HttpFetcher, url: str, headers: Mapping[str, str] | None, *, trust: Trust
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._headers = headers
        self._trust = trust
        self._response: aiohttp.ClientResponse | None = None
        self._body: _Body | None = None

    async def __aenter__(self) -> _Body:
        self._log = RequestLog(self._url)
        response = await self._fetcher._open(self._url, self._headers, self._trust)
        if response.status == 304 and not is_conditional(self._headers):
            response.release()
            raise Malformed(
                f"`{display_url(self._url)}` answered 304 Not Modified, which was not asked for"
            )
        self._response = response
        self._body = _Body(response, self._url)
        return self._body

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is not None and self._body is not None:
            self._response.release()  # closes the connection when part of the body is still to come
            self._log.write(self._response.status, self._body.size)


class _Body:
    """An open response. url: after redirects; size: bytes that have arrived."""

    __slots__ = ("_requested", "_response", "headers", "length", "size", "status")

    def __init__(self, response: aiohttp.ClientResponse, requested: str) -> None:
        self._response = response
        self._requested = requested
        self.size = 0
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.length = response.content_length

    @property
    def url(self) -> str:
        """URL of the response, after redirects."""
        return str(self._response.url)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        async for piece in _pieces(self._response, self._requested):
            self.size += len(piece)
            yield piece


async def _pieces(response: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
    read = response.content.readany
    try:
        while piece := await read():
            yield piece
    except FAILURES as error:
        raise error_of(error, url, None) from None


def _forbidden(error: Exception) -> ForbiddenAddressError | None:
    """Return the refusal of an address that an exception is about."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return cause if isinstance(cause, ForbiddenAddressError) else None


def error_of(error: Exception, url: str, timeout: aiohttp.ClientTimeout | None) -> ReconcilerError:
    """Translate an exception of aiohttp.

    Rule: its own text, which may hold headers and URLs with credentials, is not passed on.
    """
    place = f"`{display_url(url)}`"
    forbidden = _forbidden(error)
    if forbidden is not None:
        return Refused(
            f"{place} leads to {forbidden.address}, {forbidden.reason}",
            hint=forbidden.hint,
        )
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
