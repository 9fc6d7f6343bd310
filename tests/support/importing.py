"""The importer of Python, asked for groups and for the units of one page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reconciler.model import identify
from reconciler.plugin import Group, Page, Unit
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import BASE, FakeConduit, page

JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
OTHER = "b" * 64
FOO = f"{BASE}foo/"
NO_DIGEST = "upstream gives no digest (`hashes: optional` would take it)"


def declared(pages: dict[str, Page | Exception], **keys: Any) -> tuple[list[Group], FakeConduit]:
    conduit = FakeConduit(pages, SelectionOptions.model_validate(keys))

    async def collect() -> list[Group]:
        return [
            group async for group in PythonImporter().declare(conduit) if isinstance(group, Group)
        ]

    return asyncio.run(collect()), conduit


def read(
    body: bytes | str,
    media_type: str = JSON,
    *,
    validator: str | None = None,
    committed: frozenset[str] = frozenset(),
) -> tuple[Any, FakeConduit]:
    conduit = FakeConduit(
        {"foo/": page(body, media_type, url=FOO, validator="etag")}, SelectionOptions(), committed
    )
    return asyncio.run(PythonImporter().read(conduit, Group("foo", validator))), conduit


def units(body: bytes | str, media_type: str = JSON) -> tuple[list[Unit], dict[str, str]]:
    given, conduit = read(body, media_type)
    for unit in given:
        identify(unit, "foo")  # what the core checks of every unit
    return given, conduit.refused


def document(*files: dict[str, Any], **keys: Any) -> str:
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "foo", "files": list(files), **keys})


def file(filename: str = "foo-1.0-py3-none-any.whl", /, **keys: Any) -> dict[str, Any]:
    return {
        "filename": filename,
        "url": f"https://files.example.org/{filename}",
        "hashes": {"sha256": SHA},
        **keys,
    }
