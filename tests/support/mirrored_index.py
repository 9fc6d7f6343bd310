"""An index upstream that dates, sizes and attests what it has, and a mirror of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.asgi import AsgiResponse, Client
from tests.support.attested import GITHUB, provenance
from tests.support.faulty import Answer, FaultyServer, body
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.wheels import Built, build_sdist, build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
UPLOADED = "2026-11-02T10:20:30.123456Z"
WHEELS = {
    wheel.filename: wheel
    for wheel in (
        build_wheel("app", "1.9", requires_python=">=3.9", requires=["dep>=1", "x; extra == 'y'"]),
        build_wheel("app", "1.10", requires_python=">=3.11", requires=["dep>=2"]),
        build_wheel("app", "1.11"),
        build_wheel("app", "2.0rc1"),
        build_sdist("app", "1.10"),
    )
}
PROVEN = build_wheel("proven", "1.0")
NEWEST = "app-1.10-py3-none-any.whl"
YANKED = "app-1.11-py3-none-any.whl"


class MirroredIndex:
    """An index upstream, and a mirror of it."""

    def __init__(self, folder: Path, server: FaultyServer, *more: str) -> None:
        """`more`: publications beside `/team/`."""
        self.more = more
        self.server = server
        self.mirror = Mirror(folder)
        self.server.on("/", _json(_page(projects=named("app", "dep", "proven"))))
        self.says("app", *WHEELS.values())
        self.says("dep", build_wheel("dep", "2"))
        self.says("proven", PROVEN)
        self.apply()

    def says(self, name: str, *files: Built) -> None:
        """Upstream's page of a project."""
        page = _page(name=name, files=[self._entry(built) for built in files])
        self.server.on(f"/{name}/", _json(page))

    def apply(self) -> None:
        self.mirror.declare(
            remote(self.server.url("/")),
            remote(self.server.url("/"), "other"),
            repository(
                sources=[
                    "name: up, include: [app, dep]",
                    "name: other, include: [proven], filter: {attestations: required}",
                ]
            ),
            publication(),
            *self.more,
        )
        done = self.mirror.apply()
        assert done.code == 0, done.err

    def _entry(self, built: Built) -> dict[str, Any]:
        path = f"/f/{built.filename}"
        self.server.on(path, body(built.content))
        entry: dict[str, Any] = {
            "filename": built.filename,
            "url": path,
            "hashes": {"sha256": built.sha256},
            "size": len(built.content),
            "upload-time": UPLOADED,
        }
        if built.filename.endswith(".whl"):
            self.server.on(f"{path}.metadata", body(built.metadata))
            entry["core-metadata"] = {"sha256": built.metadata_sha256}
        if built == PROVEN:
            self.server.on(f"{path}.provenance", body(provenance(built.sha256, GITHUB)))
            entry["provenance"] = self.server.url(f"{path}.provenance")
        if built.filename == YANKED:
            entry["yanked"] = "breaks <b>all</b>"
        return entry

    def get(self, *requests: str | tuple[str, str]) -> list[AsgiResponse]:
        async def talk() -> list[AsgiResponse]:
            client = Client(assembled(self.mirror.home, Registry()))
            asked = [each if isinstance(each, tuple) else (each, "*/*") for each in requests]
            headers = ("Host", "index.example.org")
            return [
                await client.get(path, headers=[headers, ("Accept", accept)])
                for path, accept in asked
            ]

        return asyncio.run(talk())


def _page(**keys: Any) -> dict[str, Any]:
    return {"meta": {"api-version": "1.4"}, **keys}


def _json(page: dict[str, Any]) -> Answer:
    return body(json.dumps(page).encode(), content_type=JSON)


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]
