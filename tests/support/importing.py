"""The importer of Python, asked for groups and for the units of one page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reconciler.model import identify
from reconciler.plugin import Group, Page, Unit
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.simple_importer import PythonImporter
from tests.support.calls import BASE, FakeCall, page

JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
OTHER = "b" * 64
FOO = f"{BASE}foo/"
NO_DIGEST = "upstream gives no digest (`hashes: optional` would take it)"


def declared(pages: dict[str, Page | Exception], **keys: Any) -> tuple[list[Group], FakeCall]:
    call = FakeCall(pages, SelectionOptions.model_validate(keys))

    async def collect() -> list[Group]:
        return [group async for group in PythonImporter().declare(call) if isinstance(group, Group)]

    return asyncio.run(collect()), call


def read(
    body: bytes | str,
    media_type: str = JSON,
    *,
    validator: str | None = None,
    committed: frozenset[str] = frozenset(),
) -> tuple[Any, FakeCall]:
    call = FakeCall(
        {"foo/": page(body, media_type, url=FOO, validator="etag")}, SelectionOptions(), committed
    )
    return asyncio.run(PythonImporter().read(call, Group("foo", validator))), call


def units(body: bytes | str, media_type: str = JSON) -> tuple[list[Unit], dict[str, str]]:
    given, call = read(body, media_type)
    for unit in given:
        identify(unit, "foo")  # what the core checks of every unit
    return given, call.refused


def document(*files: dict[str, Any], **keys: Any) -> str:
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "foo", "files": list(files), **keys})


def file(filename: str = "foo-1.0-py3-none-any.whl", /, **keys: Any) -> dict[str, Any]:
    return {
        "filename": filename,
        "url": f"https://files.example.org/{filename}",
        "hashes": {"sha256": SHA},
        **keys,
    }
