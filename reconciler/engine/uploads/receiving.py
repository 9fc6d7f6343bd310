"""One upload or removal from beginning to end: a change of one repository, committed at once.

Uploads work on what the last apply recorded, so that a server without manifests can take files.
They hold no lease of the repository: a file that arrives during a long sync hurts neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.engine.run.lease import PATIENCE, STEP, wait_for_lease
from reconciler.engine.session.disabled_plugins import Faults, unusable_error
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.version_reference import VersionReference
from reconciler.engine.uploads.admission import Admission
from reconciler.engine.uploads.conduits import ImporterUploadConduit
from reconciler.engine.uploads.plugin_results import MAX_UNITS, placed_units, upload_faults
from reconciler.engine.uploads.recording import commit, record_units, restore_bytes
from reconciler.engine.uploads.removals import removal_changes
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict, PluginFault, ReconcilerError, Refused, UsageFault
from reconciler.model import (
    ActualState,
    DesiredState,
    Kind,
    Publication,
    Ref,
    SourceKind,
    pluralize,
)
from reconciler.plugin import GroupedUnit, Publisher, UploadedFile, UploadForm
from reconciler.retrying import RetryPolicy

logger = logging.getLogger(__name__)

Place = Callable[[ImporterUploadConduit], Iterable[GroupedUnit]]
"""Runs the plugin's code that makes units of a file."""
Change = Callable[[UploadTarget, ImporterUploadConduit], list[GroupChanges]]
"""Finds out what an upload or a removal changes, and stores what it brings."""


def _moved(error: Exception) -> bool:
    """Return True for a group that another writer changed meanwhile."""
    return isinstance(error, Conflict) and error.retry_after is not None


COMMITTING = RetryPolicy(
    seconds=PATIENCE,
    first_delay=STEP,
    longest_delay=STEP,
    longest_request=0,  # the other writer is done already
    retry_if=_moved,
)


@dataclass(frozen=True, slots=True)
class UploadResult:
    """Outcome of an upload or a removal.

    Attributes:
        version: The repository's version afterwards.
        keys: The units that changed.
        names: The same for people: `group/key`, or the key alone where groups are no names.
        shown: Paths of the publications that show it.
        delayed: Publications that do not show it yet, and why.
    """

    version: int
    keys: tuple[str, ...]
    names: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()


