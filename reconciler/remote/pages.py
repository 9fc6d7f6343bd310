"""Reading pages: conditional requests against the page cache, or the cache alone when offline."""

from __future__ import annotations

import asyncio
import codecs
import random as _random
from collections.abc import Mapping
from contextlib import suppress

from reconciler.errors import Malformed, NotCached, Stale
from reconciler.model import Digest, Page
from reconciler.remote.addresses import shown
from reconciler.remote.cache import CachedPage, Head, PageCache
from reconciler.remote.fetcher import Fetcher, Response
from reconciler.remote.retry import Random, Sleep, delay

LIMIT = 256 * 1024 * 1024
SERIAL = "x-pypi-last-serial"
STALE_RETRIES = 3
_KEPT_HEADERS = ("content-type", "etag", "last-modified", "link", SERIAL)
_THREAD_FROM = (
    256 * 1024
)  # packing or unpacking less than this holds up the loop for no longer than a thread costs


class PageReader:
    """Pages of one remote. `fetcher` may be None where `offline`; `limit`: bytes of a page."""

    def __init__(
        self,
        fetcher: Fetcher | None,
        cache: PageCache,
        offline: bool = False,
        *,
        limit: int = LIMIT,
        sleep: Sleep = asyncio.sleep,
        random: Random = _random.random,
    ) -> None:
        if fetcher is None and not offline:
            raise ValueError("reading pages needs a fetcher, or `offline`")
        self._fetcher = fetcher
        self._cache = cache
        self._offline = offline
        self._limit = limit
        self._sleep = sleep
        self._random = random

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        """One page, from upstream or, where upstream says that nothing changed, from the cache.

        `at_least`: the serial that the answer must have reached: a cached page that has is current,
        and nobody is asked. An answer without a serial is taken as it is. Raises Stale when
        upstream keeps answering with an older one, NotCached when offline, and what the fetcher
        raises.
        """
        cached = self._cache.load(url, accept)
        if self._offline or self._fetcher is None:
            return await self._offline_page(cached, url)
        page = await _settled(cached, at_least) or await self._ask(
            self._fetcher, url, accept, cached
        )
        attempt = 0
        while (
            at_least is not None
            and (serial := _serial(page.headers)) is not None
            and serial < at_least
        ):
            if attempt >= STALE_RETRIES:
                raise Stale(
                    f"`{shown(url)}` is at serial {serial}, but the index announced {at_least}",
                    hint="a cache on the way lags; run again later",
                )
            await self._sleep(delay(attempt, self._random))
            page = await self._ask(
                self._fetcher, url, accept, self._cache.load(url, accept), fresh=True
            )
            attempt += 1
        return page

    def forget(self, url: str, accept: str) -> None:
        """Drop a page from the cache: what it says turned out to be no use."""
        self._cache.drop(url, accept)

    async def _offline_page(self, cached: CachedPage | None, url: str) -> Page:
        page = await _from_cache(cached, {}) if cached is not None else None
        if page is None:
            raise NotCached(
                f"`{shown(url)}` was never read, so an offline run cannot know it",
                hint="run once without `--offline`",
            )
        return page

    async def _ask(
        self,
        fetcher: Fetcher,
        url: str,
        accept: str,
        cached: CachedPage | None,
        *,
        fresh: bool = False,
    ) -> Page:
        headers = {"Accept": accept, **_condition(cached)}
        if fresh:
            headers["Cache-Control"] = "no-cache"
        response = await fetcher.get(url, headers=headers, limit=self._limit)
        if response.status != 304:
            return await self._keep(response, (url, accept), cached)
        if cached is None:
            raise Malformed(f"`{shown(url)}` answered 304 Not Modified to an unconditional request")
        page = await _from_cache(cached, response.headers)
        return (
            page if page is not None else await self._ask(fetcher, url, accept, None, fresh=fresh)
        )

    async def _keep(
        self, response: Response, key: tuple[str, str], cached: CachedPage | None
    ) -> Page:
        """Make a page of an answer, and cache it unless the cache has that very page."""
        head = _head(response, key)
        if cached is None or cached.head != head:
            if head.size < _THREAD_FROM:
                self._cache.store(head, response.body)
            else:
                await asyncio.to_thread(self._cache.store, head, response.body)
        return _page(head, response.body, head.headers)


def _condition(cached: CachedPage | None) -> dict[str, str]:
    """RFC 9110 13.1: an entity tag is exact, a date is second best; without either the page is
    asked for whole.
    """
    if cached is None:
        return {}
    if cached.head.etag is not None:
        return {"If-None-Match": cached.head.etag}
    if cached.head.last_modified is not None:
        return {"If-Modified-Since": cached.head.last_modified}
    return {}


async def _settled(cached: CachedPage | None, at_least: int | None) -> Page | None:
    """The cached page, where it has reached the serial that the index announces: nothing has
    changed since.
    """
    serial = _serial(cached.head.headers) if cached is not None else None
    if cached is None or at_least is None or serial is None or serial < at_least:
        return None
    return await _from_cache(cached, {})


async def _from_cache(cached: CachedPage, newer: Mapping[str, str]) -> Page | None:
    """The cached page under the headers of the answer that confirmed it (a serial grows while the
    page stays).
    """
    body = (
        cached.body() if cached.head.size < _THREAD_FROM else await asyncio.to_thread(cached.body)
    )
    if body is None:
        return None
    headers = (
        {**cached.head.headers, SERIAL: newer[SERIAL]} if SERIAL in newer else cached.head.headers
    )
    return _page(cached.head, body, headers)


def _page(head: Head, body: bytes, headers: dict[str, str]) -> Page:
    return Page(head.url, body, head.validator, head.media_type, head.charset, headers)


def _head(response: Response, key: tuple[str, str]) -> Head:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    etag, last_modified = headers.get("etag"), headers.get("last-modified")
    if etag is not None:
        validator = f"etag:{etag}"
    elif last_modified is not None:
        validator = f"last-modified:{last_modified}"
    else:
        validator = str(Digest.of(response.body))
    media_type, charset = _content_type(headers.get("content-type", ""))
    return Head(
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


def _content_type(value: str) -> tuple[str, str]:
    """Media type and charset of a `Content-Type` header (RFC 9110 8.3); a charset that nobody knows
    is read as utf-8.
    """
    media_type, *parameters = value.split(";")
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip().lower() == "charset":
            with suppress(LookupError, ValueError):
                return media_type.strip().lower(), codecs.lookup(text.strip().strip('"')).name
    return media_type.strip().lower(), "utf-8"


def _serial(headers: Mapping[str, str]) -> int | None:
    text = headers.get(SERIAL, "").strip()
    return int(text) if text.isdecimal() else None
