"""One site on which a plugin is tried: manifests, a home, and the engine run in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from reconciler.model import ActualPublication, ActualRepository, DesiredState, StoredUnit
from reconciler.plan import ContentChanges, Plan
from reconciler.plugin import UploadedFile
from reconciler.plugin.registry import Registry
from reconciler.plugin.testing.subject import EntryPointFunction, Subject
from reconciler.store import LocalStore

NAME = "trial"

Document = dict[str, Any]

Shown = tuple[str, str, str]
"""A representation that a publication shows: path, media type, digest."""


class Made(NamedTuple):
    """What a sync and its publication came to: the digest of the version, and everything that is
    shown, sorted.
    """

    digest: str
    shown: list[Shown]


@dataclass(frozen=True)
class State:
    """What a repository and its publication hold."""

    number: int
    digest: str
    units: list[StoredUnit]
    shown: list[Shown]

    @property
    def keys(self) -> list[str]:
        """Some of the units, for people."""
        return [f"{unit.group}/{unit.key}" for unit in self.units][:20]


class PassingHome(Home):
    """A home that need not outlive the machine: nothing is forced to the disk, and tables come
    ready-made. Both take longer than a small apply.
    """

    def database(self, *, read_only: bool = True) -> Database:
        path = self.root / "state.db"
        if not read_only and not path.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_empty_database())
        return super().database(read_only=read_only)

    def store(self) -> LocalStore:
        return LocalStore(self.root / "store", flush=lambda path: None)


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory(prefix="reconciler-") as folder:
        Home(Path(folder)).database(read_only=False).close()
        return (Path(folder) / "state.db").read_bytes()


class _Given(EntryPoint):
    """An entry point that nobody had to install."""

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
    """A registry in which the subject is installed and nothing else."""
    points = {
        "reconciler.importers": [_Given("reconciler.importers", subject.importer)],
        "reconciler.publishers": [_Given("reconciler.publishers", subject.publisher)]
        if subject.publisher
        else [],
        "reconciler.content_types": [
            _Given("reconciler.content_types", type_) for type_ in subject.content_types
        ],
    }
    return Registry(points=lambda group: points[group])


@dataclass
class Trial:
    """A home of its own in `folder`, and manifests that may be changed from run to run. `blocked`:
    what the watchdog saw.
    """

    subject: Subject
    folder: Path
    blocked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = PassingHome(self.folder / "home")
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
        """The subject's manifests, with other keys of the source, other sources, other keys of the
        publication or of the Filter.
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
        """The Remote."""
        url = f"{self.subject.upstream.url}{self.subject.path}"
        return _document(
            "Remote",
            "upstream",
            {"type": self.subject.id, "url": url, "retries": 0, **self.subject.remote},
        )

    def repository(
        self, name: str, sources: Sequence[Mapping[str, Any]], filters: Sequence[str] = ()
    ) -> Document:
        """A Repository of the subject's type."""
        return _document(
            "Repository",
            name,
            {"type": self.subject.id, "sources": list(sources), "filters": list(filters)},
        )

    def publication(self, name: str, keys: Mapping[str, Any]) -> list[Document]:
        """The Publication of a repository; none where the plugin has no publisher."""
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

    def desired(self, documents: Iterable[Document] | None = None) -> DesiredState:
        """The manifests, or others, read. Raises ManifestFaults."""
        path = self.folder / "trial.yaml"
        path.write_text(
            "\n---\n".join(map(json.dumps, self.documents if documents is None else documents)),
            encoding="utf-8",
        )
        return read([path], self.registry)

    # Running

    def plan(self) -> Plan:
        """What an apply would do. Raises ManifestFaults."""
        return asyncio.run(self._plan())

    def apply(self, *, prune: bool = False) -> tuple[Report, list[Plan]]:
        """What became of it, and the plans that were carried out. Raises ManifestFaults."""
        return asyncio.run(self._apply(prune))

    def upload(self, name: str, data: bytes) -> int:
        """Send a file, with the subject's fields, to the repository: the number of its version
        afterwards.

        Raises ReconcilerError where it is not taken.
        """
        path = self.folder / "sent"
        path.write_bytes(data)
        return asyncio.run(
            self._upload(UploadedFile(name, path, len(data), sha256(data).hexdigest()))
        )

    def forget_pages(self) -> None:
        """The page cache is gone."""
        shutil.rmtree(self.home.root / "cache", ignore_errors=True)

    # Looking

    def content(self, plan: Plan) -> ContentChanges:
        """What a plan does to the repository."""
        return next(change.content for change in plan.changes if change.content is not None)

    def version(self, name: str = NAME) -> tuple[int, str]:
        """Number and digest of a repository's latest version; (0, "") where it is not recorded."""
        with self.home.database() as database:
            state = database.reader().actual_state().repositories.get(name)
            return (state.number, str(state.digest)) if state else (0, "")

    def state(self, name: str = NAME) -> State:
        """What a repository and the publication of its name hold."""
        with self.home.database() as database:
            reader = database.reader()
            actual = reader.actual_state()
            held = actual.repositories.get(name)
            published = actual.publications.get(name)
            units = _units(reader, held) if held else []
            shown = _shown(reader, published) if published else []
            return State(held.number if held else 0, str(held.digest) if held else "", units, shown)

    def units(self, name: str = NAME) -> list[StoredUnit]:
        """Everything that the latest version holds, by (group, type, key)."""
        return self.state(name).units

    def shown(self) -> list[Shown]:
        """Everything that the publication shows, sorted."""
        return self.state().shown

    def made(self) -> Made:
        """What it all came to."""
        state = self.state()
        return Made(state.digest, state.shown)

    def recorded(self) -> list[str]:
        """References of everything that an apply recorded, with what was written, sorted."""
        with self.home.database() as database:
            return sorted(
                f"{ref} {json.dumps(one.spec, sort_keys=True, default=str)}"
                for ref, one in database.reader().actual_state().resources.items()
            )

    def files(self) -> dict[str, bytes]:
        """What lies in the home, caches aside."""
        return files(self.home.root)

    async def _plan(self) -> Plan:
        async with self._engine(writes=False) as engine:
            return await engine.plan(self.desired(), PlanOptions(allow_destroy=True))

    async def _apply(self, prune: bool) -> tuple[Report, list[Plan]]:
        plans: list[Plan] = []
        async with self._engine(writes=True) as engine:
            report = await engine.apply(
                self.desired(), PlanOptions(prune=prune, allow_destroy=True), {}, plans.append
            )
        return report, plans

    async def _upload(self, file: UploadedFile) -> int:
        service = Service(self.home, self.registry, read_recorded)
        try:
            return (
                await service.upload(NAME, file, self.subject.fields, "the conformance kit")
            ).version
        finally:
            await service.close()

    def _engine(self, *, writes: bool) -> Engine:
        limits = CallLimits(call=self.subject.patience, block=self.subject.block)
        return Engine(
            self.home, self.registry, writes=writes, limits=limits, blocked=self.blocked.append
        )


def _units(reader: Reader, repository: ActualRepository) -> list[StoredUnit]:
    names = list(reader.group_names(repository.id, repository.number))
    found = reader.units(repository.id, repository.number, names)
    return [unit for name in names for unit in found.get(name, [])]


def _shown(reader: Reader, publication: ActualPublication) -> list[Shown]:
    record = reader.publication(publication.id)
    if record is None:
        return []
    return sorted(
        (entry.path, entry.media_type, str(entry.digest))
        for entry in reader.all_entries(publication.id, record.number)
    )


def files(root: Path) -> dict[str, bytes]:
    """Files below a folder by their paths in it; neither cached pages, nor what SQLite keeps beside
    a database that is open.
    """
    found = (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and "cache" not in path.relative_to(root).parts
    )
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in found
        if not path.name.endswith(("-wal", "-shm"))
    }


def said(report: Report) -> str:
    """What went wrong in an apply; empty where nothing did."""
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