class Uploads:
    """Takes files into repositories, and uploaded units out again.

    Args:
        desired: As the last apply recorded it.
        faults: What of it cannot be used today, and why.
    """

    def __init__(self, session: WritingSession, desired: DesiredState, faults: Faults) -> None:
        self._session = session
        self._desired = desired
        self._faults = faults

    async def upload(
        self, repository: str, file: UploadedFile, fields: Mapping[str, str], *, principal: str
    ) -> UploadResult:
        """Take a file into a repository through its importer alone.

        Raises:
            Refused: The file, its options or a filter keep it out.
            Conflict: An earlier source owns the name, or something else is there already.
            PluginFault: A plugin failed.
            Temporary: The repository cannot be used now.
        """

        def place(conduit: ImporterUploadConduit) -> Iterable[GroupedUnit]:
            return conduit.upload(file, fields)

        return await self._take(repository, file, principal, call="`upload`", place=place)

    async def receive(
        self, publication: str, form: UploadForm, file: UploadedFile, *, principal: str
    ) -> UploadResult:
        """Take a file that was sent to a publication, through its publisher.

        Raises as `upload`, and Gone for a path that takes no files.
        """
        target = self._desired.publications.get(publication)
        if target is None:
            raise unusable_error(self._faults, Ref(Kind.PUBLICATION, publication)) or UsageFault(
                f"there is no publication `{publication}`"
            )
        cls: Any = self._session.registry.publisher(target.publisher).cls

        def place(conduit: ImporterUploadConduit) -> Iterable[GroupedUnit]:
            publisher: Publisher = cls()
            owner = f"publisher:{target.publisher}"
            workdir = self._session.workdirs.persistent(target.repository, owner)
            receiving = conduit.for_publisher(target, workdir)
            try:
                placed = publisher.receive(receiving, form, file)
                if not isinstance(placed, Iterable):
                    return placed
                return list(islice(placed, MAX_UNITS + 1))
            finally:
                receiving.close()

        call = f"`receive` of publisher `{target.publisher}`, `upload`"
        return await self._take(target.repository, file, principal, call=call, place=place)

    async def remove(self, repository: str, keys: Sequence[str], principal: str) -> UploadResult:
        """Take uploaded units out, by key.

        Raises:
            UsageFault: Nothing was uploaded under one of the keys.
        """

        def change(target: UploadTarget, conduit: ImporterUploadConduit) -> list[GroupChanges]:
            return removal_changes(self._session, target, conduit, keys=keys)

        result = await self._change(repository, principal, change)
        logger.info(
            "%s: %s removed by %s", repository, pluralize(len(result.keys), "unit"), principal
        )
        return result

    async def _take(
        self, repository: str, file: UploadedFile, principal: str, *, call: str, place: Place
    ) -> UploadResult:
        def change(target: UploadTarget, conduit: ImporterUploadConduit) -> list[GroupChanges]:
            return self._admit(target, file, call=target.call(call), place=partial(place, conduit))

        try:
            result = await self._change(repository, principal, change)
        except ReconcilerError as error:
            logger.info(
                "%s: upload of `%s` by %s not taken: %s",
                repository,
                file.name,
                principal,
                error_message(error),
            )
            raise
        logger.info(
            "%s: `%s` uploaded by %s, version %d", repository, file.name, principal, result.version
        )
        return result

    def _admit(
        self,
        target: UploadTarget,
        file: UploadedFile,
        *,
        call: str,
        place: Callable[[], Iterable[GroupedUnit]],
    ) -> list[GroupChanges]:
        """Have plugins make units of a file, decide about them, and store what they bring."""
        with self._session.watch(call), upload_faults(call):
            placed = placed_units(place(), file)
        if not placed:
            raise PluginFault(f"{call} made no unit of `{file.name}`")
        admission = Admission(self._session, self._desired, target, file=file)
        groups = admission.admit(placed)
        record_units(self._session, target, groups, file=file)
        restore_bytes(self._session, file)
        return groups

    async def _change(self, repository: str, principal: str, change: Change) -> UploadResult:
        """Commit a change, again where another writer was faster; then release publications."""

        async def attempt() -> UploadResult:
            result: UploadResult = await self._session.in_thread(
                self._commit, repository, principal, change
            )
            return result

        result = await COMMITTING.run(attempt)
        # What changed nothing may still wait to be shown: an earlier release may have failed.
        shown, delayed = await self._release_publications(repository)
        return replace(result, shown=tuple(shown), delayed=tuple(delayed))

    def _commit(self, repository: str, principal: str, change: Change) -> UploadResult:
        """Determine the change, and commit it if there is any. Runs in a worker thread."""
        session = self._session
        target = self._target(repository, session.writer.actual_state())
        scratchpads = ScratchpadSession(partial(session.writer.scratchpad, target.actual.id))
        owner = f"importer:{target.plugin.id}"
        conduit = ImporterUploadConduit(
            target,
            scratchpads,
            owner,
            info=session.workdirs.persistent(repository, owner),
            received_at=session.clock(),
        )
        try:
            groups = change(target, conduit)
        finally:
            conduit.close()
        changed = [(group.name, line.key) for group in groups for line in group.lines]
        number = target.actual.number
        if changed or scratchpads.written:
            number = commit(
                session,
                target,
                groups,
                scratchpads=scratchpads,
                principal=principal,
                tree=target.checked_tree(self._desired),
            )
        named = not target.importer_class.shared_groups
        return UploadResult(
            number,
            tuple(key for _, key in changed),
            tuple(f"{group}/{key}" if named else key for group, key in changed),
        )

    def _target(self, name: str, actual: ActualState) -> UploadTarget:
        repository, state = self._desired.repositories.get(name), actual.repositories.get(name)
        if repository is None or state is None:
            fault = unusable_error(self._faults, Ref(Kind.REPOSITORY, name))
            raise fault or UsageFault(
                f"there is no repository `{name}`",
                hint="`reconciler get repository` lists what there is",
            )
        source = next(
            (source for source in repository.sources if source.kind is SourceKind.UPLOAD), None
        )
        if source is None:
            raise Refused(
                f"repository `{name}` takes no uploads",
                hint="its manifest has to name the source `upload: {}`",
            )
        plugin = self._session.registry.importer(repository.type)
        return UploadTarget(self._session.writer, plugin, repository, source, state)

    async def _release_publications(self, repository: str) -> tuple[list[str], list[str]]:
        """Release the publications of the latest version.

        Returns the paths that show it, and why others do not show it yet. That is no failure of
        the upload: it is recorded, and a client that heard of a failure would send it again.
        """
        shown: list[str] = []
        delayed: list[str] = []
        for publication in self._desired.publications.values():
            reference = VersionReference(publication.version)
            if publication.repository != repository or not reference.is_latest:
                continue
            try:
                await wait_for_lease(partial(self._release, publication))
                shown.append(f"/{publication.path}/")
            except (ReconcilerError, OSError) as error:
                delayed.append(
                    f"publication `{publication.meta.name}` does not show it yet:"
                    f" {error_message(error)}"
                )
        return shown, delayed

    async def _release(self, publication: Publication) -> str:
        actual = await asyncio.to_thread(self._session.writer.actual_state)
        guard = self._desired.repositories[publication.repository].guard
        policy = ReleasePolicy(self._desired, guard=guard)
        return await release_publication(self._session, publication, actual, policy=policy)
