"""A remote's fetcher, put together: retry around limit around pace around the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from reconciler.model import Remote
from reconciler.remote.limit import Limited, Paced
from reconciler.remote.port import Fetcher, Response, Stream
from reconciler.remote.retry import Retrying
from reconciler.remote.secrets import Credentials
from reconciler.remote.tls import TlsContexts


def open_fetcher(remote: Remote, base_url: str) -> Fetcher:
    """The fetcher of a remote whose own host is that of `base_url`. Raises UsageFault where a secret or a certificate is missing.

    A retry waits outside its slot, so that a slow host does not hold up the others' requests.
    """
    credentials = Credentials.of(remote)
    tls = TlsContexts.of(remote.tls, credentials.client_key)
    fetcher: Fetcher = _Wired(lambda: _wire(remote, base_url, credentials, tls))
    if remote.rate_limit is not None:
        fetcher = Paced(fetcher, remote.rate_limit)
    return Retrying(Limited(fetcher, remote.concurrency), remote.retries)


def _wire(remote: Remote, base_url: str, credentials: Credentials, tls: TlsContexts) -> Fetcher:
    # Loading the HTTP client takes longer than most commands that never send a request.
    from reconciler.remote.wire import AiohttpFetcher

    return AiohttpFetcher(remote, base_url, credentials, tls)


class _Wired:
    """The fetcher that `make` makes, made with the first request."""

    def __init__(self, make: Callable[[], Fetcher]) -> None:
        self._make = make
        self._made: Fetcher | None = None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        return await self._fetcher().get(url, headers=headers, limit=limit)

    def stream(self, url: str) -> AbstractAsyncContextManager[Stream]:
        return self._fetcher().stream(url)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    def _fetcher(self) -> Fetcher:
        if self._made is None:
            self._made = self._make()
        return self._made
