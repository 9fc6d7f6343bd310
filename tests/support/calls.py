"""Fakes of what the engine hands to a plugin: an importer's call over a dictionary of pages, a publisher's conduit over a dictionary of groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from reconciler.plugin import Gone, GroupOutput, Malformed, Page, PluginCallConfiguration, StoredArtifact, StoredUnit, Unit

BASE = "https://index.example.org/simple/"


def page(body: bytes | str, media_type: str, *, url: str = BASE, validator: str = "v1", charset: str = "utf-8") -> Page:
    return Page(url, body.encode() if isinstance(body, str) else body, validator, media_type, charset)


@dataclass
class FakeCall:
    """An ImporterCall. `pages`: by the URL as it is asked for (`foo/`); an error among them is raised.

    `committed`: validators that count as unchanged. What was asked for and refused is kept for assertions.
    """

    pages: Mapping[str, Page | Exception]
    options: Any = None
    committed: frozenset[str] = frozenset()
    url: str = BASE
    config: PluginCallConfiguration = field(default_factory=lambda: PluginCallConfiguration({}, {}, {}))
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)
    validators: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        self.asked.append((url, accept, at_least))
        answer = self.pages.get(url, Gone(f"{urljoin(self.url, url)}: 404"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get_json(self, url: str) -> Any:
        found = await self.get(url, accept="application/json")
        try:
            return json.loads(found.body, parse_float=str)
        except ValueError as error:
            raise Malformed(f"{found.url}: not JSON: {error}") from None

    def unchanged(self, validator: str) -> bool:
        self.validators.append(validator)
        return validator in self.committed

    def refuse(self, key: str, reason: str) -> None:
        self.refused[key] = reason


@dataclass
class FakeOutput:
    """Everything that was emitted. `pages`: (path, media type) -> body; `files`: path -> (sha256, media type)."""

    pages: dict[tuple[str, str], bytes] = field(default_factory=dict)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)

    def page(self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()) -> None:
        assert (path, media_type) not in self.pages, f"{path} emitted twice as {media_type}"
        self.pages[path, media_type] = body
        for alias in aliases:
            self.aliases[path, alias] = media_type

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        assert path not in self.files, f"{path} emitted twice"
        self.files[path] = (sha256, media_type)


class FakePublishConduit:
    """A PublishConduit over groups of units. `changed_groups`: None for every one."""

    def __init__(self, groups: Mapping[str, list[StoredUnit]], *, changed_groups: list[str] | None = None, options: Any = None) -> None:
        self._groups = dict(groups)
        self._changed = sorted(self._groups) if changed_groups is None else changed_groups
        self._options = options
        self.outputs: dict[str, FakeOutput] = {}
        self.whole_output = FakeOutput()

    def changed(self) -> Iterator[str]:
        return iter(self._changed)

    def groups(self) -> Iterator[str]:
        return iter(sorted(name for name, units in self._groups.items() if units))

    def units(self, group: str) -> list[StoredUnit]:
        return sorted(self._groups.get(group, []), key=lambda unit: (unit.type, unit.key))

    @contextmanager
    def group(self, name: str) -> Iterator[GroupOutput]:
        yield self.outputs.setdefault(name, FakeOutput())

    @contextmanager
    def whole(self) -> Iterator[GroupOutput]:
        yield self.whole_output

    @property
    def options(self) -> Any:
        return self._options

    @property
    def merged(self) -> FakeOutput:
        """All groups and the whole as one output."""
        merged = FakeOutput()
        for output in (*self.outputs.values(), self.whole_output):
            merged.pages.update(output.pages)
            merged.files.update(output.files)
            merged.aliases.update(output.aliases)
        return merged


def stored(unit: Unit, group: str) -> StoredUnit:
    """A unit as the database would give it back."""
    artifacts = [StoredArtifact(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts]
    return StoredUnit(artifacts=artifacts, group=group, key=unit.key, metadata=unit.metadata, type=unit.type)


def write_tree(output: FakeOutput, contents: Mapping[str, bytes], root: Path) -> None:
    """Write a published tree as an export has it: `contents` is sha256 -> bytes; pages become `index.html` and `index.json`."""
    for (path, media_type), body in output.pages.items():
        folder = root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ("index.json" if media_type.endswith("+json") else "index.html")).write_bytes(body)
    for path, (sha256, _) in output.files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[sha256])
