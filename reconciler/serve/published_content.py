"""Published content: the hot path, without routing and without a framework."""

from __future__ import annotations

import logging
from contextlib import suppress
from urllib.parse import quote

from reconciler.errors import ReconcilerError, StateFault
from reconciler.model import Grant
from reconciler.serve.audit_events import (
    NO_CREDENTIALS,
    OUTSIDE_SCOPE,
    WRONG_CREDENTIALS,
    AuditTrail,
)
from reconciler.serve.catalogue import Catalogue, PublishedPath
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.delivery import Delivery
from reconciler.serve.on_demand import OnDemand
from reconciler.serve.ports import MatchedView
from reconciler.serve.private_content import PrivateContent, challenge, is_visible
from reconciler.serve.public_addresses import PublicAddresses
from reconciler.serve.pull_through import PullThrough
from reconciler.serve.reading import NOTHING_MORE, Reading
from reconciler.serve.redirects import PathSuggestions
from reconciler.serve.representation import Header, Message
from reconciler.serve.responses import Send, error_text, send_page, send_text
from reconciler.serve.views import Views

NO_ADDRESS = "this page says where it is served: send a `Host` that is `host` or `host:port`"

logger = logging.getLogger(__name__)


class PublishedContent:
    """Responses to `GET` and `HEAD` below the path of a publication."""

    def __init__(
        self,
        catalogue: Catalogue,
        on_demand: OnDemand | None,
        suggestions: PathSuggestions,
        *,
        addresses: PublicAddresses,
        audit: AuditTrail | None = None,
        reading: Reading = NOTHING_MORE,
    ) -> None:
        self._catalogue = catalogue
        self._private = PrivateContent(reading.readers, lambda: catalogue.generation)
        self._addresses = addresses
        self._audit = audit
        self._suggestions = suggestions
        self._for_people = reading.browser is not None
        self._views = Views(catalogue, reading.views)
        self._delivery = Delivery(catalogue, on_demand)
        self._pull_through = PullThrough(catalogue, suggestions, reading.pulls)

    async def respond(self, request: ContentRequest, send: Send) -> bool:
        """Respond to a request; return False, nothing sent, for a path below no publication."""
        await self._catalogue.catch_up()
        try:
            return await self._respond(request, send)
        except StateFault as fault:
            return await self._respond_again(request, send, fault)

    async def _respond_again(self, request: ContentRequest, send: Send, fault: StateFault) -> bool:
        """Respond once more where bytes are missing or damaged.

        A publication that has moved on may have been pruned during the request, and the new one has
        them. Else the client hears that the fault is the server's, and the log which one.
        """
        await self._catalogue.refresh()
        try:
            return await self._respond(request, send)
        except StateFault:
            logger.error("%s: %s", request.path, fault)
            text = f"`{request.path}` is missing or damaged on the server; its log says more"
            await send_text(request, send, 503, text=text)
            return True

    async def _respond(self, request: ContentRequest, send: Send) -> bool:
        """Respond; everything that can fail comes before the first message is sent."""
        location = self._catalogue.cached(request.path) or await self._catalogue.find(request.path)
        if location is None:
            return False
        grant = None
        if location.mount.served.private:
            grant = await self._read_grant(request, send, location)
            if grant is None:
                return True
        try:
            pulled = await self._pull_through.find(location, grant)
        except ReconcilerError as error:
            text = f"`{request.path}` cannot be fetched now: {error_text(error)}"
            await send_text(request, send, 502, text=text)
            return True
        location = pulled.location
        representation = None
        if is_visible(location.resource, grant):
            assert location.resource is not None
            representation = location.resource.choose(request.accept, request.accept_encoding)
        match = await self._views.find(location, representation)
        if match is not None and await self._respond_view(
            request, send, location, match=match, grant=grant
        ):
            return True
        if representation is None:
            if location.resource is not None and grant is not None and self._audit is not None:
                await self._audit.deny_read(
                    request.scope,
                    location.mount.served.name,
                    404,
                    reason=OUTSIDE_SCOPE,
                    principal=grant.principal,
                )
            await self._respond_missing(request, send, location, grant=grant)
            return True
        if representation.entry.addressed:
            address = self._addresses.of(request.scope, location.mount.served)
            if address is None:
                await send_text(request, send, 400, text=NO_ADDRESS)
                return True
            representation = representation.at(address)
        await self._delivery.deliver(
            request,
            _with_header(send, pulled.header),
            representation,
            publication=location.mount.served.name,
            data=self._catalogue.body(representation),
        )
        return True

    async def _respond_view(
        self,
        request: ContentRequest,
        send: Send,
        location: PublishedPath,
        *,
        match: MatchedView,
        grant: Grant | None,
    ) -> bool:
        """Respond by what the publisher answers; return False, nothing sent, for nothing."""
        address = self._addresses.of(request.scope, location.mount.served)
        if address is None:
            await send_text(request, send, 400, text=NO_ADDRESS)
            return True
        return await self._views.respond(
            request, send, location, match=match, grant=grant, address=address
        )

    async def _read_grant(
        self, request: ContentRequest, send: Send, location: PublishedPath
    ) -> Grant | None:
        """Return what the client may see; None where it was told that it may see nothing."""
        served = location.mount.served
        try:
            grant = await self._private.grant(served, request.authorization)
        except ReconcilerError as error:  # it cannot be known now
            logger.warning("%s: %s", request.path, error)
            await send_text(request, send, 503, text=f"`{served.name}` cannot be read now")
            return None
        if grant is None:
            if self._audit is not None:
                reason = WRONG_CREDENTIALS if request.authorization else NO_CREDENTIALS
                await self._audit.deny_read(request.scope, served.name, 401, reason=reason)
            headers = [(b"www-authenticate", challenge(served.name).encode())]
            text = f"`{served.name}` is for its readers only"
            await send_text(request, send, 401, text=text, headers=headers)
        return grant

    async def _respond_missing(
        self, request: ContentRequest, send: Send, location: PublishedPath, *, grant: Grant | None
    ) -> None:
        target = await self._redirect_target(request, location, grant)
        if target and self._for_people and not location.path and request.is_browser:
            await self._lead_people(request, send, location)
            return
        sees_all = grant is None or not grant.projects
        page = await self._catalogue.folder_list(location) if sees_all and not target else None
        if page is not None:
            await send_page(request, send, page)
            return
        if target is None:
            name = location.mount.served.name
            text = f"`{request.path}` does not exist in the publication `{name}`"
            await send_text(request, send, 404, text=text)
            return
        query = b"?" + request.query if request.query else b""
        headers = [(b"location", quote(target).encode() + query)]
        await send_text(request, send, 301, text=f"moved to `{target}`", headers=headers)

    async def _lead_people(
        self, request: ContentRequest, send: Send, location: PublishedPath
    ) -> None:
        """Send a browser that asks for a publication as a whole to the page about it."""
        served = location.mount.served
        page = f"-/sign-in?to={served.name}" if served.private else f"-/publications/{served.name}/"
        root = "../" * request.folders_above(request.path.count("/") - 1)
        headers = [(b"location", f"{root}{page}".encode()), (b"vary", b"Accept")]
        await send_text(request, send, 302, text=f"see `/{page}`", headers=headers)

    async def _redirect_target(
        self, request: ContentRequest, location: PublishedPath, grant: Grant | None
    ) -> str | None:
        """Return a relative reference to redirect to, or None.

        That is the same path with its last slash, or the publisher's suggestion, if there is
        something at it within the publication; else the list of a folder without a page.
        """
        served = location.mount.served
        url_path, path = request.path, location.path or ""
        prefix = (
            f"{served.path.rpartition('/')[2]}/"
            if location.path is None
            else "../" * request.folders_above(path.count("/"))
        )
        candidates = [] if path.endswith("/") else [f"{path}/" if path else ""]
        suggestion = await self._suggestions.get(served.publisher, served.name, path)
        if suggestion is not None:
            candidates += [suggestion, f"{suggestion}/"]
        for candidate in candidates:
            target = f"/{served.path}/{candidate}"
            if target != url_path and await self._exists(target, grant):
                return prefix + candidate
        sees_all = grant is None or not grant.projects
        if sees_all and not path.endswith("/") and await self._has_list(f"{url_path}/"):
            return prefix + (f"{path}/" if path else "")
        return None

    async def _exists(self, url_path: str, grant: Grant | None) -> bool:
        location = await self._catalogue.find(url_path)
        if location is None:
            return False
        with suppress(ReconcilerError):  # the request that follows hears of it
            location = (await self._pull_through.find(location, grant)).location
        return is_visible(location.resource, grant)

    async def _has_list(self, url_path: str) -> bool:
        location = await self._catalogue.find(url_path)
        return location is not None and await self._catalogue.folder_list(location) is not None


def _with_header(send: Send, header: Header | None) -> Send:
    """Return what sends a response with one header more."""
    if header is None:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], header]}
        await send(message)

    return sending
