"""The endpoint that twine, uv, poetry, pdm, hatch and flit publish to.

One request sends one file, and 200 says that pages show it. Errors come as a sentence, or as
`application/problem+json` (RFC 9457) with the refusal's code to clients that ask for JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from reconciler.plugin import (
    Answer,
    Endpoint,
    GroupedUnit,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    ReconcilerError,
)
from reconciler_python.uploads.form import check_request
from reconciler_python.uploads.refusals import FileExists, UploadRefused

__all__ = ["ENDPOINTS", "error_answer", "is_legacy", "received"]

# With and without the slash: clients follow no redirect.
ENDPOINTS: Final = (Endpoint("POST", "legacy/", form=True), Endpoint("POST", "legacy", form=True))
_FILE_FIELD: Final = "content"


class _Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457; `code` is what `uv publish` and scripts look at."""

    status: int
    title: str
    detail: str
    code: str
    type: str = "about:blank"


def is_legacy(request: ReceivedRequest) -> bool:
    """Return True for a request to this endpoint."""
    return request.path.rstrip("/") == "legacy"


def received(conduit: ReceiveConduit, request: ReceivedRequest) -> Received:
    """Return what a form changes. Raises UploadRefused."""
    check_request(request.fields)
    files = [file for file in request.files if file.field == _FILE_FIELD]
    if len(files) != 1:
        raise UploadRefused(
            "no-file" if not files else "several-files",
            f"the form has {len(files)} files called `{_FILE_FIELD}`, and one is taken",
        )
    units: Iterable[GroupedUnit] = list(conduit.to_importer(files[0], request.fields))
    return Received(units, answer=Answer(200, f"`{files[0].name}` is published\n".encode()))


def error_answer(request: ReceivedRequest, status: int, error: ReconcilerError) -> Answer:
    """Return what a client is told of an error."""
    if isinstance(error, UploadRefused | FileExists):
        status = error.status
    if "json" in request.headers.get("accept", ""):
        problem = _Problem(status, error.message, error.hint or error.message, error.code)
        return Answer(status, msgspec.json.encode(problem), "application/problem+json")
    hint = f"\nhint: {error.hint}" if error.hint else ""
    return Answer(status, f"{error.message} [{error.code}]{hint}\n".encode())
