"""Schedule of a plan: the changes that are carried out, and what waits for what.

Pure: decides, and does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.engine.sources.version_reference import VersionReference
from reconciler.model import DesiredState, Kind, Publication, Ref, Source, SourceKind
from reconciler.plan import Action, Plan, ResourceChange


class Schedule:
    """The changes of a plan that are carried out.

    Refused changes are not. Neither are those of resources whose plugin could not be attached:
    `exclude` names them, before anything is recorded.
    """

    def __init__(self, plan: Plan, desired: DesiredState) -> None:
        self._plan = plan
        self._desired = desired
        self._changes = {change.ref: change for change in plan.changes}
        self._excluded: set[Ref] = set()

    def exclude(self, ref: Ref) -> None:
        """Carry out nothing that the plan says of this resource."""
        self._excluded.add(ref)

    def change(self, ref: Ref) -> ResourceChange:
        """Return the planned change of a resource."""
        return self._changes[ref]

    def changes(self, kind: Kind) -> list[ResourceChange]:
        """Return the changes of declared resources that are carried out, in plan order."""
        return [
            change
            for change in self._plan.changes
            if change.ref.kind is kind
            and change.action is not Action.DELETE
            and not change.refusal
            and change.ref not in self._excluded
        ]

    def unowned_changes(self) -> list[ResourceChange]:
        """Return the changes of undeclared publications that are carried out."""
        return [
            change
            for change in self._plan.unowned_changes
            if change.withheld is not None and not change.refusal
        ]

    def to_record(self) -> set[Ref]:
        """Return the resources that are to be recorded as declared."""
        return {
            change.ref
            for change in self._plan.changes
            if change.action in (Action.CREATE, Action.UPDATE)
            and not change.refusal
            and change.ref not in self._excluded
            and not self._is_blocked(change.ref)
        }

    def deletions(self) -> list[Ref]:
        """Return the resources that go."""
        return [
            change.ref
            for change in self._plan.changes
            if change.action is Action.DELETE and not change.refusal
        ]

    def copied_repositories(self, name: str) -> list[str]:
        """Return the repositories that `name` copies from: they are synced before it."""
        return [source.name for source in self._copied(name)]

    def missing_source(self, name: str, synced: Mapping[str, int]) -> Ref | None:
        """Return the repository that `name` waits for, or None.

        Content was planned to be copied from it, and it did not become what was planned.

        Args:
            name: A repository.
            synced: Version numbers of repositories that hold everything that was planned.
        """
        content = self._changes[Ref(Kind.REPOSITORY, name)].content
        assert content is not None
        if not content.counts.total and not content.counts.moved:
            return None
        for source in self._copied(name):
            change = self._changes.get(Ref(Kind.REPOSITORY, source.name))
            if change is None or change.refusal:
                continue
            if change.content is None or not change.content.counts.total:
                continue
            reference = VersionReference(source.version)
            if source.name not in synced and reference.means_planned(change.content.version_digest):
                return change.ref
        return None

    def blocking_refusal(self, publication: Publication) -> str:
        """Return why a publication waits for a version that does not come; empty if it does not.

        Its repository was refused or excluded. A publication that shows an existing version does
        not wait.
        """
        source = Ref(Kind.REPOSITORY, publication.repository)
        change = self._changes[source]
        before, after = change.version
        is_latest = VersionReference(publication.version).is_latest
        waits = change.action is Action.CREATE or (is_latest and before != after)
        if not waits:
            return ""
        if source in self._excluded:
            return f"{source} failed"
        return f"{source} was refused" if change.refusal else ""

    def _copied(self, name: str) -> list[Source]:
        sources = self._desired.repositories[name].sources
        return [source for source in sources if source.kind is SourceKind.REPOSITORY]

    def _is_blocked(self, ref: Ref) -> bool:
        publication = self._desired.publications.get(ref.name)
        return (
            ref.kind is Kind.PUBLICATION
            and publication is not None
            and bool(self.blocking_refusal(publication))
        )
