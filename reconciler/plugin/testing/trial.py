"""One site on which a plugin is tried: manifests, a home, and the engine run in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from reconciler.engine import Allowances, Engine, Home, Limits, Report
from reconciler.manifest import read
from reconciler.model import DesiredState, StoredUnit
from reconciler.plan import ContentChanges, Plan
from reconciler.plugin import Registry
from reconciler.plugin.testing.subject import EntryPointFunction, Subject

NAME = "trial"
PATIENCE = 60.0  # seconds that a call may await without asking the core for anything

Shown = tuple[str, str, str]
"""A representation that a publication shows: path, media type, digest."""


class _Given(EntryPoint):
    """An entry point that nobody had to install."""

    def __init__(self, group: str, function: EntryPointFunction) -> None:
        super().__init__(name=f"{function.__module__}.{function.__qualname__}", value=f"{function.__module__}:{function.__qualname__}", group=group)
        vars(self).update(function=function)

    def load(self) -> EntryPointFunction:
        function: EntryPointFunction = vars(self)["function"]
        return function


def registry_of(subject: Subject) -> Registry:
    """A registry in which the subject is installed and nothing else."""
    points = {
        "reconciler.importers": [_Given("reconciler.importers", subject.importer)],
        "reconciler.publishers": [_Given("reconciler.publishers", subject.publisher)] if subject.publisher else [],
        "reconciler.content_types": [_Given("reconciler.content_types", one) for one in subject.content_types],
    }
    return Registry(points=lambda group: points[group])


@dataclass
class Trial:
    """A home of its own in `folder`. `blocked`: what the watchdog saw."""

    subject: Subject
    folder: Path
    blocked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = Home(self.folder / "home")
        self.registry = registry_of(self.subject)

    def desired(self, *, source: Mapping[str, Any] | None = None) -> DesiredState:
        """The manifests, read; `source`: other keys than the subject's."""
        path = self.folder / "trial.yaml"
        path.write_text("\n---\n".join(map(json.dumps, self._documents(self.subject.source if source is None else source))), encoding="utf-8")
        return read([path], self.registry)

    def plan(self) -> Plan:
        return asyncio.run(self._plan())

    def apply(self) -> tuple[Report, list[Plan]]:
        """What became of it, and the plans that were carried out."""
        return asyncio.run(self._apply())

    def content(self, plan: Plan) -> ContentChanges:
        """What a plan does to the repository."""
        return next(change.content for change in plan.changes if change.content is not None)

    def version(self) -> tuple[int, str]:
        """Number and digest of the latest version."""
        with self.home.database() as database:
            state = database.reader().actual_state().repositories[NAME]
            return state.number, str(state.digest)

    def units(self) -> list[StoredUnit]:
        """Everything that the latest version holds, by (group, type, key)."""
        with self.home.database() as database:
            reader = database.reader()
            state = reader.actual_state().repositories.get(NAME)
            if state is None:
                return []
            names = list(reader.group_names(state.id, state.number))
            found = reader.units(state.id, state.number, names)
            return [unit for name in names for unit in found.get(name, [])]

    def shown(self) -> list[Shown]:
        """Everything that the publication shows, sorted."""
        with self.home.database() as database:
            reader = database.reader()
            publication = reader.actual_state().publications[NAME]
            record = reader.publication(publication.id)
            if record is None:
                return []
            return sorted((one.path, one.media_type, str(one.digest)) for one in reader.all_entries(publication.id, record.number))

    def files(self) -> dict[str, bytes]:
        """What lies in the home, caches aside."""
        root = self.home.root
        paths = sorted(path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] != "cache") if root.exists() else []
        return {str(path.relative_to(root)): path.read_bytes() for path in paths if not path.name.endswith(("-wal", "-shm"))}

    async def _plan(self) -> Plan:
        async with self._engine(writes=False) as engine:
            return await engine.plan(self.desired(), Allowances(allow_destroy=True))

    async def _apply(self) -> tuple[Report, list[Plan]]:
        plans: list[Plan] = []
        async with self._engine(writes=True) as engine:
            report = await engine.apply(self.desired(), Allowances(allow_destroy=True), {}, plans.append)
        return report, plans

    def _engine(self, *, writes: bool) -> Engine:
        limits = Limits(call=PATIENCE, block=self.subject.block)
        return Engine(self.home, self.registry, writes=writes, limits=limits, blocked=self.blocked.append)

    def _documents(self, source: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        url = f"{self.subject.upstream.url}{self.subject.path}"
        yield _document("Remote", "upstream", {"type": self.subject.id, "url": url, "retries": 0})
        yield _document("Repository", NAME, {"type": self.subject.id, "sources": [{"remote": {"name": "upstream", **source}}]})
        if self.subject.publisher is not None:
            cls: Any = self.subject.publisher()[0]
            spec = {"repository": NAME, "path": NAME, "publisher": cls.metadata().id, **self.subject.publication}
            yield _document("Publication", NAME, spec)


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
