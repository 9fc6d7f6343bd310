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
    Artifact,
    Endpoint,
    GroupedUnit,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    ReconcilerError,
    Unit,
    UploadedFile,
)
from reconciler_python.evidence.provenance import PROVENANCE_ENDING
from reconciler_python.uploads.attestations import provenance_object
from reconciler_python.uploads.form import check_request
from reconciler_python.uploads.refusals import FileExists, UploadRefused

__all__ = ["ENDPOINTS", "error_answer", "is_legacy", "received"]

# With and without the slash: clients follow no redirect.
ENDPOINTS: Final = (Endpoint("POST", "legacy/", form=True), Endpoint("POST", "legacy", form=True))
_FILE_FIELD: Final = "content"
_ATTESTATIONS: Final = "attestations"


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
    if request.fields.get(_ATTESTATIONS):
        units = _with_provenance(conduit, units, files[0], field=request.fields[_ATTESTATIONS])
    return Received(units, answer=Answer(200, f"`{files[0].name}` is published\n".encode()))


def _with_provenance(
    conduit: ReceiveConduit, units: Iterable[GroupedUnit], file: UploadedFile, *, field: str
) -> list[GroupedUnit]:
    """Add the provenance object of a file that is new; one that is held keeps its own."""
    body = provenance_object(field, file)
    return [
        (group, unit if _is_held(conduit, group, unit) else _attested(conduit, unit, body))
        for group, unit in units
    ]


def _is_held(conduit: ReceiveConduit, group: str, unit: Unit) -> bool:
    return any((each.type, each.key) == (unit.type, unit.key) for each in conduit.units(group))


def _attested(conduit: ReceiveConduit, unit: Unit, body: bytes) -> Unit:
    name = f"{unit.key}{PROVENANCE_ENDING}"
    added = conduit.add_file(name, body)
    artifact = Artifact(name, added.sha256, added.size)
    return Unit(unit.type, unit.key, unit.metadata, [*unit.artifacts, artifact])


def error_answer(request: ReceivedRequest, status: int, error: ReconcilerError) -> Answer:
    """Return what a client is told of an error."""
    if isinstance(error, UploadRefused | FileExists):
        status = error.status
    if "json" in request.headers.get("accept", ""):
        problem = _Problem(status, error.message, error.hint or error.message, error.code)
        return Answer(status, msgspec.json.encode(problem), "application/problem+json")
    hint = f"\nhint: {error.hint}" if error.hint else ""
    return Answer(status, f"{error.message} [{error.code}]{hint}\n".encode())
