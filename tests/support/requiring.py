"""A synthetic index of projects that require each other, for calls that need no network."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reconciler.plugin import ActiveFilter, Group, Page, Refused, Unchanged, Unit
from reconciler_python.content import Distribution
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import BASE, FakeConduit, page
from tests.support.wheels import Built, core_metadata

JSON = "application/vnd.pypi.simple.v1+json"
FILES = "https://files.example.org/"
LINUX = {"linux": {"python_version": "3.12", "sys_platform": "linux"}}

Releases = Mapping[str, Sequence[str]]
"""Version -> Requires-Dist."""


@dataclass
class RequiringIndex:
    """`pages` and `files` as a FakeCall takes them."""

    pages: dict[str, Page | Exception] = field(default_factory=dict)
    files: dict[str, bytes | Exception] = field(default_factory=dict)
    _entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, project: str, releases: Releases, *, requires_python: str = "") -> None:
        """Wheels with `.metadata` beside them."""
        for version, requires in releases.items():
            self.add_metadata(
                project,
                version,
                core_metadata(project, version, requires_python=requires_python, requires=requires),
                requires_python=requires_python,
            )
        self.show(project)

    def add_metadata(
        self, project: str, version: str, metadata: bytes, *, requires_python: str = ""
    ) -> None:
        filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        self.files[f"{FILES}{filename}.metadata"] = metadata
        entry = _entry(filename, _sha256(filename.encode())) | {
            "core-metadata": {"sha256": _sha256(metadata)}
        }
        self._entries.setdefault(project, []).append(
            entry | ({"requires-python": requires_python} if requires_python else {})
        )
        self.show(project)

    def add_file(self, project: str, built: Built, *, content: bytes | None = None) -> None:
        """A file with nothing beside it. `content`: other bytes than it was built with."""
        body = built.content if content is None else content
        self.files[f"{FILES}{built.filename}"] = body
        self._entries.setdefault(project, []).append(_entry(built.filename, _sha256(body)))
        self.show(project)

    def show(self, project: str, **keys: Any) -> None:
        body = json.dumps(
            {
                "meta": {"api-version": "1.4"},
                "name": project,
                "files": self._entries.get(project, []),
                **keys,
            }
        )
        self.pages[f"{project}/"] = page(
            body, JSON, url=f"{BASE}{project}/", validator=f"etag:{_sha256(body.encode())[:12]}"
        )

    def list(self, serials: Mapping[str, int | None]) -> None:
        listed = [
            {"name": name, **({} if serial is None else {"_last-serial": serial})}
            for name, serial in serials.items()
        ]
        self.pages[""] = page(
            json.dumps({"meta": {"api-version": "1.4"}, "projects": listed}), JSON
        )


@dataclass
class Closed:
    """What one run over an index gave. `taken`: by project, the keys that are in; `failures`,
    `refused`: by project.
    """

    conduit: FakeConduit
    groups: dict[str, Group]
    taken: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    pulled_by: dict[str, list[str]] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)

    @property
    def versions(self) -> dict[str, list[str]]:
        """By project, those that are in."""
        return {
            name: sorted(
                {key.split("-")[1].removesuffix(".tar.gz").removesuffix(".zip") for key in keys}
            )
            for name, keys in self.taken.items()
            if keys
        }


def closed(
    index: RequiringIndex,
    include: Sequence[str] = (),
    *,
    filters: Mapping[str, Any] | None = None,
    committed: Iterable[str] = (),
    others: Iterable[str] = (),
    first_seen: Any = None,
    **keys: Any,
) -> Closed:
    """Declare with `dependencies`, read every group, and decide: what the engine does. `committed`:
    validators of the run before. `first_seen`: moments by filename.
    """
    named = {"include": list(include)} if include else {}
    options = SelectionOptions.model_validate(
        {**named, "dependencies": True, **keys}, context={"folder": "/nowhere"}
    )
    active = (
        [ActiveFilter("rules", FilterOptions.model_validate(filters), "rules.yaml:1")]
        if filters
        else []
    )
    conduit = FakeConduit(
        index.pages,
        options,
        frozenset(committed),
        files=index.files,
        filters=active,
        others=frozenset(others),
        first_seen=first_seen or {},
    )
    return asyncio.run(_run(conduit))


def index(**projects: dict[str, list[str]]) -> RequiringIndex:
    """Return an index of releases by project; `_` in a name stands for `-`."""
    made = RequiringIndex()
    for name, releases in projects.items():
        made.add(name.replace("_", "-"), releases)
    return made


def asked_for(made: RequiringIndex, lines: list[str]) -> Closed:
    """Close over `app` and a requirements file with these lines."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text("\n".join(lines), encoding="utf-8")
        return closed(made, ["app"], requirements=[str(path)])


def message(result: Closed, project: str, kind: type[Exception] = Refused) -> str:
    """Return the message with which a project failed; it must have failed by this error."""
    assert type(result.failures[project]) is kind
    return str(result.failures[project])


async def _run(conduit: FakeConduit) -> Closed:
    importer = PythonImporter()
    result = Closed(
        conduit,
        {
            group.name: group
            async for group in importer.declare(conduit)
            if isinstance(group, Group)
        },
    )
    for name, group in result.groups.items():
        conduit.refused = {}
        try:
            units = await importer.read(conduit, group)
        except Exception as error:
            result.failures[name] = error
            continue
        if isinstance(units, Unchanged):
            result.unchanged.add(name)
            continue
        _decide(result, name, list(units))
        result.refused[name] = result.refused.get(name, {}) | conduit.refused
    return result


def _decide(result: Closed, name: str, units: list[Unit]) -> None:
    distributions = [unit for unit in units if unit.type == Distribution.id]
    for one in Distribution.select(
        name, distributions, result.conduit.options, result.conduit.filters, result.conduit.now
    ):
        if one.accepted:
            result.taken.setdefault(name, []).append(one.unit.key)
            result.pulled_by[one.unit.key] = one.unit.metadata.get("_pulledBy", [])
        else:
            result.refused.setdefault(name, {})[one.unit.key] = one.reason


def _entry(filename: str, sha256: str) -> dict[str, Any]:
    return {"filename": filename, "url": f"{FILES}{filename}", "hashes": {"sha256": sha256}}


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
