"""The ASGI application: one bare callable, no routing table, no framework."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from reconciler.errors import StateFault
from reconciler.serve.catalogue import Catalogue, Found
from reconciler.serve.delivery import Delivery
from reconciler.serve.listing import listing, listing_page
from reconciler.serve.on_demand import OnDemand
from reconciler.serve.redirects import TIMEOUT, PathSuggestions, SuggestPath
from reconciler.serve.request import Request
from reconciler.serve.request_bodies import Body
from reconciler.serve.responses import Receive, Scope, Send, say
from reconciler.serve.uploads import Uploads

log = logging.getLogger(__name__)


class Application:
    """Publications over HTTP.

    `missing`: by publisher ID, asked where a path is not found; a redirect leads to its answer if
    that exists and comes within `patience` seconds. `uploads`: takes files that are sent to a
    publication; None where that is not possible. `on_demand`: brings files that are not in the
    store yet. `on_close`: called when the server stops and nothing is brought any more.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        missing: Mapping[str, SuggestPath] | None = None,
        *,
        uploads: Uploads | None = None,
        on_demand: OnDemand | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
        patience: float = TIMEOUT,
    ) -> None:
        self._catalogue = catalogue
        self._suggestions = PathSuggestions(missing or {}, patience)
        self._uploads = uploads
        self._on_demand = on_demand
        self._on_close = on_close
        self._delivery = Delivery(catalogue, on_demand)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(Request(scope), receive, send)
        else:
            raise ValueError(f"this server speaks HTTP only, not `{scope['type']}`")

    async def refresh(self) -> None:
        """Look what is served now; requests that begin afterwards are answered from it."""
        await self._catalogue.refresh()

    async def _live(self, receive: Receive, send: Send) -> None:
        """The life of the server: nothing is served before the database could be read."""
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                try:
                    await self._start()
                except Exception as error:  # whatever a database raises: the server must not start
                    await send(
                        {
                            "type": "lifespan.startup.failed",
                            "message": f"cannot see what is to be served: {error}",
                        }
                    )
                    return
                await send({"type": "lifespan.startup.complete"})
            elif event == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        await self._catalogue.refresh()
        if self._uploads is not None:
            await self._catalogue.in_thread(self._uploads.sweep)

    async def _stop(self) -> None:
        if self._on_demand is not None:
            await self._on_demand.close()
        if self._on_close is not None:
            await self._on_close()
        self._catalogue.close()

    async def _answer(self, request: Request, receive: Receive, send: Send) -> None:
        if request.method not in ("GET", "HEAD"):
            sent = Body(request, receive)
            await self._take(request, sent, send)
            await sent.discard()
            return
        await self._catalogue.check()
        try:
            await self._get(request, send)
        except StateFault as fault:
            await self._get_again(request, send, fault)

    async def _take(self, request: Request, sent: Body, send: Send) -> None:
        """A file for a publication, or a method that is not possible here."""
        if self._uploads is None or request.method != "POST":
            methods = ["GET", "HEAD", *(["POST"] if self._uploads is not None else [])]
            text = f"`{request.method}` is not possible here: {' and '.join(methods)} are"
            await say(request, send, 405, text, [(b"allow", ", ".join(methods).encode())])
            return
        await self._catalogue.check()
        place = self._catalogue.place(request.path)
        if place is None:
            await say(request, send, 404, _below_nothing(request))
            return
        mount, path = place
        reply = await self._uploads.take(request, mount.served, path or "", sent)
        if reply.status in (201, 202):  # another publication may show it
            await self._see()
        await say(request, send, reply.status, reply.text, reply.headers)

    async def _see(self) -> None:
        """So that who sent a file finds it. It is recorded: if it cannot be seen now, a later look
        sees it.
        """
        try:
            await self._catalogue.refresh()
        except Exception as error:  # whatever a database raises
            log.warning("cannot see what is to be served: %s", error)

    async def _get_again(self, request: Request, send: Send, fault: StateFault) -> None:
        """Bytes are missing. A publication that moved on may have been pruned under a request: the
        new one has them.
        """
        await self._catalogue.refresh()
        try:
            await self._get(request, send)
        except StateFault:
            log.error("%s", fault)
            await say(request, send, 500, str(fault))

    async def _get(self, request: Request, send: Send) -> None:
        """Everything that can fail comes before the first message is sent."""
        if request.path in ("", "/"):
            page = listing(self._catalogue.served())
            await self._delivery.deliver(request, send, listing_page(page), page)
            return
        found = self._catalogue.known(request.path) or await self._catalogue.find(request.path)
        if found is None or found.resource is None:
            await self._miss(request, send, found)
            return
        representation = found.resource.choose(request.accept, request.accept_encoding)
        await self._delivery.deliver(
            request, send, representation, self._catalogue.body(representation)
        )

    async def _miss(self, request: Request, send: Send, found: Found | None) -> None:
        if found is None:
            await say(request, send, 404, _below_nothing(request))
        elif location := await self._elsewhere(request.path, found):
            query = b"?" + request.query if request.query else b""
            await say(
                request, send, 301, "it is here", [(b"location", quote(location).encode() + query)]
            )
        else:
            await say(
                request,
                send,
                404,
                f"`{request.path}` does not exist in the publication `{found.mount.served.name}`",
            )

    async def _elsewhere(self, url_path: str, found: Found) -> str | None:
        """A relative reference to what was meant: the same path with its last slash, or what the
        publisher says.
        """
        served = found.mount.served
        path = found.path or ""
        up = f"{served.path.rpartition('/')[2]}/" if found.path is None else "../" * path.count("/")
        candidates = [] if path.endswith("/") else [f"{path}/" if path else ""]
        if (meant := await self._suggestions.get(served.publisher, served.name, path)) is not None:
            candidates += [meant, f"{meant}/"]
        for candidate in candidates:
            target = f"/{served.path}/{candidate}"
            if (
                target != url_path
                and (there := await self._catalogue.find(target))
                and there.resource is not None
            ):
                return up + candidate
        return None


def _below_nothing(request: Request) -> str:
    return f"`{request.path}` is below no publication; `/` lists them"
