"""Pages for people: `/`, and everything below `/-/`, where no publication can be.

    /                                        publications that the client may see
    /-/                                      the same, where browsers send credentials
    /-/sign-in                               asks for credentials, then leads to `/-/`
    /-/publications/NAME/                    a publication and its groups: `?q=`, `?page=`
    /-/publications/NAME/content/GROUP       a group
    /-/publications/NAME/history             versions
    /-/publications/NAME/compare?from=&to=   what differs between two of them
    /-/publications/NAME/why?q=              why something is there or not

A private publication is found by its readers alone; for all others it is as one that does not
exist. Of one that a client sees in part, only its groups are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from reconciler.database.records import ServedPublication
from reconciler.errors import ReconcilerError
from reconciler.model import Grant
from reconciler.serve.audit_events import NO_CREDENTIALS, WRONG_CREDENTIALS, AuditTrail
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.pages import PeoplePages
from reconciler.serve.pages.people_pages import Seen
from reconciler.serve.pages.rendering import style_sheet
from reconciler.serve.private_content import PrivateContent, challenge
from reconciler.serve.public_addresses import PublicAddresses
from reconciler.serve.reading import Reading
from reconciler.serve.responses import error_text, page_response, text_response
from reconciler.threads import in_thread

PREFIX = "/-/"
PLACES = ("/", "/-", "/-/{path:path}")  # as routes
PUBLICATIONS = f"{PREFIX}publications/"
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
PUBLIC = Grant("public")

logger = logging.getLogger(__name__)
Build = Callable[[], bytes | None]


class People:
    """Endpoint of the pages; `GET` and `HEAD`."""

    def __init__(
        self,
        catalogue: Catalogue,
        reading: Reading,
        addresses: PublicAddresses,
        *,
        audit: AuditTrail | None = None,
    ) -> None:
        assert reading.browser is not None
        self._audit = audit
        self._catalogue = catalogue
        self._addresses = addresses
        self._private = PrivateContent(reading.readers, lambda: catalogue.generation)
        self._pages = PeoplePages(reading.browser)

    async def respond(self, request: Request) -> Response:
        """Respond to a request for a page."""
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        root = "../" * (path.count("/") - 1)
        if path == f"{PREFIX}style.css":
            return self._answer(request, style_sheet(), media_type="text/css; charset=utf-8")
        if path == f"{PREFIX}sign-in":
            return await self._sign_in(request)
        if path in ("/", PREFIX):
            return await self._front(request, root)
        if path == PREFIX[:-1]:
            return RedirectResponse("-/", 307)
        return await self._about(request, path, root)

    async def _front(self, request: Request, root: str) -> Response:
        served = self._catalogue.served()
        seen = [each for record in served if (each := await self._seen(request, record))]
        private = any(each.private for each in seen)
        if not private and "authorization" in request.headers:
            await self._deny(request, 200)
        return await self._built(
            request, root, partial(self._pages.front, root, seen), private=private
        )

    async def _about(self, request: Request, path: str, root: str) -> Response:
        """Respond with a page about one publication."""
        name, slash, rest = path.removeprefix(PUBLICATIONS).partition("/")
        record = next((each for each in self._catalogue.served() if each.name == name), None)
        seen = None if record is None else await self._seen(request, record)
        if seen is None or not path.startswith(PUBLICATIONS):
            if record is not None:
                await self._deny(request, 404, record.name)
            return await self._built(request, root, lambda: None, private=True)
        if not slash:
            return RedirectResponse(f"{name}/", 307)
        build = self._build(rest, seen, dict(request.query_params), root=root)
        return await self._built(request, root, build, private=seen.private)

    def _build(self, rest: str, seen: Seen, fields: Mapping[str, str], *, root: str) -> Build:
        pages = self._pages
        if rest.startswith("content/"):
            return partial(pages.group, root, seen, rest.removeprefix("content/"))
        about: dict[str, Callable[[str, Seen, Mapping[str, str]], bytes | None]] = {
            "": pages.publication,
            "history": pages.history,
            "compare": pages.difference,
            "why": pages.why,
        }
        return partial(about[rest], root, seen, fields) if rest in about else lambda: None

    async def _seen(self, request: Request, record: ServedPublication) -> Seen | None:
        """Return a publication as the client sees it; None where it sees none."""
        grant: Grant | None = PUBLIC
        if record.private:
            authorization = request.headers.getlist("authorization")
            try:
                grant = await self._private.grant(
                    record, authorization[0] if len(authorization) == 1 else None
                )
            except ReconcilerError as error:  # it cannot be known now
                logger.warning("%s: %s", record.name, error)
                grant = None
        if grant is None:
            return None
        address = self._addresses.of(request.scope, record)
        url = None if address is None else address.url
        return Seen(record.name, record.path, grant, url, record.private)

    async def _sign_in(self, request: Request) -> Response:
        """Lead on who may see a private publication; ask all others for credentials."""
        served = self._catalogue.served()
        seen = [each for record in served if (each := await self._seen(request, record))]
        if any(each.private for each in seen):
            to = request.query_params.get("to", "")
            page = f"publications/{to}/" if any(each.name == to for each in seen) else "./"
            return RedirectResponse(page, 303, headers={"cache-control": "no-store"})
        if "authorization" in request.headers:
            await self._deny(request, 401)
        headers = {"www-authenticate": challenge("packages"), "cache-control": "no-store"}
        return text_response(request, 401, "sign in with a token or a password", headers=headers)

    async def _deny(self, request: Request, status: int, publication: str = "") -> None:
        """Have the audit log know of credentials, or none, that opened nothing."""
        if self._audit is not None and any(each.private for each in self._catalogue.served()):
            known = "authorization" in request.headers
            reason = WRONG_CREDENTIALS if known else NO_CREDENTIALS
            await self._audit.deny_read(request.scope, publication, status, reason=reason)

    async def _built(self, request: Request, root: str, build: Build, *, private: bool) -> Response:
        try:
            page = await in_thread(build)
        except ReconcilerError as error:
            logger.warning("%s: %s", request.url.path, error)
            page = await in_thread(self._pages.fault, root, error_text(error))
            return self._answer(request, page, 503, private=private)
        if page is None:
            page = await in_thread(self._pages.missing, root)
            return self._answer(request, page, 404, private=private)
        return self._answer(request, page, private=private)

    def _answer(
        self,
        request: Request,
        page: bytes,
        status: int = 200,
        *,
        media_type: str = "text/html; charset=utf-8",
        private: bool = False,
    ) -> Response:
        response = page_response(request, page, media_type)
        if response.status_code == 200:
            response.status_code = status
        response.headers["content-security-policy"] = POLICY
        response.headers["referrer-policy"] = "no-referrer"
        response.headers["vary"] = "Authorization, Host"
        if private:
            response.headers["cache-control"] = "private, no-cache"
        return response
