"""Fakes of what the engine hands to a plugin: conduits over a dictionary of pages, conduits over a
dictionary of groups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import msgspec

from reconciler.model import identify
from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    Gone,
    GroupedUnit,
    Importer,
    Malformed,
    Output,
    Page,
    Part,
    PluginCallConfiguration,
    PublishedVersion,
    Signer,
    StoredArtifact,
    StoredUnit,
    Unit,
    UploadedFile,
)

BASE = "https://index.example.org/simple/"

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def page(
    body: bytes | str,
    media_type: str,
    *,
    url: str = BASE,
    validator: str = "v1",
    charset: str = "utf-8",
) -> Page:
    return Page(
        url, body.encode() if isinstance(body, str) else body, validator, media_type, charset
    )


@dataclass
class FakeRepository:
    """A RepositoryInfo. `folder`: for its working directory, where a test needs one."""

    name: str = "team"
    folder: Path | None = None

    @property
    def working_directory(self) -> Path:
        assert self.folder is not None, "this test gave its repository no folder"
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder


@dataclass
class FakePads:
    """WritableScratchpads. What is noted must be JSON, and comes back as a copy. `notes`: the last
    one by owner, as JSON.
    """

    notes: dict[str, str] = field(default_factory=dict, kw_only=True)

    def get_scratchpad(self) -> Any:
        return json.loads(self.notes.get("plugin", "null"))

    def set_scratchpad(self, value: Any) -> None:
        self.notes["plugin"] = json.dumps(value, allow_nan=False)

    def get_repository_scratchpad(self) -> Any:
        return json.loads(self.notes.get("repository", "null"))

    def set_repository_scratchpad(self, value: Any) -> None:
        self.notes["repository"] = json.dumps(value, allow_nan=False)


@dataclass
class FakeUpstream(FakePads):
    """An UpstreamConduit with notes. `pages`: by the URL as it is asked for (`foo/`); an error
    among them is raised.

    `files`: what `get_file` and `get_part` find, by the URL as it is asked for, or by sha256.
    `committed`: validators that count as unchanged. What was asked for is kept for assertions.
    """

    pages: Mapping[str, Page | Exception]
    options: Any = None
    committed: frozenset[str] = frozenset()
    url: str = BASE
    config: PluginCallConfiguration = field(
        default_factory=lambda: PluginCallConfiguration({}, {}, {})
    )
    repository: FakeRepository = field(default_factory=FakeRepository)
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)
    validators: list[str] = field(default_factory=list)
    files: Mapping[str, bytes | Exception] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    filters: Sequence[ActiveFilter] = ()
    now: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)
    first_seen: Mapping[str, str] = field(default_factory=dict)

    async def with_first_seen(self, units: Sequence[Unit]) -> list[Unit]:
        """`first_seen`: by the key of a unit."""
        return [
            msgspec.structs.replace(
                unit, metadata={**unit.metadata, "_firstSeen": self.first_seen[unit.key]}
            )
            if unit.key in self.first_seen
            else unit
            for unit in units
        ]

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

    async def get_file(self, url: str, *, sha256: str) -> bytes:
        self.fetched.append(url)
        body = self.files.get(url, self.files.get(sha256, Gone(f"{urljoin(self.url, url)}: 404")))
        if isinstance(body, Exception):
            raise body
        if hashlib.sha256(body).hexdigest() != sha256:
            raise Malformed(f"{urljoin(self.url, url)}: other bytes than declared")
        return body

    async def get_part(self, url: str, *, sha256: str, offset: int, length: int) -> Part:
        body = await self.get_file(url, sha256=sha256)
        start = min(offset, len(body)) if offset >= 0 else max(0, len(body) + offset)
        return Part(start, len(body), body[start : start + length])

    def unchanged(self, validator: str) -> bool:
        self.validators.append(validator)
        return validator in self.committed


@dataclass
class FakeConduit(FakeUpstream):
    """A ReadConduit. `refused`: reasons by key. `others`: groups that an earlier source owns.
    `partial`: `incomplete` was called.
    """

    refused: dict[str, str] = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    partial: bool = False

    def refuse(self, key: str, reason: str) -> None:
        self.refused[key] = reason

    def owned_by_earlier_source(self, group: str) -> bool:
        return group in self.others

    def incomplete(self, reason: str) -> None:
        self.partial = True


class FakeMembers:
    """RepositoryContent over groups of units."""

    def __init__(self, groups: Mapping[str, list[StoredUnit]]) -> None:
        self._groups = dict(groups)

    def groups(self) -> Iterator[str]:
        return iter(sorted(name for name, units in self._groups.items() if units))

    def units(self, group: str) -> list[StoredUnit]:
        return sorted(self._groups.get(group, []), key=lambda unit: (unit.type, unit.key))


@dataclass
class FakeSyncConduit(FakeUpstream):
    """A SyncConduit over `members`, what the source holds. What is recorded is kept for assertions,
    and `after` carries it out.
    """

    members: Mapping[str, list[StoredUnit]] = field(default_factory=dict)
    saved: list[tuple[str, Unit]] = field(default_factory=list)
    associated: list[StoredUnit] = field(default_factory=list)
    removed: list[StoredUnit] = field(default_factory=list)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def groups(self) -> Iterator[str]:
        return FakeMembers(self.members).groups()

    def units(self, group: str) -> list[StoredUnit]:
        return FakeMembers(self.members).units(group)

    def init_unit(
        self, type: str, key: str, metadata: Mapping[str, Any], artifacts: Sequence[Artifact] = ()
    ) -> Unit:
        unit = Unit(type, key, dict(metadata), list(artifacts))
        measured = [
            msgspec.structs.replace(artifact, sha256=artifact.sha256 or "0" * 64)
            for artifact in artifacts
        ]
        identify(msgspec.structs.replace(unit, artifacts=measured), "any")
        return unit

    def save_unit(self, group: str, unit: Unit) -> None:
        self.saved.append((group, unit))

    def associate_unit(self, unit: StoredUnit) -> None:
        self.associated.append(unit)

    def remove_unit(self, unit: StoredUnit) -> None:
        assert unit in self.members.get(unit.group, []), f"{unit.key} is not there"
        self.removed.append(unit)

    def refuse(self, group: str, key: str, reason: str) -> None:
        self.refused[group, key] = reason

    @property
    def after(self) -> dict[str, list[StoredUnit]]:
        """What the source holds once the record has been carried out, `select` letting everything
        in; no empty groups.
        """
        left = {
            (u.group, u.type, u.key): u
            for units in self.members.values()
            for u in units
            if u not in self.removed
        }
        arrived = [*self.associated, *(stored(unit, group) for group, unit in self.saved)]
        left |= {(unit.group, unit.type, unit.key): unit for unit in arrived}
        found: dict[str, list[StoredUnit]] = {}
        for place in sorted(left):
            found.setdefault(place[0], []).append(left[place])
        return found


class FakeUploadConduit(FakePads, FakeMembers):
    """An UploadConduit and a ReceiveConduit over groups of units. `importer`: what becomes of
    files, for publishers.
    """

    def __init__(
        self,
        groups: Mapping[str, list[StoredUnit]],
        *,
        options: Any = None,
        importer: Importer | None = None,
    ) -> None:
        FakePads.__init__(self)
        FakeMembers.__init__(self, groups)
        self.options = options
        self.config = PluginCallConfiguration({}, {}, {})
        self.repository = FakeRepository()
        self.received_at = MOMENT
        self.publication = "trial"
        self._importer = importer

    def add_file(self, name: str, body: bytes) -> UploadedFile:
        raise NotImplementedError

    def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[GroupedUnit]:
        assert self._importer is not None, "this test gave its conduit no importer"
        return self._importer.upload(self, file, fields, self.config)


@dataclass
class FakeOutput:
    """Everything that was emitted. `pages`: (path, media type) -> body; `files`: path -> (sha256,
    media type).
    """

    pages: dict[tuple[str, str], bytes] = field(default_factory=dict)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)

    def page(
        self,
        path: str,
        body: bytes,
        media_type: str,
        *,
        aliases: tuple[str, ...] = (),
        immutable: bool = False,
        linger: str | timedelta | None = None,
    ) -> None:
        assert (path, media_type) not in self.pages, f"{path} emitted twice as {media_type}"
        self.pages[path, media_type] = body
        for alias in aliases:
            self.aliases[path, alias] = media_type

    def signed_page(
        self,
        path: str,
        text: bytes,
        media_type: str,
        *,
        signer: Signer,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.page(path, signer.sign(text, MOMENT), media_type, aliases=aliases)

    def file(
        self,
        path: str,
        artifact: StoredArtifact,
        media_type: str = "application/octet-stream",
        *,
        immutable: bool = False,
        linger: str | timedelta | None = None,
    ) -> None:
        assert path not in self.files, f"{path} emitted twice"
        self.files[path] = (artifact.sha256, media_type)


class FakePublishConduit(FakePads, FakeMembers):
    """A PublishConduit over groups of units. `changed_groups`: None for every one."""

    def __init__(
        self,
        groups: Mapping[str, list[StoredUnit]],
        *,
        changed_groups: list[str] | None = None,
        options: Any = None,
        base_url: str = "",
    ) -> None:
        FakePads.__init__(self)
        FakeMembers.__init__(self, groups)
        self.version = PublishedVersion(1, MOMENT)
        self.groups_changed = True
        self.base_url, self.has_base_url = base_url, bool(base_url)
        self.options = options
        self.config = PluginCallConfiguration({}, {}, {})
        self.repository = FakeRepository()
        self._changed = sorted(groups) if changed_groups is None else changed_groups
        self.outputs: dict[str, FakeOutput] = {}
        self.whole_output = FakeOutput()

    def changed_groups(self) -> Iterator[str]:
        return iter(self._changed)

    @contextmanager
    def group(self, name: str) -> Iterator[Output]:
        yield self.outputs.setdefault(name, FakeOutput())

    @contextmanager
    def whole_repository(self) -> Iterator[Output]:
        yield self.whole_output

    def keep_whole_repository(self) -> None:
        raise NotImplementedError

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
    artifacts = [
        StoredArtifact(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts
    ]
    return StoredUnit(
        artifacts=artifacts, group=group, key=unit.key, metadata=unit.metadata, type=unit.type
    )


def write_tree(output: FakeOutput, contents: Mapping[str, bytes], root: Path) -> None:
    """Write a published tree as an export has it: `contents` is sha256 -> bytes; pages become
    `index.html` and `index.json`.
    """
    for (path, media_type), body in output.pages.items():
        folder = root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ("index.json" if media_type.endswith("+json") else "index.html")).write_bytes(
            body
        )
    for path, (sha256, _) in output.files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[sha256])
