"""The ASGI application: published content, and the routes for everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from reconciler.serve.audit_events import AuditTrail
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.on_demand import OnDemand
from reconciler.serve.people import People
from reconciler.serve.public_addresses import PublicAddresses
from reconciler.serve.published_content import PublishedContent
from reconciler.serve.reading import NOTHING_MORE, Reading
from reconciler.serve.redirects import PathSuggestions, SuggestPath
from reconciler.serve.responses import Receive, Scope, Send
from reconciler.serve.routes import router
from reconciler.serve.uploads import Uploads


class Application:
    """Publications over HTTP.

    suggest: by publisher ID, asked for a redirect where a path is not found; it is followed if it
        leads to something and comes in time.
    uploads: takes files that are sent to a publication; None where none are taken.
    on_demand: fetches files that are not in the store yet.
    reading: who reads private publications, and what is read beside what is published.
    trusted_proxies: networks; what they forward of the address that a client used is believed.
    audit: where denied reads leave a line.
    on_close: called when the server has stopped and nothing is fetched any more.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        suggest: Mapping[str, SuggestPath] | PathSuggestions | None = None,
        *,
        uploads: Uploads | None = None,
        on_demand: OnDemand | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
        trusted_proxies: Sequence[str] = (),
        audit: AuditTrail | None = None,
        reading: Reading = NOTHING_MORE,
    ) -> None:
        self._catalogue = catalogue
        self._uploads = uploads
        self._on_demand = on_demand
        self._on_close = on_close
        suggestions = (
            suggest if isinstance(suggest, PathSuggestions) else PathSuggestions(suggest or {})
        )
        addresses = PublicAddresses(trusted_proxies)
        self._content = PublishedContent(
            catalogue,
            on_demand,
            suggestions,
            addresses=addresses,
            reading=reading,
            audit=audit,
        )
        people = (
            None if reading.browser is None else People(catalogue, reading, addresses, audit=audit)
        )
        self._router = router(catalogue, uploads, people)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["method"] in ("GET", "HEAD") and await self._content.respond(
                ContentRequest(scope), send
            ):
                return
            if not scope["path"].removeprefix(scope.get("root_path", "")):
                scope = {**scope, "path": f"{scope['path']}/"}  # the prefix of the server alone
            await self._router(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"this server speaks HTTP only, not `{scope['type']}`")

    async def refresh(self) -> None:
        """Read what is served now; requests that begin afterwards are answered from it."""
        await self._catalogue.refresh()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Start and stop with the server: it serves nothing before the database could be read."""
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                try:
                    await self._start()
                except Exception as error:  # any error of a database: the server must not start
                    message = f"cannot read what is to be served: {error}"
                    await send({"type": "lifespan.startup.failed", "message": message})
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
