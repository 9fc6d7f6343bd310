"""A remote's fetcher, put together: retry around limit around pace around the wire, or around the
files of this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from reconciler.model import Remote, Tls
from reconciler.remote.fetcher import Fetcher, Response, Stream
from reconciler.remote.local_fetcher import FileFetcher
from reconciler.remote.rate_limit import Limited, Paced
from reconciler.remote.retry import Retrying
from reconciler.remote.secrets import Credentials
from reconciler.remote.tls import TlsContexts


def open_fetcher(remote: Remote, base_url: str) -> Fetcher:
    """The fetcher of a remote whose own host, or own folder, is that of `base_url`. Raises
    UsageFault where a secret or a certificate is missing.

    A file URL makes the remote local: it reads below the folder of `base_url`, and may ask hosts
    that its files name, to whom it has no credentials to send. A remote elsewhere never reads
    files. A retry waits outside its slot, so that a slow host does not hold up the others'
    requests.
    """
    fetcher = (
        _local(remote, base_url)
        if base_url.lower().startswith("file:")
        else _distant(remote, base_url)
    )
    if remote.rate_limit is not None:
        fetcher = Paced(fetcher, remote.rate_limit)
    return Retrying(Limited(fetcher, remote.concurrency), remote.retries)


def _distant(remote: Remote, base_url: str) -> Fetcher:
    credentials = Credentials.of(remote)
    tls = TlsContexts.of(remote.tls, credentials.client_key)
    return _Wired(lambda: _wire(remote, base_url, credentials, tls))


def _local(remote: Remote, base_url: str) -> Fetcher:
    tls = TlsContexts.of(Tls(verify=remote.tls.verify, ca=remote.tls.ca), None)
    return _Local(FileFetcher(base_url), _Wired(lambda: _wire(remote, None, Credentials({}), tls)))


def _wire(
    remote: Remote, base_url: str | None, credentials: Credentials, tls: TlsContexts
) -> Fetcher:
    # Loading the HTTP client takes longer than most commands that never send a request.
    from reconciler.remote.http_fetcher import AiohttpFetcher

    return AiohttpFetcher(remote, base_url, credentials, tls)


class _Wired:
    """The fetcher that `make` makes, made with the first request."""

    def __init__(self, make: Callable[[], Fetcher]) -> None:
        self._make = make
        self._made: Fetcher | None = None

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        return await self._fetcher().get(url, headers=headers, limit=limit)

    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        return self._fetcher().stream(url, headers)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    def _fetcher(self) -> Fetcher:
        if self._made is None:
            self._made = self._make()
        return self._made


class _Local:
    """Files of the remote's folder, and over HTTP what they refer to."""

    def __init__(self, files: Fetcher, wire: Fetcher) -> None:
        self._files = files
        self._wire = wire

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        return await self._for(url).get(url, headers=headers, limit=limit)

    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        return self._for(url).stream(url, headers)

    async def close(self) -> None:
        await self._wire.close()

    def _for(self, url: str) -> Fetcher:
        return self._wire if url.lower().startswith(("http:", "https:")) else self._files
