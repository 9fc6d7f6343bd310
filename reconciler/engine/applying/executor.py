"""Execute: carry out the very plan that was shown. Independent repositories go on when one fails.

The order of writes: resources and the plugins that they use, then per repository bytes, rows and
one flip, then per publication pages, completion, pointer and exports, then what goes (and what
takes its place, in the same transaction), then the record of it all. A crash anywhere leaves
rubbish, never a lie, and the next run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

from reconciler.database import Outcome
from reconciler.engine.applying.content_sync import ContentSync, FileFailure
from reconciler.engine.applying.metadata_updates import amendments
from reconciler.engine.planning.publication_changes import LATEST, all_decided
from reconciler.engine.plugin_calls.plugin_errors import error_message, error_text
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle, recorded_attachments
from reconciler.engine.publishing.exports import forget, overlap
from reconciler.engine.publishing.release import (
    Rules,
    abandoned,
    dropped,
    serve_version,
    takes_over,
)
from reconciler.engine.run.lease import leased, wait_for_lease
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.remote_source import ON_DEMAND
from reconciler.engine.transfer.artifact_fetcher import SourceAccess
from reconciler.errors import Conflict, ReconcilerError
from reconciler.model import (
    ActualResource,
    ActualState,
    DesiredState,
    Kind,
    Ref,
    Remote,
    Repository,
    SourceKind,
)
from reconciler.plan import (
    REMOVE,
    Action,
    ContentChanges,
    Counts,
    Plan,
    ResourceChange,
    counts_of,
    counts_text,
    sum_counts,
)
from reconciler.redaction import redact

AT_ONCE = 4  # repositories synced at the same time
NAMED = 10  # groups that a message names

DONE, UNCHANGED, FAILED, BLOCKED = "done", "unchanged", "failed", "blocked"


@dataclass(slots=True)
class Report:
    """What became of each resource, without any secret. `conflicts`: repositories whose content
    moved while they were fetched: plan again.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(outcome.result in (FAILED, BLOCKED) for outcome in self.outcomes)

    def add(self, ref: Ref, result: str, message: str = "") -> None:
        self.outcomes.append(Outcome(str(ref), result, redact(message)))

    def note(self, ref: Ref, message: str) -> None:
        """Something more about a resource whose outcome is told already, or that nothing else
        happens to.
        """
        text = str(ref)
        found = next(
            (index for index, outcome in enumerate(self.outcomes) if outcome.ref == text), None
        )
        if found is None:
            self.add(ref, UNCHANGED, message)
        else:
            known = self.outcomes[found]
            self.outcomes[found] = Outcome(
                known.ref, known.result, "; ".join(filter(None, (known.message, redact(message))))
            )

    def result(self, ref: Ref) -> str | None:
        text = str(ref)
        return next((outcome.result for outcome in self.outcomes if outcome.ref == text), None)


