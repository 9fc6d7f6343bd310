"""Sender over aiohttp: the same connections and rules as `HttpFetcher`, with a body to send."""

from __future__ import annotations

import aiohttp

from reconciler.errors import Refused
from reconciler.remote.egress import RedirectChain, request_url
from reconciler.remote.fetcher import Trust
from reconciler.remote.http_fetcher import FAILURES, REDIRECTS, HttpFetcher, RequestLog, error_of
from reconciler.remote.responses import check_status, is_refusal
from reconciler.remote.sending import Answer, RequestBody
from reconciler.remote.urls import display_url

_LONGEST_ANSWER = 64 * 1024  # bytes that are read of what is answered
_RESENT = frozenset({307, 308})  # redirects that keep method and body (RFC 9110 15.4)


class HttpSender(HttpFetcher):
    """Sender over one connection pool, for one remote."""

    async def post(self, url: str, body: RequestBody) -> Answer:
        """Return what is answered to a POST.

        Rule: a body follows a redirect within the origin only, and only one that keeps the method.
        """
        log = RequestLog(url, "POST")
        try:
            response = await self._post(url, body)
            try:
                text = await _beginning(response)
            finally:
                response.release()
        except FAILURES as error:
            raise error_of(error, url, self._timeout) from None
        log.write(response.status, len(text))
        if not is_refusal(response.status):
            check_status(response.status, url, response.headers.get("Retry-After"))
        return Answer(response.status, response.reason or "", text)

    async def _post(self, url: str, body: RequestBody) -> aiohttp.ClientResponse:
        headers = {
            "Content-Type": body.media_type,
            "Content-Length": str(body.length),
            "Accept": "application/json, text/plain;q=0.8, text/html;q=0.5",
        }
        start = target = request_url(url)
        chain = RedirectChain(url)
        self._origins.check(target, Trust.ORIGIN, start=start)
        while True:
            response = await self._request(target, headers, own=True, body=body)
            if response.status not in REDIRECTS:
                return response
            response.release()
            target = chain.next(target, response.headers.get("Location"))
            if response.status not in _RESENT or not self._scope.includes(target):
                raise Refused(
                    f"`{display_url(url)}` redirects an upload to `{display_url(str(target))}`",
                    hint="write the address that takes uploads, with or without its last slash",
                )


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Return what is answered, as far as a message can need it."""
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LONGEST_ANSWER:
            break
    return body[:_LONGEST_ANSWER]
