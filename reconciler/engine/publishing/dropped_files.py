"""Paths that a publication no longer holds: some linger, the rest is gone at once.

A file that a new version merely dropped stays reachable for the grace of its publication, so that
it does not vanish under the feet of a client that has read the page before. What a rule of today
takes away does not: a filter, a deny, a quarantine, a rule that goes along with a copy. The rules
decide about dropped units as they decide about those that a version holds, beside the rest of their
group, and decide again whenever they differ.

Where a publisher asks for it (`linger`), a path stays for longer, pages too. A page shows what its
group held, an index the units that the publisher lists in it, and a page that belongs to no group
the whole version: it is gone at once when a rule has taken away any of that since. What this costs
follows what has changed since the page was dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from reconciler.database import INDEX, DroppedFile, SourcedUnit, WithheldUnit, is_mark
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.publishing.filter_evaluation import FilterEvaluator
from reconciler.engine.publishing.index_entries import listed_names
from reconciler.engine.publishing.release_target import (
    ReleasePolicy,
    ReleaseTarget,
    publication_digest,
)
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.session.session import WritingSession
from reconciler.errors import PluginFault
from reconciler.model import Digest, StoredArtifact, StoredUnit, artifact_digest

GROUPS_AT_ONCE = 200
MAX_HELD = 5_000  # groups whose units are in memory


def settle_dropped_files(
    session: WritingSession, target: ReleaseTarget, *, policy: ReleasePolicy
) -> None:
    """Record what a publication dropped and still shows from now on. Runs in a worker thread.

    Call it before the pointer moves, so that what a rule took away is gone with the generation that
    no longer shows it.
    """
    publication, now = target.publication, session.clock()
    last = session.writer.last_complete(target.current.id)
    longest = last.linger if last is not None else 0
    dropped = session.writer.dropped_files(
        target.current.id,
        now - timedelta(seconds=publication.grace),
        longest=now - timedelta(seconds=longest),
    )
    lingering: list[DroppedFile] = []
    if dropped and (publication.grace or longest):
        evaluator = FilterEvaluator(session, policy.desired, publication, now=now)
        decided = _Decided(session, target, evaluator)
        lingering = [file for file in dropped if decided.lingers(file)]
    kept = set(map(id, lingering))
    gone = [file for file in dropped if id(file) not in kept]
    session.writer.set_lingering(target.current.id, lingering=lingering, gone=gone)


class _Decided:
    """Decisions about dropped files, by the number of the publication that dropped them."""

    def __init__(
        self, session: WritingSession, target: ReleaseTarget, evaluator: FilterEvaluator
    ) -> None:
        self._session = session
        self._target = target
        self._evaluator = evaluator
        self._shown: dict[tuple[int, str], set[Digest]] = {}
        self._taken: dict[tuple[int, str | None], bool] = {}
        self._indexes: dict[int, Collection[str] | None] = {}
        self._held: dict[tuple[int, str], Sequence[SourcedUnit]] = {}
        self._withheld: tuple[int, Mapping[Digest, WithheldUnit]] = 0, {}
        self._refused: dict[tuple[str, frozenset[tuple[Digest, str]]], Collection[Digest]] = {}

    def lingers(self, file: DroppedFile) -> bool:
        """Return True if the rules of today let in what the file, or the page, shows."""
        group = file.entry.group
        if not file.entry.stays_for(self._target.publication.grace):
            return False
        if group is not None and group.startswith(INDEX):
            return not self._index_taken(file.removed, group.removeprefix(INDEX))
        if file.entry.page or group is None:
            return not self._something_taken(file.removed, None if is_mark(group) else group)
        key = file.removed, group
        if key not in self._shown:
            self._shown[key] = self._artifacts(file.removed, group)
        return file.entry.digest in self._shown[key]

    def _index_taken(self, removed: int, name: str) -> bool:
        """Return True if rules take away since `removed` a unit that an index may have listed."""
        if not self._something_taken(removed, None):
            return False
        if removed not in self._indexes:
            before = self._version_before(removed)
            alike = before is not None and self._rendered_alike(removed)
            self._indexes[removed] = self._indexes_of_taken(before, removed) if alike else None
        indexes = self._indexes[removed]
        return indexes is None or name in indexes

    def _rendered_alike(self, removed: int) -> bool:
        """Return True if the publisher of today would list units as before `removed`."""
        publication = self._target.publication
        publisher: Any = self._session.registry.publisher(publication.publisher).cls
        if publisher.needs_first_seen(publication.options) is not None:
            return False  # a unit is shown with a date that is not among its rows
        shown = self._session.writer.publication_numbered(self._target.current.id, removed - 1)
        return shown is not None and shown.digest == publication_digest(
            self._session.registry,
            publication,
            shown.version_digest,
            filtered=shown.verdict,
            derivation=shown.derivation,
            first_seen=shown.first_seen,
            secrets=self._target.secrets,
        )

    def _indexes_of_taken(
        self, before: RepositoryVersion | None, removed: int
    ) -> Collection[str] | None:
        """Return the indexes that listed what rules take away; None where that cannot be told."""
        assert before is not None
        publication = self._target.publication
        publisher: Any = self._session.registry.publisher(publication.publisher).cls
        names: set[str] = set()
        for group in sorted(self._changed_since(before, removed)):
            taken = self._taken_units(before, removed, group)
            if taken and self._derived(before, group):
                return None  # a unit is shown with files that are not among its rows
            try:
                with plugin_faults(f"`indexes_of` for {publication.meta.ref}"):
                    for unit in taken:
                        listed = publisher.indexes_of(unit, publication.options)
                        names.update(listed_names(listed, "indexes_of"))
            except PluginFault:
                return None
        return names

    def _something_taken(self, removed: int, group: str | None) -> bool:
        """Return True if rules take away since `removed` what a group showed; None: any group."""
        key = removed, group
        if key not in self._taken:
            before = self._version_before(removed)
            self._taken[key] = before is None or self._any_taken(before, removed, group)
        return self._taken[key]

    def _any_taken(self, before: RepositoryVersion, removed: int, group: str | None) -> bool:
        groups = sorted(self._changed_since(before, removed)) if group is None else [group]
        for start in range(0, len(groups), GROUPS_AT_ONCE):
            batch = groups[start : start + GROUPS_AT_ONCE]
            self._read_rows(before, batch)
            if any(self._is_taken(before, removed, name) for name in batch):
                return True
        return False

    def _is_taken(self, before: RepositoryVersion, removed: int, group: str) -> bool:
        return bool(self._taken_units(before, removed, group))

    def _taken_units(
        self, before: RepositoryVersion, removed: int, group: str
    ) -> Sequence[StoredUnit]:
        """Return the units of a group that were shown before `removed`, and are kept out today."""
        refused = self._refusals(group, self._then_and_now(before, group))
        hidden = self._withheld_at(removed - 1) if refused else {}
        return [
            row.unit
            for row in self._rows(before, group)
            if row.digest in refused and row.digest not in hidden
        ]

    def _refusals(self, group: str, rows: Sequence[SourcedUnit]) -> Collection[Digest]:
        """Return those of a group's units that the rules of today keep out.

        Asked once for units that several publications dropped.
        """
        key = group, frozenset((row.digest, row.source) for row in rows)
        if key not in self._refused:
            repository_id = self._target.version.repository_id
            self._refused[key] = self._evaluator.refusals(repository_id, group, rows).keys()
        return self._refused[key]

    def _changed_since(self, before: RepositoryVersion, removed: int) -> Collection[str]:
        """Return groups that differ from a version, or of which more is withheld than then."""
        reader, version = self._session.writer, self._target.version
        names = reader.changed_groups(before.repository_id, before.number, version.number)
        withheld = self._withheld_now()
        hidden = self._withheld_at(removed - 1) if withheld else {}
        return {*names, *(withheld[digest].group for digest in withheld.keys() - hidden.keys())}

    def _withheld_now(self) -> Mapping[Digest, WithheldUnit]:
        filtered, current = self._target.filtered, self._target.current
        if filtered.units is not None:
            return filtered.units
        return self._withheld_at(current.number) if filtered.summary.units else {}

    def _withheld_at(self, number: int) -> Mapping[Digest, WithheldUnit]:
        """Return what a publication withholds, read once for all groups."""
        if self._withheld[0] != number:
            units = self._session.writer.withheld(self._target.current.id, number)
            self._withheld = number, units
        return self._withheld[1]

    def _then_and_now(self, before: RepositoryVersion, group: str) -> list[SourcedUnit]:
        """Return the units of a group, then and now: rules may compare them with each other."""
        dropped = self._rows(before, group)
        known = {(row.digest, row.source) for row in dropped}
        beside = self._rows(self._target.version, group)
        return [*dropped, *(row for row in beside if (row.digest, row.source) not in known)]

    def _artifacts(self, removed: int, group: str) -> set[Digest]:
        """Return the artifacts that a group held before `removed` and that rules let in."""
        before = self._version_before(removed)
        if before is None:
            return set()
        rows = self._then_and_now(before, group)
        refused = self._refusals(group, rows)
        derived = self._derived(before, group)
        by_verdict: dict[bool, set[Digest]] = defaultdict(set)
        for row in rows:
            made = derived.get((row.unit.type, row.unit.key), ())
            digests = map(artifact_digest, (*row.unit.artifacts, *made))
            by_verdict[row.digest in refused].update(digests)
        return by_verdict[False] - by_verdict[True]

    def _derived(
        self, before: RepositoryVersion, group: str
    ) -> Mapping[tuple[str, str], Sequence[StoredArtifact]]:
        """Return by type and key what was, or is, shown in the place of declared artifacts."""
        made: dict[tuple[str, str], list[StoredArtifact]] = defaultdict(list)
        for version in (before, self._target.version):
            shown = self._session.writer.derived_artifacts(
                version.repository_id, version.number, [group]
            )
            for (_, type_, key), by_path in shown.items():
                made[type_, key] += [part for part in by_path.values() if part is not None]
        return made

    def _version_before(self, removed: int) -> RepositoryVersion | None:
        """Return the version that was shown before a publication; None if it is not known now."""
        reader, repository_id = self._session.writer, self._target.version.repository_id
        shown = reader.publication_numbered(self._target.current.id, removed - 1)
        if shown is None:
            return None
        version = reader.version(repository_id, shown.version)
        if version is None or version.digest != shown.version_digest:  # of another repository
            return None
        return RepositoryVersion(repository_id, shown.version, shown.version_digest)

    def _rows(self, version: RepositoryVersion, group: str) -> Sequence[SourcedUnit]:
        key = version.number, group
        if key not in self._held:
            self._read_rows(version, [group])
        return self._held[key]

    def _read_rows(self, before: RepositoryVersion, groups: Collection[str]) -> None:
        """Read the units of groups at once, of a version and of the one to show."""
        if len(self._held) > MAX_HELD:
            self._held.clear()
            self._refused.clear()
        for number in {before.number, self._target.version.number}:
            missing = [name for name in groups if (number, name) not in self._held]
            rows = self._session.writer.sourced_units(before.repository_id, number, missing)
            self._held.update({(number, name): rows.get(name, []) for name in missing})
