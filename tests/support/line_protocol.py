"""A protocol of publishers of `lines`, with one endpoint of each kind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler.plugin import (
    GENERIC_UPLOAD,
    UPLOAD_PATH,
    Answer,
    Artifact,
    Endpoint,
    Gone,
    GroupedUnit,
    Malformed,
    Publisher,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    ReconcilerError,
    StoredUnit,
    Unit,
)

BOX = "boxes/{group}/{key}"


class LineProtocol(Publisher):
    """PUT a raw file, DELETE it, PATCH its metadata, POST files within JSON."""

    endpoints = (
        GENERIC_UPLOAD,
        Endpoint("PUT", BOX),
        Endpoint("DELETE", BOX),
        Endpoint("PATCH", BOX),
        Endpoint("POST", "json/{group:path}"),
    )

    def receive(
        self, conduit: ReceiveConduit, request: ReceivedRequest
    ) -> Received | Iterable[GroupedUnit]:
        """Answer in JSON, but for the generic protocol."""
        if request.path == UPLOAD_PATH:
            return super().receive(conduit, request)
        if request.method == "POST":
            return _of_json(conduit, request)
        group, key = request.parameters["group"], request.parameters["key"]
        if request.method == "PUT":
            fields = {"group": group, "by": request.principal}
            return Received(conduit.to_importer(request.files[0], fields), answer=told("taken"))
        unit = next((unit for unit in conduit.units(group) if unit.key == key), None)
        if unit is None:
            raise Gone(f"no `{key}` in `{group}`")
        if request.method == "DELETE":
            return Received(removed=[unit], answer=Answer(204))
        return Received([(group, noted(unit, request.query["note"][0]))], answer=told("noted"))

    @classmethod
    def error_answer(
        cls, request: ReceivedRequest, status: int, error: ReconcilerError
    ) -> Answer | None:
        """Tell errors in JSON, but those of the generic protocol."""
        return None if request.path == UPLOAD_PATH else told(error.message, status)


def told(text: str, status: int = 200) -> Answer:
    return Answer(status, json.dumps({"told": text}).encode(), "application/json")


def noted(unit: StoredUnit, note: str) -> Unit:
    """The same files with another note."""
    artifacts = [Artifact(part.path, part.sha256, part.size) for part in unit.artifacts]
    return Unit(unit.type, unit.key, {**unit.metadata, "note": note}, artifacts)


def _of_json(conduit: ReceiveConduit, request: ReceivedRequest) -> Iterable[GroupedUnit]:
    try:
        files = msgspec.json.decode(request.files[0].path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError:
        raise Malformed("that is no JSON") from None
    for name, body in files.items():
        file = conduit.add_file(name, base64.b64decode(body))
        yield from conduit.to_importer(file, {"group": request.parameters["group"]})
