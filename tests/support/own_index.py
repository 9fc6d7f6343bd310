"""A team's own Python index behind an ASGI client: what tools send to it, and what it shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.mirror import Mirror, call
from tests.support.source import ROOT
from tests.support.uploading import FORM, file_part, form, text_part
from tests.support.wheels import Built

TOKEN = "t0ken-of-the-own-index"
VARIABLE = "OWN_TOKEN"
BEARER = ("Authorization", f"Bearer {TOKEN}")
PLACE = "/own/legacy/"
JSON = "application/vnd.pypi.simple.v1+json"
MANIFEST = "manifests/10-own-packages.yaml"


class OwnIndex:
    """The index of `manifests/10-own-packages.yaml`; VARIABLE has to hold TOKEN."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.mirror = Mirror(folder, text or (ROOT / MANIFEST).read_text(encoding="utf-8"))
        self.mirror.applied()
        self.application = assembled(self.mirror.home, Registry())
        self.client = Client(self.application)
        self.loop = asyncio.Runner()

    def post(
        self,
        *pieces: bytes | BaseException,
        path: str = PLACE,
        headers: Sequence[tuple[str, str]] = (BEARER, FORM),
    ) -> AsgiResponse:
        return self.loop.run(self.client.post(path, pieces, headers=headers))

    def send(
        self, built: Built, fields: Mapping[str, str] | None = None, *, accept: str = "*/*"
    ) -> AsgiResponse:
        headers = (BEARER, FORM, ("Accept", accept))
        return self.post(legacy_form(built, fields), headers=headers)

    def get(self, path: str, accept: str = JSON) -> AsgiResponse:
        return self.loop.run(self.client.get(path, headers=[("Accept", accept)]))

    def files(self, project: str) -> dict[str, dict[str, Any]]:
        """Entries of a project's page, by filename."""
        page = json.loads(self.get(f"/own/simple/{project}/").body)
        return {entry["filename"]: entry for entry in page["files"]}

    def history(self) -> list[Any]:
        home = f"--home={self.mirror.home.root}"
        document: list[Any] = call(["history", "repository/own", "-o", "json", home]).document
        return document

    def close(self) -> None:
        self.loop.run(live(self.application, "lifespan.startup", "lifespan.shutdown"))
        self.loop.close()


@contextmanager
def own_index(folder: Path, text: str = "") -> Iterator[OwnIndex]:
    index = OwnIndex(folder, text)
    try:
        yield index
    finally:
        index.close()


def legacy_form(built: Built, fields: Mapping[str, str] | None = None) -> bytes:
    """The body of a form as clients send it: the action, fields, the file."""
    said = {":action": "file_upload", "protocol_version": "1", **(fields or {})}
    parts = [text_part(name, text) for name, text in said.items()]
    return form(*parts, file_part(built.filename, built.content, name="content"))
