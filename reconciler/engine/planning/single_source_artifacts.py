"""Remotes that alone have the bytes of an artifact: it was left upstream and never fetched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from reconciler.database import Reader
from reconciler.engine.sources.version_reference import VersionReference
from reconciler.model import (
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Kind,
    Ref,
    artifact_digest,
    pluralize,
)
from reconciler.plan import CHANGE, REFUSE, REMOVE, Action, ContentChanges, ResourceChange

HINT = "set `policy: immediate` and apply first, or pass `--allow-destroy` if that is meant"

Changes = Mapping[Ref, ResourceChange]


def refuse_needed_remotes(
    reader: Reader,
    deletions: Sequence[ResourceChange],
    desired: DesiredState,
    *,
    actual: ActualState,
    changes: Changes,
) -> list[ResourceChange]:
    """Refuse to delete remotes that a declared repository needs once `changes` are applied."""
    remotes = [deletion.ref.name for deletion in deletions if _deletes_remote(deletion)]
    if not remotes:
        return list(deletions)
    refusals = _refusals(
        reader,
        remotes,
        _LostArtifacts(reader, remotes, desired, changes=changes).by_repository(actual),
    )
    return [
        deletion.refused(refusals[deletion.ref.name], HINT)
        if _deletes_remote(deletion) and deletion.ref.name in refusals
        else deletion
        for deletion in deletions
    ]


def _refusals(
    reader: Reader, remotes: Sequence[str], lost: Mapping[str, set[Digest]]
) -> dict[str, str]:
    """Return why remotes cannot go: the first repository that needs what they alone have."""
    refusals: dict[str, str] = {}
    for repository, artifacts in lost.items():
        holders = [name for name in remotes_with(reader, artifacts) if name in remotes]
        listed = ", ".join(f"`{remote}`" for remote in holders)
        for remote in holders:
            refusals.setdefault(
                remote,
                f"{pluralize(len(artifacts), 'file')} of repository `{repository}` can be had from"
                f" {listed} alone, and their bytes were never fetched",
            )
    return refusals


def remotes_with(reader: Reader, artifacts: Iterable[Digest]) -> list[str]:
    """Return the remotes that are recorded to have some of these artifacts, by name."""
    origins = reader.origins_of(artifacts)
    return sorted({origin.remote for places in origins.values() for origin in places})


def _deletes_remote(deletion: ResourceChange) -> bool:
    return deletion.ref.kind is Kind.REMOTE and not deletion.refusal


class _LostArtifacts:
    """Artifacts that no source has any more once `remotes` are deleted."""

    def __init__(
        self, reader: Reader, remotes: Sequence[str], desired: DesiredState, *, changes: Changes
    ) -> None:
        self._reader = reader
        self._remotes = remotes
        self._desired = desired
        self._changes = changes

    def by_repository(self, actual: ActualState) -> dict[str, set[Digest]]:
        """Return the artifacts that each declared repository would lose, by its name."""
        lost: dict[str, set[Digest]] = {}
        for name in sorted(self._desired.repositories):
            state = actual.repositories.get(name)
            needed = self._needed(name, state) if state is not None else set()
            if missing := needed - (self._available(name) if needed else set()):
                lost[name] = missing
        return lost

    def _needed(self, name: str, state: ActualRepository) -> set[Digest]:
        """Return artifacts that only `remotes` have, of the versions that are shown afterwards."""
        others = self._desired.remotes_of(name)
        holders = self._reader.only_from(self._remotes, state.id, state.number, others=others)
        change = self._changes[Ref(Kind.REPOSITORY, name)]
        removed = _removed_units(change) if holders else set()
        needed = {digest for digest, units in holders.items() if units - removed}
        for number in self._pinned_versions(name):
            if number < state.number:
                needed |= self._reader.only_from(
                    self._remotes, state.id, number, others=others
                ).keys()
        return needed

    def _available(self, repository: str) -> set[Digest]:
        """Return artifacts that a remaining source brings, or has a URL of.

        What another repository's remote leaves upstream is of no use to this one.
        """
        allowed = self._desired.remotes_of(repository)
        contents = map(_applied_content, self._changes.values())
        lines = [
            line
            for content in contents
            if content is not None
            for group in content.spool
            if self._brings(group.head.source, allowed)
            for line in group.lines
            if line.op not in (REMOVE, REFUSE)
        ]
        return {
            artifact_digest(artifact)
            for line in lines
            for artifact in line.artifacts
            if artifact.url
        }

    def _brings(self, source: str, allowed: Collection[str]) -> bool:
        """Return True for a source whose files are stored, or may be fetched later."""
        name = source.removeprefix("remote:")
        remote = self._desired.remotes.get(name)
        return remote is None or name in allowed or not remote.leaves_upstream

    def _pinned_versions(self, repository: str) -> set[int]:
        """Return the versions that publications show whatever becomes of the latest one."""
        numbers = {
            self._changes[publication.meta.ref].version[1]
            for publication in self._desired.publications.values()
            if publication.repository == repository
            and not VersionReference(publication.version).is_latest
        }
        return {number for number in numbers if number is not None}


def _applied_content(change: ResourceChange) -> ContentChanges | None:
    return None if change.refusal or change.action is Action.DELETE else change.content


def _removed_units(change: ResourceChange) -> set[Digest]:
    content = _applied_content(change)
    lines = [line for group in content.spool for line in group.lines] if content is not None else []
    gone = (line.before or line.digest for line in lines if line.op in (REMOVE, CHANGE))
    return {digest for digest in gone if digest is not None}
