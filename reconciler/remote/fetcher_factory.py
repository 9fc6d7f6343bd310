"""The fetcher of a remote: retries around limits around HTTP, or around files of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from reconciler.model import Remote, Tls
from reconciler.remote.credentials import Credentials
from reconciler.remote.fetcher import Fetcher, Response, StreamedResponse, Trust
from reconciler.remote.local_fetcher import LocalFetcher
from reconciler.remote.rate_limit import ConcurrencyLimiter, RateLimiter
from reconciler.remote.retries import RetryingFetcher
from reconciler.remote.tls import TlsContexts
from reconciler.retrying import RetryPolicy

if TYPE_CHECKING:
    from reconciler.remote.http_sender import HttpSender


def open_sender(
    remote: Remote, base_url: str, credentials: Credentials | None = None
) -> HttpSender:
    """Return what sends bodies to the host of `base_url`; its caller retries and waits.

    credentials: in the place of those that the remote refers to.
    """
    credentials = credentials if credentials is not None else Credentials.of(remote)
    # as below: the HTTP client is loaded when it is needed
    from reconciler.remote.http_sender import HttpSender

    tls = TlsContexts.of(remote.tls, credentials.client_key)
    return HttpSender(remote, base_url, credentials, tls=tls)


def open_fetcher(remote: Remote, base_url: str, credentials: Credentials | None = None) -> Fetcher:
    """Return the fetcher of a remote whose own host, or own folder, is that of `base_url`.

    A file URL makes the remote local: it reads below the folder of `base_url`, and may ask hosts
    that its files name, to whom it has no credentials to send. A remote elsewhere never reads
    files. A retry waits outside its slot, so that a slow host does not hold up the others'
    requests. `credentials`: in the place of those that the remote refers to. Raises UsageFault
    where a secret or a certificate is missing.
    """
    fetcher = (
        _local_fetcher(remote, base_url)
        if base_url.lower().startswith("file:")
        else _http_fetcher(remote, base_url, credentials)
    )
    if remote.rate_limit is not None:
        fetcher = RateLimiter(fetcher, remote.rate_limit)
    limited = ConcurrencyLimiter(fetcher, remote.concurrency)
    return RetryingFetcher(limited, RetryPolicy(attempts=1 + remote.retries))


def sends_credentials(base_url: str, url: str) -> bool:
    """Return True if credentials of a remote at `base_url` go to `url` as well."""
    from reconciler.remote.egress import CredentialScope, request_url

    return CredentialScope(base_url).includes(request_url(url), url)


def _http_fetcher(remote: Remote, base_url: str, given: Credentials | None) -> Fetcher:
    credentials = given if given is not None else Credentials.of(remote)
    tls = TlsContexts.of(remote.tls, credentials.client_key)
    return LazyFetcher(lambda: _new_http_fetcher(remote, base_url, credentials, tls=tls))


def _local_fetcher(remote: Remote, base_url: str) -> Fetcher:
    tls = TlsContexts.of(Tls(verify=remote.tls.verify, ca=remote.tls.ca), None)
    return LocalRemoteFetcher(
        LocalFetcher(base_url),
        LazyFetcher(lambda: _new_http_fetcher(remote, None, Credentials({}), tls=tls)),
    )


def _new_http_fetcher(
    remote: Remote, base_url: str | None, credentials: Credentials, *, tls: TlsContexts
) -> Fetcher:
    # Loading the HTTP client takes longer than most commands that never send a request.
    from reconciler.remote.http_fetcher import HttpFetcher

    return HttpFetcher(remote, base_url, credentials, tls=tls)


class LazyFetcher:
    """Fetcher that is made with the first request."""

    def __init__(self, make: Callable[[], Fetcher]) -> None:
        self._make = make
        self._fetcher: Fetcher | None = None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Open the fetcher if needed, then return a body."""
        return await self._get_fetcher().get(url, headers=headers, limit=limit)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Open the fetcher if needed, then open a body."""
        return self._get_fetcher().stream(url, headers, trust=trust)

    async def close(self) -> None:
        """Close connections."""
        if self._fetcher is not None:
            await self._fetcher.close()

    def _get_fetcher(self) -> Fetcher:
        if self._fetcher is None:
            self._fetcher = self._make()
        return self._fetcher


class LocalRemoteFetcher:
    """Fetcher of files in the remote's folder, and over HTTP of what they refer to."""

    def __init__(self, files: Fetcher, http: Fetcher) -> None:
        self._files = files
        self._http = http

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Return a body from the folder, or over HTTP."""
        return await self._select(url).get(url, headers=headers, limit=limit)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Open a body from the folder, or over HTTP."""
        return self._select(url).stream(url, headers, trust=trust)

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    def _select(self, url: str) -> Fetcher:
        return self._http if url.lower().startswith(("http:", "https:")) else self._files
