"""Publications in a plan: version to show, withheld units, and the reason to render."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from reconciler.database import Derivation
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.publishing.derived_artifacts import current_derivation
from reconciler.engine.publishing.export_paths import overlap, shared_export
from reconciler.engine.publishing.exports import is_exported
from reconciler.engine.publishing.filter_evaluation import (
    FilterEvaluator,
    FilterResult,
    Units,
    sources_filtered,
)
from reconciler.engine.publishing.first_seen_units import FirstSeenUnits
from reconciler.engine.publishing.release_target import publication_digest, recorded_first_seen
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.publishing.withheld_changes import removed_units, withheld_changes
from reconciler.engine.pushing.planned_pushes import planned_pushes
from reconciler.engine.pushing.shown_units import ShownUnits
from reconciler.engine.session.session import Session
from reconciler.engine.sources.delisted_units import DelistedUnits, summarize
from reconciler.engine.sources.version_reference import VersionReference
from reconciler.engine.sources.withdrawals import still_shown
from reconciler.model import (
    EMPTY_VERSION,
    WITHHOLD,
    ActualPublication,
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Kind,
    Publication,
    Ref,
)
from reconciler.plan import (
    Action,
    ContentChanges,
    DelistedShown,
    PlannedPush,
    ResourceChange,
    Withholding,
    apply_serving_guards,
)

STAYS = "what it shows stays as it is"
ANOTHER_CONTENT = "the repository has another version"
ANOTHER_VERSION = "another version is asked for"
PIN = "spec.version"
NO_VERSION = ActualRepository(0, "", 0, EMPTY_VERSION, 0)  # of a repository that this plan creates


@dataclass(frozen=True, slots=True)
class _PlannedRelease:
    """Version that a publication will show, and the units withheld from it.

    Attributes:
        number: Number of the version.
        digest: Digest of the version; None where this plan makes it.
        filtered: What filters decide about the recorded version; None where there is none.
        withheld: How that differs from what is recorded.
        still_shown: Groups that upstream withdrew and the publication keeps.
        delisted: Units that upstream no longer lists and the publication keeps.
        derivation: The derived artifacts that the recorded version shows.
        first_seen: The first sights that the publication shows as dates now.
        more_to_show: Files have come since from which artifacts can be derived.
        shown: The units that the publication will show, where it is sent to an index.
    """

    number: int
    digest: Digest | None = None
    filtered: FilterResult | None = None
    withheld: Withholding | None = None
    still_shown: tuple[str, ...] = ()
    delisted: DelistedShown = field(default_factory=DelistedShown)
    derivation: Derivation = field(default_factory=Derivation)
    first_seen: Digest | None = None
    more_to_show: bool = False
    shown: ShownUnits | None = None


class PublicationPlanner:
    """Plans the changes of publications, after those of their repositories."""

    def __init__(
        self,
        session: Session,
        desired: DesiredState,
        actual: ActualState,
        *,
        repositories: Mapping[str, ResourceChange],
        allow_destroy: bool,
    ) -> None:
        """`repositories`: their planned changes, by name."""
        self._session = session
        self._desired = desired
        self._actual = actual
        self._content = {
            name: change.content
            for name, change in repositories.items()
            if change.content is not None and not change.refusal
        }
        self._allow_destroy = allow_destroy

    async def plan(
        self, publication: Publication, change: ResourceChange, repository_change: ResourceChange
    ) -> ResourceChange:
        """Return the guarded change of one publication.

        Args:
            publication: As declared.
            change: What changes of its specification.
            repository_change: The planned change of its repository.
        """
        current = self._actual.publications.get(publication.meta.name)
        before = current.version if current else None
        number = await self._version_number(publication, repository_change)
        if number is None:
            content = repository_change.content
            return replace(change, version=(before, None)).refused(
                *VersionReference(publication.version).missing(
                    publication.repository,
                    number=repository_change.version[1],
                    digest=content.version_digest if content else None,
                )
            )
        try:
            release = await asyncio.to_thread(
                self._planned_release, publication, number, repository_change
            )
        except Exception as error:  # plugin code failed: what is served stays
            return replace(change, version=(before, number)).refused(
                f"what filters say of it is not known: {error_message(error)}",
                error_hint(error) or STAYS,
            )
        reason = self._reason(publication, current, release)
        if reason == ANOTHER_CONTENT and any(field.path == PIN for field in change.fields):
            reason = ANOTHER_VERSION
        action = Action.UPDATE if change.action is Action.NO_OP and reason else change.action
        change = replace(
            change,
            action=action,
            version=(before, number),
            reason="" if change.action is Action.CREATE else reason,
            withheld=release.withheld,
            still_shown=release.still_shown,
            delisted=release.delisted,
        )
        change = self._guarded(change, publication)
        if release.shown is None or change.refusal or not self._is_declared(publication):
            return change
        return _with_pushes(change, await planned_pushes(self._session, publication, release.shown))

    def _is_declared(self, publication: Publication) -> bool:
        return publication.meta.name in self._desired.publications

    async def plan_undeclared(
        self, changes: Mapping[Ref, ResourceChange], *, gone: Collection[Ref]
    ) -> tuple[ResourceChange, ...]:
        """Return what recorded publications withhold from now on that no manifest declares.

        They go on to show the version that they show, by today's filters.

        Args:
            changes: Of the declared resources.
            gone: Resources that this plan deletes.
        """
        recorded = self._desired.recorded
        planned = []
        for publication in shown_publications(recorded, self._actual):
            change = ResourceChange(Action.NO_OP, publication.meta.ref)
            repository = Ref(Kind.REPOSITORY, publication.repository)
            of_repository = changes.get(repository)
            if of_repository is None or of_repository.content is None:
                number = self._actual.repositories[publication.repository].number
                of_repository = ResourceChange(Action.NO_OP, repository, version=(number, number))
            if change.ref not in gone:
                change = await self.plan(publication, change, of_repository)
                shows = change.still_shown or change.delisted.total
                if change.withheld is not None or change.refusal or shows:
                    planned.append(change)
        return tuple(planned)

    def refuse_served_path(
        self, change: ResourceChange, publication: Publication
    ) -> ResourceChange:
        """Refuse a path or an export directory of a publication that no manifest declares any more.

        Both are its own until it is pruned: a URL and an export belong to one publication.
        """
        for ref, recorded in self._actual.resources.items():
            undeclared = ref.kind is Kind.PUBLICATION and ref.name not in self._desired.publications
            if not undeclared or change.refusal:
                continue
            export = shared_export(publication, recorded.spec)
            if overlap(publication.path, recorded.spec["path"]):
                taken = f"`/{recorded.spec['path']}/` is still served by {ref}"
            elif export is not None:
                taken = f"`{export}` is still exported to by {ref}"
            else:
                continue
            change = change.refused(
                f"{taken}, which no manifest declares any more", f"`--prune` removes {ref}"
            )
        return change

    async def _version_number(
        self, publication: Publication, repository_change: ResourceChange
    ) -> int | None:
        """Return the number of the version to show, None where there is no such version."""
        before, after = repository_change.version
        planned = before if repository_change.refusal else after
        reference = VersionReference(publication.version)
        if reference.is_latest:
            return planned or 0
        state = self._actual.repositories.get(publication.repository)
        version = await asyncio.to_thread(reference.resolve, self._session.reader, state)
        if version is not None:
            return version.number
        content = repository_change.content
        makes_it = (
            content is not None
            and not repository_change.refusal
            and reference.means_planned(content.version_digest)
        )
        return planned if makes_it else None

    def _planned_release(
        self, publication: Publication, number: int, repository_change: ResourceChange
    ) -> _PlannedRelease:
        """Evaluate filters on the version to show.

        A version that this plan makes is the one before it, changed as planned.
        """
        state = self._actual.repositories.get(publication.repository, NO_VERSION)
        is_new = number > state.number
        version = self._recorded_version(state, state.number if is_new else number)
        if version is None:
            return _PlannedRelease(number)
        current = self._actual.publications.get(
            publication.meta.name, ActualPublication(0, publication.meta.name)
        )
        content = repository_change.content if is_new else None
        evaluator = FilterEvaluator(
            self._session,
            self._desired,
            publication,
            now=self._session.now,
            planned=self._content,
        )
        filtered = evaluator.evaluate(
            current,
            version,
            sources_filtered=number == repository_change.version[1]
            and sources_filtered(repository_change),
            content=content,
        )
        rows = withheld_changes(
            evaluator, filtered, current=current, version=version, content=content
        )
        reader, shown = self._session.reader, (version.repository_id, version.number)
        return _PlannedRelease(
            number,
            None if is_new else version.digest,
            filtered,
            withheld=rows,
            still_shown=self._still_shown(
                publication, version, withdrawn=evaluator.withdrawn, content=content
            ),
            delisted=self._delisted(
                evaluator,
                version,
                withheld=partial(_withheld, evaluator, filtered, current),
                content=content,
            ),
            derivation=current_derivation(reader, current, version),
            first_seen=recorded_first_seen(
                reader, FirstSeenUnits(self._session, publication), current
            ),
            more_to_show=reader.has_extractable_units(*shown),
            shown=ShownUnits(
                reader, version, _withheld(evaluator, filtered, current), content=content
            )
            if publication.indexes
            else None,
        )

    def _still_shown(
        self,
        publication: Publication,
        version: RepositoryVersion,
        *,
        withdrawn: Mapping[str, Collection[str]],
        content: ContentChanges | None,
    ) -> tuple[str, ...]:
        """Return withdrawn groups that a publication keeps."""
        if publication.quarantined == WITHHOLD or not withdrawn:
            return ()
        reader = self._session.reader
        names = still_shown(reader, version.repository_id, version.number, withdrawn=withdrawn)
        leaving = content.spool.names() if content is not None else frozenset()
        return tuple(name for name in names if name not in leaving)

    def _delisted(
        self,
        evaluator: FilterEvaluator,
        version: RepositoryVersion,
        *,
        withheld: Callable[[], Collection[Digest]],
        content: ContentChanges | None,
    ) -> DelistedShown:
        """Return what a publication shows although upstream no longer lists it."""
        name = evaluator.repository_name
        units = DelistedUnits(self._session.reader, self._content).of(
            name, version.number, withdrawn=evaluator.withdrawn, content=content
        )
        if not units:
            return DelistedShown()
        hidden = removed_units(content, {unit.group for unit in units}).union(withheld())
        return summarize(
            [unit for unit in units if unit.digest not in hidden],
            plural=evaluator.main_type.plural,
            buckets=evaluator.importer_class.shared_groups,
        )

    def _recorded_version(self, state: ActualRepository, number: int) -> RepositoryVersion | None:
        if state is NO_VERSION:
            return RepositoryVersion(state.id, state.number, state.digest)
        version = VersionReference(number).resolve(self._session.reader, state)
        return RepositoryVersion(state.id, number, version.digest) if version else None

    def _reason(
        self,
        publication: Publication,
        current: ActualPublication | None,
        release: _PlannedRelease,
    ) -> str:
        """Return why something has to be rendered, pointed to or exported; empty if nothing has."""
        if current is None or current.version is None:
            return "not published yet"
        if (release.number, release.digest) != (current.version, current.version_digest):
            return (
                ANOTHER_CONTENT
                if VersionReference(publication.version).is_latest
                else ANOTHER_VERSION
            )
        filtered = release.filtered.summary if release.filtered else current.verdict
        if filtered.withheld != current.verdict.withheld:
            return "filters decide otherwise about what it shows"
        version_digest = current.version_digest or Digest.of(b"")
        if current.digest != publication_digest(
            self._session.registry,
            publication,
            version_digest,
            filtered=filtered,
            derivation=release.derivation,
            first_seen=release.first_seen,
            secrets=self._session.secrets.shown_by(publication, self._actual),
        ):
            return "it is rendered differently now"
        if release.more_to_show:
            return "files that were fetched since hold more to show"
        outdated = [
            path
            for path in publication.exports
            if not is_exported(path, current.digest, publication.base_url)
        ]
        return f"the export `{outdated[0]}` does not show it yet" if outdated else ""

    def _guarded(self, change: ResourceChange, publication: Publication) -> ResourceChange:
        repository = self._desired.repository(publication.repository)
        assert repository is not None
        return apply_serving_guards(
            change, repository.meta.name, repository.guard, allow_destroy=self._allow_destroy
        )


def _withheld(
    evaluator: FilterEvaluator, filtered: FilterResult, current: ActualPublication
) -> Units:
    return evaluator.recorded(current) if filtered.units is None else filtered.units


def _with_pushes(change: ResourceChange, pushes: tuple[PlannedPush, ...]) -> ResourceChange:
    """Return the change with what indexes lack, which is a reason to change something."""
    change = replace(change, pushes=pushes)
    lacking = [push.index for push in pushes if push.files]
    if change.action is not Action.NO_OP or not lacking:
        return change
    return replace(
        change, action=Action.UPDATE, reason=f"{' and '.join(lacking)} lacks files that it shows"
    )


def shown_publications(recorded: DesiredState | None, actual: ActualState) -> Iterator[Publication]:
    """Yield the publications of `recorded` that show something, each pinned to what it shows."""
    for name, publication in sorted(recorded.publications.items() if recorded is not None else ()):
        current = actual.publications.get(name)
        if current is not None and current.version is not None:
            yield msgspec.structs.replace(publication, version=current.version)
