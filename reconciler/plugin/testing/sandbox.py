"""A sandbox for a plugin: manifests, a home, and the engine, run in this process."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import EntryPoint
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from reconciler.database import Database, Reader
from reconciler.engine import CallLimits, Engine, Home, PlanOptions, Report
from reconciler.engine.service import Service
from reconciler.manifest import read, read_recorded
from reconciler.model import (
    ActualPublication,
    ActualRepository,
    DesiredState,
    Digest,
    StoredUnit,
    read_body,
)
from reconciler.plan import ContentChanges, Plan
from reconciler.plugin import UploadedFile
from reconciler.plugin.registry import Registry
from reconciler.plugin.testing.subject import EntryPointFunction, Subject
from reconciler.store import LocalStore

NAME = "trial"

Document = dict[str, Any]

Shown = tuple[str, str, str]
"""A representation that a publication shows: path, media type, digest."""


class SyncResult(NamedTuple):
    """The digest of a version, and all representations that its publication shows, sorted."""

    digest: str
    shown: list[Shown]


@dataclass(frozen=True)
class State:
    """The contents of a repository and its publication."""

    number: int
    digest: str
    units: list[StoredUnit]
    shown: list[Shown]

    @property
    def keys(self) -> list[str]:
        """Return up to 20 units for messages."""
        return [f"{unit.group}/{unit.key}" for unit in self.units][:20]


class TemporaryHome(Home):
    """A home that does not have to be durable.

    Nothing is synced to disk, and the database is a copy of an empty one: both would take longer
    than a small apply.
    """

    def database(self, *, read_only: bool = True) -> Database:
        path = self.root / "state.db"
        if read_only and not path.exists():
            return Database(f"sqlite:///{_empty_folder().name}/state.db").open(read_only)
        if not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_empty_database())
        return super().database(read_only=read_only)

    def store(self) -> LocalStore:
        return LocalStore(self.root / "store", flush=lambda path: None)


@cache
def _empty_folder() -> TemporaryDirectory[str]:
    """Return the folder of an empty database, which goes with this process."""
    folder = TemporaryDirectory(prefix="reconciler-")
    Home(Path(folder.name)).database(read_only=False).close()
    return folder


@cache
def _empty_database() -> bytes:
    return (Path(_empty_folder().name) / "state.db").read_bytes()


class _EntryPoint(EntryPoint):
    """An entry point of a function that is not installed."""

    def __init__(self, group: str, function: EntryPointFunction) -> None:
        super().__init__(
            name=f"{function.__module__}.{function.__qualname__}",
            value=f"{function.__module__}:{function.__qualname__}",
            group=group,
        )
        vars(self).update(function=function)

    def load(self) -> EntryPointFunction:
        function: EntryPointFunction = vars(self)["function"]
        return function


def registry_of(subject: Subject) -> Registry:
    """Return the registry that holds the subject alone; all its sandboxes have the same one."""
    registry: Registry = vars(subject).setdefault("registry", None) or _registry_of(subject)
    vars(subject)["registry"] = registry
    return registry


def _registry_of(subject: Subject) -> Registry:
    points = {
        "reconciler.importers": [_EntryPoint("reconciler.importers", subject.importer)],
        "reconciler.publishers": [_EntryPoint("reconciler.publishers", subject.publisher)]
        if subject.publisher
        else [],
        "reconciler.content_types": [
            _EntryPoint("reconciler.content_types", type_) for type_ in subject.content_types
        ],
    }
    return Registry(points=lambda group: points[group])


@dataclass
class Sandbox:
    """A home in `folder`, and manifests that may change from run to run.

    `blocked`: findings of the watchdog.
    """

    subject: Subject
    folder: Path
    blocked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = TemporaryHome(self.folder / "home")
        self.registry = registry_of(self.subject)
        self.documents = self.usual()

    # Manifests

    def usual(
        self,
        *,
        source: Mapping[str, Any] | None = None,
        sources: Sequence[Mapping[str, Any]] | None = None,
        publication: Mapping[str, Any] | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> list[Document]:
        """Return the subject's manifests.

        Arguments replace the keys of the source, all sources, the keys of the publication, and
        those of the Filter.
        """
        keys = self.subject.source if source is None else source
        rules = self.subject.rules if rules is None else rules
        feed = sources if sources is not None else [{"remote": {"name": "upstream", **keys}}]
        documents = [self.upstream(), self.repository(NAME, feed, ["rules"] if rules else [])]
        documents += (
            [_document("Filter", "rules", {"type": self.subject.id, **rules})] if rules else []
        )
        documents += self.publication(
            NAME, self.subject.publication if publication is None else publication
        )
        return documents

    def upstream(self) -> Document:
        """Return the Remote."""
        url = f"{self.subject.upstream.url}{self.subject.path}"
        return _document(
            "Remote",
            "upstream",
            {"type": self.subject.id, "url": url, "retries": 0, **self.subject.remote},
        )

    def repository(
        self, name: str, sources: Sequence[Mapping[str, Any]], filters: Sequence[str] = ()
    ) -> Document:
        """Return a Repository of the subject's type."""
        return _document(
            "Repository",
            name,
            {"type": self.subject.id, "sources": list(sources), "filters": list(filters)},
        )

    def publication(self, name: str, keys: Mapping[str, Any]) -> list[Document]:
        """Return the Publication of a repository; nothing where the plugin has no publisher."""
        if self.subject.publisher is None:
            return []
        cls: Any = self.subject.publisher()[0]
        return [
            _document(
                "Publication",
                name,
                {"repository": name, "path": name, "publisher": cls.metadata().id, **keys},
            )
        ]

    def without_publication(self) -> list[Document]:
        """Return the manifests without Publications, for what concerns the importer alone."""
        return [document for document in self.documents if document["kind"] != "Publication"]

    def desired(self, documents: Iterable[Document] | None = None) -> DesiredState:
        """Read the manifests, or `documents`. Raises ManifestFaults."""
        path = self.folder / "sandbox.yaml"
        path.write_text(
            "\n---\n".join(map(json.dumps, self.documents if documents is None else documents)),
            encoding="utf-8",
        )
        return read([path], self.registry)

    # Running

    def plan(self) -> Plan:
        """Return the plan of an apply. Raises ManifestFaults."""
        return asyncio.run(self._plan())

    def apply(self, *, prune: bool = False) -> tuple[Report, list[Plan]]:
        """Return the report and the plans that were carried out. Raises ManifestFaults."""
        return asyncio.run(self._apply(prune))

    def upload(self, name: str, data: bytes) -> int:
        """Upload a file with the subject's fields; return the number of the repository's version.
        Raises ReconcilerError where it is refused.
        """
        path = self.folder / "sent"
        path.write_bytes(data)
        return asyncio.run(
            self._upload(UploadedFile(name, path, len(data), sha256(data).hexdigest()))
        )

    def forget_pages(self) -> None:
        """Delete the page cache."""
        shutil.rmtree(self.home.root / "cache", ignore_errors=True)

    # Looking

    def content(self, plan: Plan) -> ContentChanges:
        """Return the changes of a plan to the repository."""
        return next(change.content for change in plan.changes if change.content is not None)

    def version(self, name: str = NAME) -> tuple[int, str]:
        """Return number and digest of a repository's latest version; (0, "") where it has none."""
        with self.home.database() as database:
            state = database.reader().actual_state().repositories.get(name)
            return (state.number, str(state.digest)) if state else (0, "")

    def state(self, name: str = NAME) -> State:
        """Return the contents of a repository and of the publication with its name."""
        with self.home.database() as database:
            reader = database.reader()
            actual = reader.actual_state()
            held = actual.repositories.get(name)
            published = actual.publications.get(name)
            units = _units(reader, held) if held else []
            shown = _shown(reader, published) if published else []
            return State(held.number if held else 0, str(held.digest) if held else "", units, shown)

    def units(self, name: str = NAME) -> list[StoredUnit]:
        """Return all units of the latest version, by (group, type, key)."""
        return self.state(name).units

    def shown(self) -> list[Shown]:
        """Return all representations of the publication, sorted."""
        return self.state().shown

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """Yield the rendered pages of the publication, by path."""
        with self.home.database() as database:
            reader = database.reader()
            published = reader.actual_state().publications.get(NAME)
            record = reader.publication(published.id) if published is not None else None
            if published is None or record is None:
                return
            entries = [
                each for each in reader.all_entries(published.id, record.number) if each.page
            ]
            for entry in entries:
                yield entry.path, _body(reader, entry.digest)

    def made(self) -> SyncResult:
        """Return the digest of the latest version, and all representations."""
        state = self.state()
        return SyncResult(state.digest, state.shown)

    def recorded(self) -> list[str]:
        """Return the recorded resources with their specifications, sorted."""
        with self.home.database() as database:
            return sorted(
                f"{ref} {json.dumps(resource.spec, sort_keys=True, default=str)}"
                for ref, resource in database.reader().actual_state().resources.items()
            )

    def files(self) -> dict[str, bytes]:
        """Return the files of the home, without caches."""
        return files_below(self.home.root)

    async def _plan(self) -> Plan:
        async with self._engine(writes=False) as engine:
            return await engine.plan(self.desired(), PlanOptions(allow_destroy=True))

    async def _apply(self, prune: bool) -> tuple[Report, list[Plan]]:
        plans: list[Plan] = []
        async with self._engine(writes=True) as engine:
            report = await engine.apply(
                self.desired(), PlanOptions(prune=prune, allow_destroy=True), {}, show=plans.append
            )
        return report, plans

    async def _upload(self, file: UploadedFile) -> int:
        service = Service(self.home, self.registry, read_recorded, clock=_midnight)
        try:
            return (
                await service.upload(
                    NAME, file, self.subject.fields, principal="the conformance kit"
                )
            ).version
        finally:
            await service.close()

    def _engine(self, *, writes: bool) -> Engine:
        limits = CallLimits(call=self.subject.patience, block=self.subject.block)
        return Engine(
            self.home,
            self.registry,
            read_recorded,
            writes=writes,
            limits=limits,
            blocked=self.blocked.append,
            clock=_midnight,
        )


