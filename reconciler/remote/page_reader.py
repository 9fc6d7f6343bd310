"""Reader of pages: conditional requests against the page cache, or that alone when offline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import msgspec

from reconciler.errors import Malformed, NotAcceptable, NotCached, Stale
from reconciler.model import Digest, Page
from reconciler.remote.accepted_types import AcceptedTypes
from reconciler.remote.charsets import DEFAULT, charset_of
from reconciler.remote.fetcher import Fetcher, Response
from reconciler.remote.page_budget import PageBudget, current_lease
from reconciler.remote.page_cache import CachedPage, PageCache, PageHead, page_key
from reconciler.remote.url_secrets import (
    is_searchable,
    storable_body,
    storable_link,
    storable_url,
)
from reconciler.remote.urls import display_url
from reconciler.retrying import RetryPolicy, never

SERIAL = "x-pypi-last-serial"
STALE_RETRIES = RetryPolicy(attempts=4)  # until a lagging cache on the way has caught up
_KEPT_HEADERS = ("content-type", "etag", "last-modified", "link", SERIAL)
_LARGE = 8 * 1024 * 1024  # bytes of a page that is not read again as a whole
_LONGEST_HEADER = 1_024  # characters of an entity tag that is recorded as it is
_LONGEST_SERIAL = 18  # digits
# packing or unpacking less than this blocks the loop for no longer than a thread costs
_THREAD_FROM = 256 * 1024

T = TypeVar("T")


class PageReader:
    """Reader of one remote. fetcher: None only where `offline`.

    budget: shared by all readers of a process. limit: bytes of a page, where that is less. again:
    without validators, for URLs that have run out since the page was read; a large page, such as
    a list of all projects, names them anew whenever it changes, and is asked conditionally. types:
    shared by all readers of the remote.
    """

    def __init__(
        self,
        fetcher: Fetcher | None,
        cache: PageCache,
        offline: bool = False,
        *,
        budget: PageBudget | None = None,
        limit: int | None = None,
        retry: RetryPolicy = STALE_RETRIES,
        again: bool = False,
        types: AcceptedTypes | None = None,
    ) -> None:
        if fetcher is None and not offline:
            raise ValueError("reading pages needs a fetcher, or `offline`")
        self._fetcher = fetcher
        self._cache = cache
        self._offline = offline
        self._budget = budget if budget is not None else PageBudget()
        self._limit = self._budget.size if limit is None else limit
        self._again = again
        self._types = types if types is not None else AcceptedTypes(cache)
        # an error of the fetcher, which has its own retries, is final
        self._retry = replace(retry, retry_if=never)

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        """Return a page from upstream, or from the cache where upstream says that it is unchanged.

        at_least: the serial that the page must have reached. A cached page that has is current, and
        no request is sent; a page without a serial is taken as it is. Raises Stale when upstream
        keeps sending an older one, NotCached when offline, and what the fetcher raises. The page
        counts against the budget until nothing refers to it any more.
        """
        with self._budget.lease() as lease:
            return lease.deliver(await self._negotiate(url, accept, at_least))

    async def _negotiate(self, url: str, accept: str, at_least: int | None) -> Page:
        """Read a page, after a 406 once more as HTML alone, which is remembered."""
        accept = self._types.accept(accept)
        try:
            return await self._read(url, accept, at_least)
        except NotAcceptable:
            fallback = self._types.fallback(accept)
            if fallback is None:
                raise
            page = await self._read(url, fallback, at_least)
        self._types.remember()
        return page

    async def _read(self, url: str, accept: str, at_least: int | None) -> Page:
        cached = self._load(url, accept)
        if self._offline or self._fetcher is None:
            return await self._offline_page(cached, url)
        current = await _current_page(cached, at_least)
        if current is not None:
            return current
        return await self._request_until(
            self._fetcher, url, accept, cached=cached, at_least=at_least
        )

    def _load(self, url: str, accept: str) -> CachedPage | None:
        """Return the page that is cached, where it may take the place of a response.

        Not where it is larger than a page may be by now, nor where URLs were cut in it or may
        have run out.
        """
        cached = self._cache.load(url, accept)
        if cached is None or cached.head.size > self._limit:
            return None
        if self._offline:
            return cached
        stale = cached.head.cut or (self._again and cached.head.size <= _LARGE)
        return None if stale else cached

    async def _request_until(
        self,
        fetcher: Fetcher,
        url: str,
        accept: str,
        *,
        cached: CachedPage | None,
        at_least: int | None,
    ) -> Page:
        """Request a page until it is current, past caches on the way from the second time on."""
        fresh = False

        async def request() -> Page:
            nonlocal fresh
            earlier = self._load(url, accept) if fresh else cached
            page = await self._request(fetcher, url, accept, cached=earlier, fresh=fresh)
            fresh = True
            return page

        page = await self._retry.run(request, unless=lambda page: not _is_older(page, at_least))
        if _is_older(page, at_least):
            serial = _serial(page.headers)
            raise Stale(
                f"`{display_url(url)}` is at serial {serial}, but the index announced {at_least}",
                hint="a cache on the way lags; run again later",
            )
        return page

    def forget(self, url: str, accept: str) -> None:
        """Drop a page from the cache, which turned out to be of no use."""
        self._cache.drop(url, self._types.accept(accept))

    async def _offline_page(self, cached: CachedPage | None, url: str) -> Page:
        page = await _from_cache(cached, {}) if cached is not None else None
        if page is None:
            raise NotCached(
                f"`{display_url(url)}` was never read, so an offline run cannot know it",
                hint="run once without `--offline`",
            )
        return page

    async def _request(
        self,
        fetcher: Fetcher,
        url: str,
        accept: str,
        *,
        cached: CachedPage | None,
        fresh: bool = False,
    ) -> Page:
        lease = current_lease()
        lease.give_back()  # what an earlier try held
        await lease.take(len(cached.packed) if cached is not None else 0)
        headers = {"Accept": accept, **_condition(cached)}
        if fresh or self._again:
            headers["Cache-Control"] = "no-cache"
        response = await fetcher.get(url, headers=headers, limit=self._limit)
        if response.status != 304:
            return await self._cached_response(response, page_key(url, accept), cached)
        if cached is None:
            raise Malformed(
                f"`{display_url(url)}` answered 304 Not Modified to an unconditional request"
            )
        page = await _from_cache(cached, response.headers)
        return (
            page
            if page is not None
            else await self._request(fetcher, url, accept, cached=None, fresh=fresh)
        )

    async def _cached_response(
        self, response: Response, key: str, cached: CachedPage | None
    ) -> Page:
        """Return the page of a response, and cache it unless the cache has that very page."""
        size = len(response.body)
        head = await _in_thread_if_long(size, _head, response, key)
        if cached is None or cached.head != head:
            await _in_thread_if_long(size, _store, self._cache, head, response.body)
        return _page(head, response.body, head.headers)


async def _in_thread_if_long(size: int, function: Callable[..., T], *args: object) -> T:
    """Call a function whose time grows with `size`, in a worker thread where that is large."""
    return function(*args) if size < _THREAD_FROM else await asyncio.to_thread(function, *args)


def _store(cache: PageCache, head: PageHead, body: bytes) -> None:
    """Cache a page, without what its URLs may hold that is secret.

    One in whose encoding they cannot be found is not cached.
    """
    if not is_searchable(body, head.charset):
        return
    kept = storable_body(body)
    headers = dict(head.headers)
    if "link" in headers:
        headers["link"] = storable_link(headers["link"])
    cut = kept is not body and kept != body
    url = storable_url(head.url)[0]
    cache.store(
        msgspec.structs.replace(head, url=url, size=len(kept), headers=headers, cut=cut), kept
    )


def _condition(cached: CachedPage | None) -> dict[str, str]:
    """Return a condition (RFC 9110 13.1): an entity tag is exact, a date less so."""
    if cached is None:
        return {}
    if cached.head.etag is not None:
        return {"If-None-Match": cached.head.etag}
    if cached.head.last_modified is not None:
        return {"If-Modified-Since": cached.head.last_modified}
    return {}


async def _current_page(cached: CachedPage | None, at_least: int | None) -> Page | None:
    """Return the cached page where it has reached the serial that the index announces."""
    serial = _serial(cached.head.headers) if cached is not None else None
    if cached is None or at_least is None or serial is None or serial < at_least:
        return None
    return await _from_cache(cached, {})


async def _from_cache(cached: CachedPage, newer: Mapping[str, str]) -> Page | None:
    """Return the cached page with the serial of the response that confirmed it.

    The serial may grow while the page stays.
    """
    await current_lease().take(cached.head.size)
    body = await _in_thread_if_long(cached.head.size, cached.body)
    if body is None:
        return None
    headers = (
        {**cached.head.headers, SERIAL: newer[SERIAL]} if SERIAL in newer else cached.head.headers
    )
    return _page(cached.head, body, headers)


def _page(head: PageHead, body: bytes, headers: dict[str, str]) -> Page:
    return Page(head.url, body, head.validator, head.media_type, head.charset, headers)


def _head(response: Response, key: str) -> PageHead:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    etag, last_modified = headers.get("etag"), headers.get("last-modified")
    if etag is not None:
        validator = f"etag:{_recordable(etag)}"
    elif last_modified is not None:
        validator = f"last-modified:{_recordable(last_modified)}"
    else:
        validator = str(Digest.of(response.body))
    media_type, charset = _content_type(headers.get("content-type", ""))
    return PageHead(
        key,
        response.url,
        len(response.body),
        validator,
        media_type,
        charset,
        headers,
        etag,
        last_modified,
    )


def _recordable(header: str) -> str:
    """Return a header that may be a part of a validator: its digest where it is long, or odd."""
    usable = len(header) <= _LONGEST_HEADER and header.isprintable()
    return header if usable else str(Digest.of(header.encode()))


def _content_type(value: str) -> tuple[str, str]:
    """Parse a `Content-Type` (RFC 9110 8.3): media type and charset, utf-8 for an unknown one."""
    media_type, *parameters = value.split(";")
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), charset_of(text)
    return media_type.strip().lower(), DEFAULT


def _serial(headers: Mapping[str, str]) -> int | None:
    text = headers.get(SERIAL, "").strip()
    return int(text) if text.isdecimal() and len(text) <= _LONGEST_SERIAL else None


def _is_older(page: Page, at_least: int | None) -> bool:
    """Return True for a page with a serial below `at_least`."""
    serial = _serial(page.headers)
    return at_least is not None and serial is not None and serial < at_least
