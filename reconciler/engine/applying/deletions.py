"""Deletions of a plan: what each one waits for, and what stays.

Nothing goes before what takes its place stands: a path, an export directory, or the only remote
that has some bytes. Exports and plugins go before the rows that name them, so that a crash in
between forgets neither; what replaces a publication is recorded in the transaction that deletes
the old one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from reconciler.database import Reader
from reconciler.engine.applying.report import BLOCKED, DONE, Report
from reconciler.engine.applying.resource_records import ResourceRecorder
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.planning.single_source_artifacts import remotes_with
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle
from reconciler.engine.publishing.export_paths import (
    Spec,
    orphaned_exports,
    overlap,
    removed_exports,
    replaces,
)
from reconciler.engine.publishing.exports import remove_export
from reconciler.model import (
    ActualResource,
    ActualState,
    DesiredState,
    Kind,
    Publication,
    Ref,
)

logger = logging.getLogger(__name__)


class Deletions:
    """The deletions of one run.

    Attributes:
        removed_exports: Directories that declared publications no longer export to, by
            publication.
        deferred: Publications that are recorded as declared only when what they leave behind, or
            replace, is deleted.
    """

    def __init__(
        self, desired: DesiredState, schedule: Schedule, before: ActualState, *, report: Report
    ) -> None:
        """`before`: the state when the run began."""
        self._desired = desired
        self._schedule = schedule
        self._before = before
        self._report = report
        self.removed_exports = dict(self._removed_exports())
        self.deferred = self._deferred()

    def carry_out(
        self,
        reader: Reader,
        lifecycle: PluginLifecycle,
        recorder: ResourceRecorder,
        *,
        actual: ActualState,
    ) -> None:
        """Delete what waits for nothing, and report every deletion.

        Args:
            actual: The state once all publications were released.
        """
        waiting = self.waiting(reader)
        deleted = [ref for ref in self._schedule.deletions() if ref not in waiting]
        deferred = self.deferred - set(waiting.values())
        for paths in self.removed_exports.values():
            for path in paths:
                remove_export(path)
        kept_exports = {ref: self._remove_orphaned_exports(ref) for ref in deleted}
        messages = lifecycle.detach_unused(
            self._remaining(actual, deferred, set(deleted)),
            gone=deleted,
            spared=[publication.meta.ref for publication in self._unsuccessful()],
        )
        recorder.record(deferred, deleted=deleted)
        self._report_deletions(waiting, kept_exports)
        for ref, texts in messages.items():
            self._report.append(ref, "; ".join(texts))

    def waiting(self, reader: Reader) -> dict[Ref, Ref]:
        """Return what cannot be deleted yet, each with the resource that it waits for.

        That one did not become what was planned, and takes the place of the deleted one, shows its
        content, or may need its bytes.
        """
        deletions = self._schedule.deletions()
        if not deletions:
            return {}
        waiting = dict(self._waiting_publications(reader))
        waiting |= self._waiting_remotes(reader)
        waiting |= self._waiting_repositories(waiting)
        return waiting

    def _removed_exports(self) -> Iterator[tuple[Ref, list[str]]]:
        publications = self._desired.publications.values()
        changed = self._schedule.to_record() & self._before.resources.keys()
        for publication in publications:
            ref = publication.meta.ref
            if ref in changed and (
                paths := removed_exports(
                    publication, self._before.resources[ref].spec, publications
                )
            ):
                yield ref, paths

    def _deleted_publications(self) -> dict[Ref, Spec]:
        """Return the specifications of publications to delete that no other run has deleted yet."""
        return {
            ref: self._before.resources[ref].spec
            for ref in self._schedule.deletions()
            if ref.kind is Kind.PUBLICATION and ref in self._before.resources
        }

    def _deferred(self) -> set[Ref]:
        replacing = {
            publication.meta.ref
            for publication in self._desired.publications.values()
            if any(replaces(publication, spec) for spec in self._deleted_publications().values())
        }
        changed = self._schedule.to_record() & self._before.resources.keys()
        return (replacing | self.removed_exports.keys()) & changed

    def _waiting_publications(self, reader: Reader) -> Iterator[tuple[Ref, Ref]]:
        """Yield publications whose replacement was not released and does not stand there yet."""
        unsuccessful = self._unsuccessful()
        served = {(row.name, row.path) for row in reader.served()} if unsuccessful else set()
        for ref, spec in self._deleted_publications().items():
            for publication in unsuccessful:
                stands = (publication.meta.name, publication.path) in served
                stands = stands and overlap(publication.path, spec["path"])
                if replaces(publication, spec) and not stands:
                    yield ref, publication.meta.ref

    def _waiting_remotes(self, reader: Reader) -> dict[Ref, Ref]:
        """Return the remotes that go and alone have bytes of an unsuccessful repository.

        What was planned for it may have been to get these bytes from elsewhere.
        """
        remotes = [ref for ref in self._schedule.deletions() if ref.kind is Kind.REMOTE]
        states = reader.actual_state().repositories if remotes else {}
        names = [ref.name for ref in remotes]
        waiting: dict[Ref, Ref] = {}
        for change in self._schedule.changes(Kind.REPOSITORY):
            state = states.get(change.ref.name)
            if state is None or not self._report.has_failed(change.ref):
                continue
            needed = reader.only_from(
                names, state.id, state.number, others=self._desired.remotes_of(change.ref.name)
            )
            if needed:
                holders = remotes_with(reader, needed)
                waiting |= {ref: change.ref for ref in remotes if ref.name in holders}
        return waiting

    def _waiting_repositories(self, waiting: Mapping[Ref, Ref]) -> dict[Ref, Ref]:
        """Return repositories that a publication goes on showing.

        Args:
            waiting: Publications that are not deleted yet.
        """
        showing = {
            publication.meta.ref: publication.meta.ref
            for publication in self._unsuccessful()
            if publication.meta.ref in self._before.resources
        }
        showing |= {ref: cause for ref, cause in waiting.items() if ref.kind is Kind.PUBLICATION}
        causes = {
            self._before.resources[ref].spec["repository"]: cause for ref, cause in showing.items()
        }
        return {
            ref: causes[ref.name]
            for ref in self._schedule.deletions()
            if ref.kind is Kind.REPOSITORY and ref.name in causes
        }

    def _unsuccessful(self) -> list[Publication]:
        """Return declared publications that did not become what is declared."""
        return [
            publication
            for publication in self._desired.publications.values()
            if self._report.has_failed(publication.meta.ref)
        ]

    def _remove_orphaned_exports(self, ref: Ref) -> list[str]:
        """Remove the exports of a deleted publication; return those that stay."""
        spec = self._deleted_publications().get(ref)
        if spec is None:
            return []
        exports = orphaned_exports(spec, self._desired.publications.values())
        for path in exports.removable:
            logger.debug("%s: removing the export %s", ref, path)
            remove_export(path)
        return exports.kept

    def _remaining(
        self, actual: ActualState, deferred: set[Ref], deleted: set[Ref]
    ) -> dict[Ref, ActualResource]:
        """Return resources as they will be recorded in the end."""
        remaining = {
            ref: resource for ref, resource in actual.resources.items() if ref not in deleted
        }
        declared = (resource for resource in self._desired if resource.meta.ref in deferred)
        return remaining | {
            resource.meta.ref: ActualResource(
                resource.meta.ref,
                resource.meta.labels,
                resource.meta.annotations,
                resource.spec,
            )
            for resource in declared
        }

    def _report_deletions(
        self, waiting: Mapping[Ref, Ref], kept_exports: Mapping[Ref, list[str]]
    ) -> None:
        for ref in self._schedule.deletions():
            if ref in waiting:
                message = f"{waiting[ref]} did not succeed: {ref} stays until it does"
                self._report.add(ref, BLOCKED, message)
            else:
                kept = kept_exports.get(ref, [])
                message = "removed" + "".join(
                    f", its export `{path}` is left where it is" for path in kept
                )
                self._report.add(ref, DONE, message)