def _midnight() -> datetime:
    """Return the moment that this day began.

    Versions of all sandboxes have it, so that pages that state it can be compared, also those that
    another process makes.
    """
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _units(reader: Reader, repository: ActualRepository) -> list[StoredUnit]:
    names = list(reader.group_names(repository.id, repository.number))
    by_group = reader.units(repository.id, repository.number, names)
    return [unit for name in names for unit in by_group.get(name, [])]


def _shown(reader: Reader, publication: ActualPublication) -> list[Shown]:
    record = reader.publication(publication.id)
    if record is None:
        return []
    return sorted(
        (entry.path, entry.media_type, str(entry.digest))
        for entry in reader.all_entries(publication.id, record.number)
    )


def _body(reader: Reader, digest: Digest) -> bytes:
    """Return a rendered page, which is kept as a whole or in chunks."""
    for packed in reader.pages([digest]).values():
        return gzip.decompress(packed)
    body = reader.chunked_bodies([digest])[digest]
    return b"".join(read_body(body, reader.chunks))


def files_below(root: Path) -> dict[str, bytes]:
    """Return the files below a folder by path.

    Cached pages are left out, and SQLite's own files beside an open database.
    """
    paths = (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and "cache" not in path.relative_to(root).parts
    )
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in paths
        if not path.name.endswith(("-wal", "-shm"))
    }


def failures_of(report: Report) -> str:
    """Return the failures of an apply as text; an empty text where there are none."""
    return "; ".join(
        f"{outcome.ref}: {outcome.message}"
        for outcome in report.outcomes
        if outcome.result not in ("done", "unchanged")
    )


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> Document:
    return {
        "apiVersion": "reconciler/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": dict(spec),
    }
