"""Files that are sent to a publication: who may, what arrived, and what is said about it.

In this order: the uploader is known before any of the body is read; the body is a form with one
file; the receiver takes it.

what came of it                                          status taken, and shown
201 taken and recorded, but not shown yet                    202 nobody that the publication knows
401, with a challenge `authenticate` raises Refused                            403 Denied (a filter)
403 not `multipart/form-data`                                415 longer than `max_upload`
413, before the body is read where its length is declared nothing arrives for `patience` seconds
408 a form that cannot be read, two files, a wrong sha256    400 Gone
404 Refused, Malformed, DigestMismatch, other Permanent      400 Conflict (another source owns the
name)                  409 Conflict with `retry_after`, other Temporary, LeaseHeld  503, with
`Retry-After` anything else                                            500
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from reconciler.database.records import Served
from reconciler.errors import (
    Conflict,
    Denied,
    Gone,
    LeaseHeld,
    Permanent,
    ReconcilerError,
    Refused,
    Temporary,
)
from reconciler.serve.form import Form, boundary_of
from reconciler.serve.ports import Receipt, Receiver
from reconciler.serve.representation import Header
from reconciler.serve.request import Request
from reconciler.serve.request_bodies import PATIENCE, Body, BodyFault
from reconciler.serve.responses import explained
from reconciler.store.temporary import TemporaryFolder
from reconciler.threads import in_thread

MAX_UPLOAD = 2 * 1024**3  # bytes of a whole body
RETRY_AFTER = 5  # seconds, where nobody says when to come back

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client is told: always a plain text."""

    status: int
    text: str
    headers: list[Header] = field(default_factory=list)


class Uploads:
    """See the module. `folder`: where files lie while they come in. `max_upload`: bytes of a body;
    `patience`: seconds of silence.
    """

    def __init__(
        self,
        receiver: Receiver,
        folder: Path,
        *,
        max_upload: int = MAX_UPLOAD,
        patience: float = PATIENCE,
    ) -> None:
        self._receiver = receiver
        self._folder = TemporaryFolder(str(folder))
        self._max_upload = max_upload
        self._patience = patience

    def sweep(self) -> None:
        """Remove what server processes that were killed left in the folder."""
        self._folder.sweep()

    async def take(self, request: Request, served: Served, path: str, body: Body) -> Reply:
        """Take the file that is sent to `path` within a publication. Never raises."""
        try:
            principal = await self._principal(request, served)
            if isinstance(principal, Reply):
                return principal
            boundary = boundary_of(request.header(b"content-type"))
            if boundary is None:
                return Reply(415, "a file is taken as a form: `Content-Type: multipart/form-data`")
            if int(request.header(b"content-length") or 0) > self._max_upload:
                return Reply(413, f"more than {self._max_upload:,} bytes are not taken")
            receipt = await self._receive(
                served, path, Form(boundary, self._folder), body, principal
            )
        except BodyFault as fault:
            return Reply(fault.status, str(fault))
        except ReconcilerError as error:
            return refusal(error)
        except (
            Exception
        ):  # the receiver's mistake, told to whoever runs this server and not to the client
            log.exception("a file sent to `%s` could not be taken", served.name)
            return Reply(500, "the server made a mistake; its log says which")
        return Reply(
            201 if receipt.shown else 202,
            receipt.message,
            [(b"location", quote(receipt.url, safe="/:%?=&#").encode())] if receipt.url else [],
        )

    async def _principal(self, request: Request, served: Served) -> str | Reply:
        try:
            name = await in_thread(
                self._receiver.authenticate, served.name, request.header(b"authorization")
            )
        except Refused as error:
            return Reply(403, explained(error))
        if name is not None:
            return name
        realm = re.sub(r'[^ -~]|["\\]', "?", served.name)
        challenge = f'Basic realm="{realm}", charset="UTF-8"'.encode()
        return Reply(
            401,
            f"`{served.name}` takes files from the uploaders that it knows only",
            [(b"www-authenticate", challenge)],
        )

    async def _receive(
        self, served: Served, path: str, form: Form, body: Body, principal: str
    ) -> Receipt:
        try:
            async for piece in body.pieces(self._max_upload, self._patience):
                await in_thread(form.write, piece)
            fields, file = form.finish()
            return await self._receiver.receive(served.name, path, fields, file, principal)
        finally:
            await in_thread(form.discard)


def refusal(error: ReconcilerError) -> Reply:
    """What a client is told about an error; the table of the module."""
    text = explained(error)
    if isinstance(error, Gone):
        return Reply(404, text)
    if isinstance(error, Conflict) and error.retry_after is None:
        return Reply(409, text)
    if isinstance(error, Denied):
        return Reply(403, text)
    if isinstance(error, Permanent):
        return Reply(400, text)
    if isinstance(error, Temporary | LeaseHeld):
        return Reply(503, text, [retry_after(error)])
    log.error("%s", error)
    return Reply(500, text)


def retry_after(error: ReconcilerError) -> Header:
    """When to come back, in whole seconds."""
    seconds = (
        error.retry_after
        if isinstance(error, Temporary) and error.retry_after is not None
        else RETRY_AFTER
    )
    return b"retry-after", b"%d" % max(1, math.ceil(seconds))
