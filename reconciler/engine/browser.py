"""Documents for people who look around in what is published: the engine behind web pages.

Everything is as of what a publication shows now. Of its repository no later version is told: what
is not released yet is not public.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from reconciler.database import PublicationRecord, Reader, WithheldUnit
from reconciler.engine.explaining.explain import explain
from reconciler.engine.inspect import Inspector
from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import reading_session
from reconciler.engine.sources.repository_resolution import groups_noun
from reconciler.engine.transfer.remotes import Remotes
from reconciler.errors import PluginFault, ReconcilerError, UsageFault
from reconciler.model import (
    ActualPublication,
    ActualRepository,
    ActualState,
    DesiredState,
    Grant,
    Kind,
    Ref,
    StoredUnit,
    counted_noun,
)
from reconciler.plugin import ContentType, Details, Instruction, InstructionConduit
from reconciler.plugin.registry import Registry
from reconciler.redaction import sanitize

Document = dict[str, Any]
UnitKey = tuple[str, str, str]  # group, type, key
KEPT_NAMES = 4  # publications whose names of groups are in memory
MOST_CHANGES = 1_000  # entries of a difference
EXPLAINED_AT_ONCE = 2
LONGEST = 200  # characters of a word from a plugin


@dataclass(frozen=True, slots=True)
class Shown:
    """A publication as it is served now."""

    name: str
    spec: Mapping[str, Any]
    actual: ActualPublication
    record: PublicationRecord
    repository: ActualRepository


class Browser:
    """Answers questions about publications, for pages. Thread-safe; reads only.

    `desired`: what the last apply recorded. A publication that is served by nothing, or whose
    repository is gone, does not exist.
    """

    def __init__(
        self,
        home: Home,
        reader: Reader,
        registry: Registry,
        *,
        desired: Callable[[], DesiredState],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._home = home
        self._registry = registry
        self._desired = desired
        self._clock = clock
        self._reader = reader
        self._inspector = Inspector(reader, registry)
        self._lock = threading.Lock()
        self._state: tuple[Hashable, ActualState] | None = None
        self._names: dict[tuple[int, int], list[str]] = {}
        self._explaining = threading.Semaphore(EXPLAINED_AT_ONCE)

    # Publications

    def publication(self, name: str) -> Document | None:
        """Return what is published under a name; None for nothing."""
        shown = self._shown(name)
        if shown is None:
            return None
        record, repository = shown.record, shown.repository
        counts = self._reader.counts(repository.id, record.version)
        return {
            "name": name,
            "path": shown.spec.get("path"),
            "repository": repository.name,
            "version": record.version,
            "digest": str(record.version_digest),
            "publishedAt": record.published_at,
            "counts": [
                self._inspector.counted(type_, number) for type_, number in sorted(counts.items())
            ],
            "withheld": record.verdict.units,
            "noun": self._noun(repository.name),
        }

    def instructions(
        self, name: str, base_url: str, *, group: str = "", private: bool = False
    ) -> list[Instruction]:
        """Return what the publisher says of setting clients up; nothing where it fails."""
        target = self._desired().publications.get(name)
        if target is None:
            return []
        conduit = InstructionConduit(name, base_url, private, bool(target.uploaders), group)
        try:
            cls: Any = self._registry.publisher(target.publisher).cls
            return [
                Instruction(sanitize(each.title, LONGEST), str(each.text))
                for each in cls.instructions(conduit)
            ]
        except Exception:  # plugin code: a page does without
            return []

    # Groups

    def groups(
        self, name: str, query: str, *, start: int, limit: int, grant: Grant
    ) -> Document | None:
        """Return groups of a publication whose names contain `query`, by name.

        `groups`: those from `start` on; `matching`: how many there are. Of groups that the grant
        does not cover, nothing is told or read.
        """
        shown = self._shown(name)
        if shown is None:
            return None
        names = self._group_names(shown)
        if grant.projects:
            names = [each for each in names if grant.covers(each)]
        wanted = query.casefold()
        matching = [each for each in names if wanted in each.casefold()] if wanted else names
        return {
            "matching": len(matching),
            "total": len(names),
            "groups": self._overviews(shown, matching[start : start + limit]),
        }

    def _overviews(self, shown: Shown, names: Sequence[str]) -> list[Document]:
        record, actual = shown.record, shown.actual
        extents = self._reader.group_extents(actual.id, record.number, names)
        counts = self._reader.unit_counts(shown.repository.id, record.version, names)
        moments = {
            number: self._reader.publication_numbered(actual.id, number)
            for number in {extent.changed for extent in extents.values()}
        }
        hidden: dict[str, int] = {}
        for unit in self._withheld(shown, names).values():
            hidden[unit.group] = hidden.get(unit.group, 0) + 1
        overviews = []
        for name in names:
            extent = extents.get(name)
            changed = moments.get(extent.changed) if extent is not None else None
            overviews.append(
                {
                    "name": name,
                    "units": max(counts.get(name, 0) - hidden.get(name, 0), 0),
                    "withheld": hidden.get(name, 0),
                    "size": extent.size if extent is not None else 0,
                    "changedAt": changed.published_at if changed is not None else None,
                }
            )
        return overviews

    def group(self, name: str, group: str) -> Document | None:
        """Return the units of a group by version, the newest first; None for no such group."""
        shown = self._shown(name)
        if shown is None:
            return None
        record = shown.record
        units = self._reader.units(shown.repository.id, record.version, [group]).get(group)
        if not units:
            return None
        withheld = self._withheld(shown, [group])
        paths: dict[str, str] = {}
        for entry in self._reader.group_entries(shown.actual.id, record.number, group):
            if not entry.page:
                paths.setdefault(entry.digest.hex, entry.path)
        documents = [
            self._unit(unit, withheld.get((group, unit.type, unit.key)), paths) for unit in units
        ]
        notes = [each for each in documents if not each["artifacts"]]
        files = sorted((each for each in documents if each["artifacts"]), key=_order, reverse=True)
        releases = [
            {"version": version, "units": sorted(members, key=lambda each: str(each["key"]))}
            for version, members in groupby(files, key=lambda each: each["version"])
        ]
        return {"name": group, "notes": notes, "releases": releases, "units": len(files)}

    def _unit(
        self, unit: StoredUnit, withheld: WithheldUnit | None, paths: Mapping[str, str]
    ) -> Document:
        content_type = self._content_type(unit)
        summary = content_type.summary(unit)
        details = self._details(content_type, unit)
        return {
            "key": unit.key,
            "type": unit.type,
            "version": summary.version or "",
            "label": summary.label,
            "marks": [sanitize(mark, LONGEST) for mark in details.marks],
            "facts": {
                sanitize(key, LONGEST): sanitize(value, LONGEST)
                for key, value in details.facts.items()
            },
            "order": details.order,
            "withheld": withheld.reason if withheld is not None else "",
            "artifacts": [
                {
                    "path": artifact.path,
                    "sha256": artifact.sha256,
                    "size": artifact.size,
                    "at": "" if withheld is not None else paths.get(artifact.sha256, ""),
                }
                for artifact in unit.artifacts
            ],
        }

    def _details(self, content_type: type[ContentType], unit: StoredUnit) -> Details:
        try:
            return content_type.details(unit)
        except Exception:  # plugin code: a page does without
            return Details()

    def _content_type(self, unit: StoredUnit) -> type[ContentType]:
        plugin = self._registry.find("content-type", unit.type)
        usable = plugin is not None and plugin.enabled
        return self._registry.content_type(unit.type) if usable else ContentType

    # Versions

    def history(self, name: str) -> list[Document] | None:
        """Return the versions up to the one that is published, newest first."""
        shown = self._shown(name)
        if shown is None:
            return None
        return [
            version
            for version in self._inspector.history(shown.repository.name)
            if version["number"] <= shown.record.version
        ]

    def difference(self, name: str, a: str, b: str) -> Document | None:
        """Return what differs between two versions, given by number; None for no such version.

        Each list holds at most a thousand entries; `more` says how many are left out.
        """
        shown = self._shown(name)
        if shown is None or not all(_is_number(text, shown.record.version) for text in (a, b)):
            return None
        try:
            lists, more = self._inspector.first_differences(
                shown.repository.name, a, b, most=MOST_CHANGES
            )
        except UsageFault:  # a version that was pruned
            return None
        return {**lists, "more": more}

    # Reasons

    def why(self, name: str, subject: str) -> Document | None:
        """Return why something is there or not, as `explain` does; no remote is asked.

        `fault`: why there is no answer. Raises UsageFault where too many ask.
        """
        shown = self._shown(name)
        if shown is None:
            return None
        if shown.record.version != shown.repository.number:  # reasons are of what comes next
            return {
                "fault": f"only version {shown.record.version} is published: reasons are known"
                " of the latest version alone"
            }
        if not self._explaining.acquire(timeout=1):
            raise UsageFault("too many are asking; try again in a moment")
        try:
            return asyncio.run(self._explain(shown, subject))
        except ReconcilerError as error:
            return {"fault": error_message(error)}
        finally:
            self._explaining.release()

    async def _explain(self, shown: Shown, subject: str) -> Document:
        remotes = Remotes(self._registry, self._home.caches(), offline=True)
        try:
            session = reading_session(
                self._home, self._registry, self._reader, remotes=remotes, clock=self._clock
            )
            return await explain(
                session,
                self._desired(),
                self._reader.actual_state(),
                name=shown.repository.name,
                subject=subject,
            )
        finally:
            await remotes.close()

    # What is recorded

    def _shown(self, name: str) -> Shown | None:
        state = self._actual()
        actual = state.publications.get(name)
        resource = state.resources.get(Ref(Kind.PUBLICATION, name))
        record = self._reader.publication(actual.id) if actual is not None else None
        if actual is None or resource is None or record is None:
            return None
        repository = state.repositories.get(str(resource.spec.get("repository")))
        if repository is None:
            return None
        return Shown(name, resource.spec, actual, record, repository)

    def _actual(self) -> ActualState:
        generation = self._reader.generation()
        with self._lock:
            if self._state is None or self._state[0] != generation:
                self._state = generation, self._reader.actual_state()
            return self._state[1]

    def _group_names(self, shown: Shown) -> list[str]:
        """Return the names of all groups, which are read once for each version."""
        key = shown.repository.id, shown.record.version
        with self._lock:
            names = self._names.get(key)
        if names is None:
            names = list(self._reader.group_names(*key))
            with self._lock:
                while len(self._names) >= KEPT_NAMES:
                    del self._names[next(iter(self._names))]
                self._names[key] = names
        return names

    def _withheld(self, shown: Shown, names: Sequence[str]) -> Mapping[UnitKey, WithheldUnit]:
        record = shown.record
        if not record.verdict.units:
            return {}
        units = self._reader.withheld_of(
            shown.repository.id,
            record.version,
            names,
            publication_id=shown.actual.id,
            number=record.number,
        )
        return {(unit.group, unit.type, unit.key): unit for unit in units}

    def _noun(self, repository: str) -> tuple[str, str]:
        """Return what people call a group: one, several."""
        declared = self._desired().repositories.get(repository)
        plural = "groups"
        if declared is not None:
            try:
                plural = groups_noun(self._registry, self._registry.importer(declared.type))
            except PluginFault:
                plural = "groups"
        return counted_noun(1, plural), plural


def _order(document: Document) -> tuple[Any, str]:
    return document["order"], document["version"]


def _is_number(text: str, newest: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= newest
