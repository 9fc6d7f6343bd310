"""Uploads: requests that change a publication's repository.

In this order: the publisher must take the method at the path; the client is authenticated before
any of the body is read; the body is a form, or one file; the receiver takes it.

result                                                   status
received, and shown                                      201
received and recorded, but not shown yet                 202
answered by the publisher                                its own
a path below no publication                              404
a method that is not taken there                         405
sent by a browser for a page of another site             403
not authenticated                                        401, with a challenge
`authenticate` raises Refused                            403
Denied (a filter), OutOfScope (the client's projects)    403
QuotaExceeded                                            413
not `multipart/form-data`, where only forms are taken    415
longer than `max_upload`                                 413, before the body is read where its
                                                         length is declared
nothing arrives for `silence` seconds, or too little     408
a form that cannot be read, a wrong sha256               400
a path that is not UTF-8                                 400
Gone                                                     404
Refused, Malformed, DigestMismatch, other Permanent      400
Conflict (another source owns the name)                  409
Conflict with `retry_after`, other Temporary, LeaseHeld  503, with `Retry-After`
anything else                                            500
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from reconciler.database.records import ServedPublication
from reconciler.errors import (
    Conflict,
    Denied,
    Gone,
    LeaseHeld,
    Permanent,
    QuotaExceeded,
    ReconcilerError,
    Refused,
    Temporary,
)
from reconciler.model import MANAGE_PATH, Grant, pluralize
from reconciler.serve.audit_events import (
    CROSS_SITE,
    NO_CREDENTIALS,
    WRONG_CREDENTIALS,
    AuditTrail,
    UploadTrace,
)
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.ports import ArrivedRequest, UploadAnswer, UploadReceipt, UploadReceiver
from reconciler.serve.private_content import challenge
from reconciler.serve.request_bodies import (
    SILENCE,
    SLOWEST,
    BodyFault,
    body_pieces,
    declared_length,
)
from reconciler.serve.responses import NOSNIFF_HEADER, client_words, error_text, text_response
from reconciler.serve.upload_form import RawBody, UploadForm, boundary_of
from reconciler.store.temporary import TemporaryFolder
from reconciler.threads import in_thread

MAX_UPLOAD = 2 * 1024**3  # bytes of a whole body
GENERATION_HEADER = "reconciler-generation"  # of what is served, at least, from this response on
READING = ("GET", "HEAD")
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
RETRY_AFTER = 5  # seconds, where an error does not say when to come back

UNDECODED = "\ufffd"  # what the server puts in place of bytes of a path that are not UTF-8

logger = logging.getLogger(__name__)


class UploadEndpoint:
    """The endpoint of every path that is not published content."""

    def __init__(self, catalogue: Catalogue, uploads: Uploads | None) -> None:
        self._catalogue = catalogue
        self._uploads = uploads

    async def respond(self, request: Request) -> Response:
        """Take an upload.

        Raises HTTPException: 404 for a path below no publication, 405 for a method that is not
        taken there.
        """
        if request.method in READING or self._uploads is None:
            raise HTTPException(404)
        await self._catalogue.catch_up()
        target = self._catalogue.resolve(f"/{request.path_params['path']}")
        if target is None and not request.path_params["path"]:
            raise HTTPException(405, headers={"Allow": ", ".join(READING)})
        if target is None:
            raise HTTPException(404)
        mount, path = target
        response = await self._uploads.receive(request, mount.served, path or "")
        if response.status_code < 300:  # another publication may show it
            await self._refresh()
            response.headers[GENERATION_HEADER] = str(self._catalogue.generation)
        return response

    async def _refresh(self) -> None:
        """Show the file to the uploader at once.

        It is recorded: where the database cannot be read now, a later refresh shows it.
        """
        try:
            await self._catalogue.refresh()
        except Exception as error:  # any error of a database
            logger.warning("cannot read what is to be served: %s", error)


class Uploads:
    """Receives uploads, as the module describes.

    folder: where files lie while they come in, on the disk of the store. max_upload: bytes of a
    body. silence: seconds in which something more must arrive. slowest:
    bytes a second on average, once these are over. audit: each request that is for a
    publication leaves one line there.
    """

    def __init__(
        self,
        receiver: UploadReceiver,
        folder: Path,
        *,
        max_upload: int = MAX_UPLOAD,
        silence: float = SILENCE,
        slowest: float = SLOWEST,
        audit: AuditTrail | None = None,
    ) -> None:
        self._receiver = receiver
        self._folder = TemporaryFolder(str(folder))
        self._max_upload = max_upload
        self._silence = silence
        self._slowest = slowest
        self._audit = audit

    def sweep(self) -> None:
        """Remove what server processes that were killed left in the folder."""
        self._folder.sweep()

    async def receive(self, request: Request, served: ServedPublication, path: str) -> Response:
        """Take what is sent to `path` within a publication.

        Raises HTTPException for a method that is not taken there.
        """
        trace = UploadTrace(request.method, path)
        try:
            response = await self._receive(request, served, path, trace=trace)
        except BodyFault as fault:
            response = text_response(request, fault.status, str(fault))
        except ReconcilerError as error:
            trace.fail(error)
            response = error_response(request, error)
        except HTTPException:
            raise
        except Exception:  # a bug of the receiver: for the server's log, not for the client
            logger.exception("what was sent to `%s` could not be taken", served.name)
            response = text_response(request, 500, "the server made a mistake; its log says which")
        if response.status_code >= 400:
            logger.info("upload to `%s` refused with status %d", served.name, response.status_code)
        if self._audit is not None:
            fields = trace.event(response.status_code)
            await self._audit.write(request.scope, publication=served.name, **fields)
        return response

    async def _receive(
        self, request: Request, served: ServedPublication, path: str, *, trace: UploadTrace
    ) -> Response:
        if UNDECODED in path:  # two such names could not be told apart
            return text_response(request, 400, "the path is not UTF-8")
        methods = await in_thread(self._receiver.endpoints, served.name, path)
        if request.method not in methods:
            raise HTTPException(405, headers={"Allow": ", ".join([*READING, *methods])})
        if _is_cross_site(request):
            trace.deny(CROSS_SITE)
            return text_response(request, 403, "pages of other sites change nothing here")
        grant = await self._authenticate(request, served, path, trace=trace)
        if isinstance(grant, Response):
            return grant
        trace.admit(grant)
        body = self._body(request, path, forms_only=methods[request.method])
        if isinstance(body, Response):
            return body
        arrived = ArrivedRequest(
            request.method,
            path,
            query={name: request.query_params.getlist(name) for name in request.query_params},
            headers=_headers(request),
            fields={},
            files=[],
            grant=grant,
        )
        try:
            return await self._answer(request, served, arrived, body=body, trace=trace)
        finally:
            await in_thread(body.discard)

    async def _whole(
        self, request: Request, arrived: ArrivedRequest, body: UploadForm | RawBody
    ) -> ArrivedRequest:
        """Return the request with its body, once that has arrived."""
        pieces = body_pieces(
            request, self._max_upload, silence=self._silence, slowest=self._slowest
        )
        async for piece in pieces:
            await in_thread(body.write, piece)
        fields, files = await in_thread(body.finish)
        return replace(arrived, fields=fields, files=files)

    def _body(
        self, request: Request, path: str, *, forms_only: bool
    ) -> UploadForm | RawBody | Response:
        """Return what takes the body in, or the response that refuses it."""
        if declared_length(request) > self._max_upload:
            text = f"more than {self._max_upload:,} bytes are not taken"
            return text_response(request, 413, text)
        boundary = boundary_of(request.headers.get("content-type"))
        if boundary is not None:
            return UploadForm(boundary, self._folder)
        if forms_only:
            text = "a file is taken as a form: `Content-Type: multipart/form-data`"
            return text_response(request, 415, text)
        return RawBody(self._folder, path, optional=request.method == "DELETE")

    async def _answer(
        self,
        request: Request,
        served: ServedPublication,
        arrived: ArrivedRequest,
        *,
        body: UploadForm | RawBody,
        trace: UploadTrace,
    ) -> Response:
        """Have the request taken; tell the client in the words of its protocol."""
        try:
            arrived = await self._whole(request, arrived, body)
            trace.arrive(arrived.files)
            receipt = await self._receiver.receive(served.name, arrived)
        except ReconcilerError as error:
            trace.fail(error)
            response = error_response(request, error)
            error.message, error.hint = client_words(error)  # what a publisher tells them
            answer = await self._receiver.error_answer(
                served.name, arrived, response.status_code, error=error
            )
            if answer is None:
                return response
            told = _answer_response(answer)
            if "retry-after" in response.headers:  # when to come back is the server's to say
                told.headers["retry-after"] = response.headers["retry-after"]
            return told
        logger.info(
            "`%s` received %s from `%s`",
            served.name,
            ", ".join(f"`{file.name}`, {pluralize(file.size, 'byte')}," for file in arrived.files)
            or f"{arrived.method} `{arrived.path}`",
            arrived.grant.principal,
        )
        trace.take(receipt)
        return _receipt_response(request, receipt)

    async def _authenticate(
        self, request: Request, served: ServedPublication, path: str, *, trace: UploadTrace
    ) -> Grant | Response:
        """Return what the uploader may do, or the response that refuses the client."""
        authorization = request.headers.get("authorization")
        try:
            grant = await in_thread(self._receiver.authenticate, served.name, authorization, path)
        except Refused as error:
            trace.deny(error.code)
            return text_response(request, 403, error_text(error))
        if grant is not None:
            return grant
        trace.deny(NO_CREDENTIALS if authorization is None else WRONG_CREDENTIALS)
        managed = path.startswith(MANAGE_PATH)
        takes = "requests of its managers" if managed else "files from its uploaders"
        text = f"`{served.name}` takes {takes} only"
        return text_response(
            request, 401, text, headers={"www-authenticate": challenge(served.name)}
        )


def _is_cross_site(request: Request) -> bool:
    """Return True for what a browser sends for a page that may be another site's.

    It adds credentials that it remembers. Other clients send no `Origin`, and no page can set what
    these two headers say.
    """
    headers = request.headers
    return "origin" in headers and headers.get("sec-fetch-site") != "same-origin"


def _headers(request: Request) -> dict[str, str]:
    """Return the headers of a request for a publisher: credentials are none of its business."""
    return {name: value for name, value in request.headers.items() if name not in CREDENTIALS}


def _answer_response(answer: UploadAnswer) -> Response:
    headers = {**NOSNIFF_HEADER, **{name.lower(): text for name, text in answer.headers.items()}}
    return Response(answer.body, answer.status, headers=headers, media_type=answer.media_type)


def _receipt_response(request: Request, receipt: UploadReceipt) -> Response:
    if receipt.answer is not None:
        return _answer_response(receipt.answer)
    return text_response(request, 201 if receipt.shown else 202, receipt.message)


def error_response(request: Request, error: ReconcilerError) -> Response:
    """Return the response to an error, by the table of the module's docstring."""
    text = error_text(error)
    if isinstance(error, Gone):
        return text_response(request, 404, text)
    if isinstance(error, Conflict) and error.retry_after is None:
        return text_response(request, 409, text)
    if isinstance(error, Denied):
        return text_response(request, 403, text)
    if isinstance(error, QuotaExceeded):
        return text_response(request, 413, text)
    if isinstance(error, Permanent):
        return text_response(request, 400, text)
    if isinstance(error, Temporary | LeaseHeld):
        return text_response(request, 503, text, headers={"retry-after": str(retry_after(error))})
    logger.error("%s", error)
    return text_response(request, 500, text)


def retry_after(error: ReconcilerError) -> int:
    """Return the seconds after which to try again."""
    asked = error.retry_after if isinstance(error, Temporary) else None
    return max(1, math.ceil(RETRY_AFTER if asked is None else asked))