class Executor:
    """Carries out one plan."""

    def __init__(
        self,
        session: WritingSession,
        plan: Plan,
        desired: DesiredState,
        fingerprints: dict[Ref, dict[str, str]],
        provenance: dict[str, Any],
    ) -> None:
        self._session = session
        self._plan = plan
        self._changes = {change.ref: change for change in plan.changes}
        self._desired = desired
        self._fingerprints = fingerprints
        self._provenance = provenance
        self._report = Report()
        self._unfit: set[Ref] = set()  # whose plugins could not be attached
        self._landed: dict[
            str, int
        ] = {}  # the number of the version in which all that was planned of a repository is

    async def run(self) -> Report:
        """Everything that can be done is done; the report says what was not, and why."""
        for change in self._plan.changes:
            if change.refusal:
                self._report.add(change.ref, FAILED, f"{change.refusal}\nhint: {change.hint}")
        before = await asyncio.to_thread(self._session.writer.actual_state)
        life = await asyncio.to_thread(self._attached, before)
        dropped = self._dropped(before)
        late = self._late(before, dropped)
        at_once = self._written() - late
        amended = list(amendments(self._desired, before, at_once, self._fingerprints))
        await asyncio.to_thread(self._session.writer.amend_resources, amended)
        await asyncio.to_thread(self._record_resources, at_once, life=life)
        slots = asyncio.Semaphore(AT_ONCE)
        actual = await asyncio.to_thread(self._session.writer.actual_state)

        running: dict[str, asyncio.Task[None]] = {}

        async def one(change: ResourceChange) -> None:
            await asyncio.gather(
                *(running[name] for name in self._copied_from(change.ref.name) if name in running)
            )
            async with slots:
                await self._repository(change, actual)

        for change in self._going(Kind.REPOSITORY):
            running[change.ref.name] = asyncio.create_task(one(change))
        await asyncio.gather(*running.values())
        actual = await asyncio.to_thread(self._session.writer.actual_state)
        for change in self._going(Kind.PUBLICATION):
            await self._publication(change, actual, dropped.get(change.ref, []))
        await asyncio.to_thread(self._leave, life, actual, late, dropped)
        return self._report

    def _attached(self, before: ActualState) -> PluginLifecycle:
        """Plugins that are used for the first time say whether they can be; what they do not take
        is left exactly as it was.
        """
        life = PluginLifecycle(
            self._session,
            before,
            recorded_attachments(self._session.writer.every_attachment(), before),
        )
        self._fail(
            life.importers(
                [self._desired.repositories[one.ref.name] for one in self._going(Kind.REPOSITORY)]
            )
        )
        publications = [
            one.ref.name for one in self._going(Kind.PUBLICATION) if not self._blocked(one.ref.name)
        ]
        self._fail(life.publishers([self._desired.publications[name] for name in publications]))
        return life

    def _fail(self, failed: Mapping[Ref, str]) -> None:
        for ref, message in failed.items():
            self._unfit.add(ref)
            self._report.add(ref, FAILED, message)

    def _copied_from(self, name: str) -> list[str]:
        """The repositories whose content, and whose bytes, one waits for."""
        return [
            source.name
            for source in self._desired.repositories[name].sources
            if source.kind is SourceKind.REPOSITORY
        ]

    def _waits_for(self, change: ResourceChange) -> Ref | None:
        """A repository whose planned content was copied into this plan, and which did not come to
        hold it.
        """
        assert change.content is not None
        if not change.content.counts.total and not change.content.counts.moved:
            return None
        for source in self._desired.repositories[change.ref.name].sources:
            base = (
                self._changes.get(Ref(Kind.REPOSITORY, source.name))
                if source.kind is SourceKind.REPOSITORY
                else None
            )
            if (
                base is None
                or base.refusal
                or base.content is None
                or not base.content.counts.total
            ):
                continue
            number = self._landed.get(source.name)
            if (source.version == LATEST and number is None) or (
                source.version == base.version[1] and source.version != number
            ):
                return base.ref
        return None

    def _going(self, kind: Kind) -> list[ResourceChange]:
        going = [
            change
            for change in self._plan.changes
            if change.ref.kind is kind and change.action is not Action.DELETE and not change.refusal
        ]
        return [one for one in going if one.ref not in self._unfit]

    def _written(self) -> set[Ref]:
        written = {
            change.ref
            for change in self._plan.changes
            if change.action in (Action.CREATE, Action.UPDATE) and not change.refusal
        }
        return (
            written
            - self._unfit
            - {
                Ref(Kind.PUBLICATION, name)
                for name in self._desired.publications
                if self._blocked(name)
            }
        )

    def _deleted(self) -> list[Ref]:
        return [
            change.ref
            for change in self._plan.changes
            if change.action is Action.DELETE and not change.refusal
        ]

    def _dropped(self, before: ActualState) -> dict[Ref, list[str]]:
        """The exports that publications which are still declared had before and have no longer."""
        publications, known = (
            self._desired.publications.values(),
            self._written() & before.resources.keys(),
        )
        found = {
            publication.meta.ref: dropped(
                publication, before.resources[publication.meta.ref].spec, publications
            )
            for publication in publications
            if publication.meta.ref in known
        }
        return {ref: paths for ref, paths in found.items() if paths}

    def _late(self, before: ActualState, dropped: Mapping[Ref, list[str]]) -> set[Ref]:
        """Publications that are recorded as declared only when what they leave behind, or replace,
        goes: a crash forgets neither.
        """
        leaving = [
            before.resources[ref].spec for ref in self._deleted() if ref.kind is Kind.PUBLICATION
        ]
        replacing = {
            publication.meta.ref
            for publication in self._desired.publications.values()
            if any(takes_over(publication, spec) for spec in leaving)
        }
        return (replacing | dropped.keys()) & self._written() & before.resources.keys()

    def _record_resources(
        self,
        written: set[Ref],
        deleted: list[Ref] | None = None,
        life: PluginLifecycle | None = None,
    ) -> None:
        """Resources as declared with the plugins that they use from now on, and what goes, in one
        transaction.
        """
        resources = [resource for resource in self._desired if resource.meta.ref in written]
        fresh = life.fresh if life is not None else {}
        if resources or deleted or fresh:
            self._session.writer.record_resources(
                resources, self._fingerprints, deleted or [], self._session.clock(), fresh
            )
        for resource in resources:
            if resource.meta.kind in (Kind.REMOTE, Kind.FILTER):
                self._report.add(resource.meta.ref, DONE)

    def _leave(
        self,
        life: PluginLifecycle,
        actual: ActualState,
        late: set[Ref],
        dropped: Mapping[Ref, list[str]],
    ) -> None:
        """What goes, goes once what replaces it stands; exports and plugins first, so that a crash
        in between does not forget them.
        """
        before, deleted = life.before, self._deleted()
        waiting = self._waiting(before, deleted)
        late = late - set(waiting.values())
        gone = [ref for ref in deleted if ref not in waiting]
        for path in (path for paths in dropped.values() for path in paths):
            forget(path)
        left: dict[Ref, str] = {}
        for ref in gone:
            if ref.kind is Kind.PUBLICATION:
                left[ref] = "".join(
                    f", its export `{path}` is left where it is"
                    for path in self._forgotten(before.resources[ref].spec)
                )
        said = life.leave(self._remaining(actual, late, gone), gone=gone, spared=self._short())
        self._record_resources(late, gone)
        for ref in deleted:
            if ref in waiting:
                self._report.add(
                    ref, BLOCKED, f"{waiting[ref]} did not succeed: {ref} stays until it does"
                )
            else:
                self._report.add(ref, DONE, "removed" + left.get(ref, ""))
        for ref, messages in said.items():
            self._report.note(ref, "; ".join(messages))

    def _remaining(
        self, actual: ActualState, late: set[Ref], gone: list[Ref]
    ) -> dict[Ref, ActualResource]:
        """Resources as they will be recorded when everything is over."""
        left = actual.resources.keys() - gone
        declared = {
            resource.meta.ref: resource for resource in self._desired if resource.meta.ref in late
        }
        return {ref: actual.resources[ref] for ref in left} | {
            ref: ActualResource(ref, one.meta.labels, one.meta.annotations, one.spec)
            for ref, one in declared.items()
        }

    def _short(self) -> list[Ref]:
        """Publications that did not come to what is declared."""
        failed = {
            outcome.ref for outcome in self._report.outcomes if outcome.result in (FAILED, BLOCKED)
        }
        return [
            publication.meta.ref
            for publication in self._desired.publications.values()
            if str(publication.meta.ref) in failed
        ]

    def _forgotten(self, spec: Mapping[str, Any]) -> list[str]:
        """Forget the exports of a publication that goes; those that cannot be, as they were
        written.
        """
        paths, left = abandoned(spec, self._desired.publications.values())
        for path in paths:
            forget(path)
        return left

    def _waiting(self, before: ActualState, deleted: list[Ref]) -> dict[Ref, Ref]:
        """What cannot go yet, and the publication that it waits for: one that takes its place, or
        that shows its content, and did not succeed.
        """
        if not deleted:
            return {}
        short = [self._desired.publications[ref.name] for ref in self._short()]
        served = {(one.name, one.path) for one in self._session.writer.served()} if short else set()
        waiting: dict[Ref, Ref] = {}
        for ref in deleted:
            spec = before.resources[ref].spec
            for one in short if ref.kind is Kind.PUBLICATION else []:
                stands = (one.meta.name, one.path) in served and overlap(one.path, spec["path"])
                if takes_over(one, spec) and not stands:
                    waiting[ref] = one.meta.ref
        showing = {
            **{
                publication.meta.ref: publication.meta.ref
                for publication in short
                if publication.meta.ref in before.resources
            },
            **waiting,
        }
        held = {before.resources[ref].spec["repository"]: cause for ref, cause in showing.items()}
        waiting |= self._still_needed(deleted)
        return waiting | {
            ref: held[ref.name]
            for ref in deleted
            if ref.kind is Kind.REPOSITORY and ref.name in held
        }

    def _still_needed(self, deleted: list[Ref]) -> dict[Ref, Ref]:
        """Remotes that alone have bytes of a repository that did not come to what was planned,
        which may have been to have them from elsewhere.
        """
        remotes = [ref for ref in deleted if ref.kind is Kind.REMOTE]
        states = self._session.writer.actual_state().repositories if remotes else {}
        for change in self._going(Kind.REPOSITORY):
            state = states.get(change.ref.name)
            short = self._report.result(change.ref) in (FAILED, BLOCKED)
            if (
                state is not None
                and short
                and self._session.writer.only_from(
                    [ref.name for ref in remotes], state.id, state.number
                )
            ):
                return dict.fromkeys(remotes, change.ref)
        return {}

    async def _repository(self, change: ResourceChange, actual: ActualState) -> None:
        content = change.content
        assert content is not None
        if (base := self._waits_for(change)) is not None:
            self._report.add(
                change.ref, BLOCKED, f"{base} did not become what was planned: {change.ref} waits"
            )
            return
        problems = [str(failure) for failure in content.failures]
        message = ""
        if content.touched:
            try:
                message, failed = await self._synced(change, content, actual)
                problems.extend(failed)
            except Conflict as error:
                self._report.conflicts.append(change.ref.name)
                problems.append(str(error))
            except ReconcilerError as error:
                problems.append(error_text(error))
            except Exception as error:  # a full disk, a locked database: this repository's failure, the others go on
                problems.append(error_message(error))
        if problems:
            self._report.add(
                change.ref, FAILED, "\n".join(([message] if message else []) + problems)
            )
        else:
            self._report.add(
                change.ref, UNCHANGED if change.action is Action.NO_OP else DONE, message
            )

    async def _synced(
        self, change: ResourceChange, content: ContentChanges, actual: ActualState
    ) -> tuple[str, list[str]]:
        """(what came of it, which files failed)."""
        repository = self._desired.repositories[change.ref.name]
        repository_id = actual.repositories[repository.meta.name].id
        session = self._session
        task = session.progress.task(f"fetching {repository.meta.name}", content.plural)
        try:
            async with leased(session.writer, str(change.ref), session.clock):
                access = self._access(repository, content)
                sync = ContentSync(
                    session.writer,
                    session.store,
                    session.registry,
                    access,
                    session.in_flight,
                    session.measurements,
                    repository_id,
                    task,
                    session.watch,
                )
                try:
                    await sync.fetch(content)
                    number, digest, created = await sync.commit(
                        content, self._version_provenance(repository), session.clock()
                    )
                except BaseException:
                    await sync.discard()
                    raise
        finally:
            task.done()
        moved = sorted({group for group, _ in sync.moved})
        failed = [str(failure) for failure in sync.failures]
        if moved:
            self._report.conflicts.append(change.ref.name)
            failed.append(f"changed since they were planned: {_named(moved)}")
        if not failed:
            self._landed[change.ref.name] = number
        words = counts_text(
            replace(_committed(content, sync.failures, moved), download=0), content.plural
        )
        message = f"version {number} {digest}" + (f", {words}" if created else ", unchanged")
        return message if content.counts.total else "", failed

    def _access(self, repository: Repository, content: ContentChanges) -> dict[str, SourceAccess]:
        """How the files of each remote come in; a source that could not be asked has no access, and
        may not even have its secrets.
        """
        silent = {
            failure.source for failure in content.failures if failure.group is None
        } - content.sources.keys()
        asked = [
            source
            for source in repository.sources
            if source.kind is SourceKind.REMOTE and source.id not in silent
        ]
        return {one.id: self._remote_access(self._desired.remotes[one.name]) for one in asked}

    def _remote_access(self, remote: Remote) -> SourceAccess:
        later = remote.policy == ON_DEMAND
        return SourceAccess(
            self._session.remotes.fetcher(remote),
            remote.meta.name,
            remote.concurrency,
            remote.retries,
            later,
        )

    def _version_provenance(self, repository: Repository) -> dict[str, Any]:
        return {
            **self._provenance,
            "plugin": {
                "id": repository.type,
                "version": self._plan.plugins.get(repository.type, ""),
            },
        }

    async def _publication(
        self, change: ResourceChange, actual: ActualState, dropped: list[str]
    ) -> None:
        publication = self._desired.publications[change.ref.name]
        source = Ref(Kind.REPOSITORY, publication.repository)
        if self._blocked(change.ref.name):
            self._report.add(
                change.ref,
                BLOCKED,
                f"{source} was refused" if source not in self._unfit else f"{source} failed",
            )
            return
        if (
            self._report.result(source) in (FAILED, BLOCKED)
            and actual.repositories[publication.repository].number == 0
        ):
            self._report.add(change.ref, BLOCKED, f"{source} has no content yet")
            return
        try:
            rules = Rules(self._desired, self._all_decided(source))
            message = await wait_for_lease(
                partial(serve_version, self._session, publication, change, actual, rules)
            )
        except ReconcilerError as error:
            self._report.add(change.ref, FAILED, error_text(error))
        except Exception as error:  # a full disk, a locked database; the pointer stays where it was
            self._report.add(change.ref, FAILED, error_message(error))
        else:
            words = ([message] if message else []) + [
                f"no longer exported to {path}" for path in dropped
            ]
            done = words or change.action is not Action.NO_OP
            self._report.add(change.ref, DONE if done else UNCHANGED, ", ".join(words))

    def _all_decided(self, repository: Ref) -> bool:
        """Is all that its sources hold what this plan has decided?"""
        return self._report.result(repository) in (DONE, UNCHANGED) and all_decided(
            self._changes[repository]
        )

    def _blocked(self, name: str) -> bool:
        """Does it wait for a version that does not come, because its repository was refused? One
        that goes to a version which exists need not.
        """
        publication = self._desired.publications[name]
        source = Ref(Kind.REPOSITORY, publication.repository)
        target = self._changes[source]
        before, after = target.version
        waits = target.action is Action.CREATE or (
            publication.version == LATEST and before != after
        )
        return waits and (bool(target.refusal) or source in self._unfit)


def _committed(
    content: ContentChanges, failures: Iterable[FileFailure], moved: Sequence[str]
) -> Counts:
    """What became of the planned changes: a file that failed did not come, and the removals of its
    group wait; a group that moved waits whole.
    """
    failed = {(failure.group, failure.key) for failure in failures}
    if not failed and not moved:
        return content.counts
    waiting, left_out = {group for group, _ in failed}, set(moved)
    return sum_counts(
        counts_of(
            line
            for change in changes
            for line in change.lines
            if (name, line.key) not in failed and not (line.op == REMOVE and name in waiting)
        )
        for name, changes in groupby(content.spool, key=lambda change: change.head.name)
        if name not in left_out
    )


def _named(groups: Sequence[str]) -> str:
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    return ", ".join(f"`{name}`" for name in groups[:NAMED]) + more
