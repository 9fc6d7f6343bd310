"""One upload or removal up to its commit: what it changes in one repository, decided and stored.

Uploads work on what the last apply recorded, so that a server without manifests can take files.
They hold no lease of the repository: a file that arrives during a long sync hurts neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.session.disabled_plugins import Faults, unusable_error
from reconciler.engine.session.session import WritingSession
from reconciler.engine.uploads.admission import Admission
from reconciler.engine.uploads.conduits import ImporterUploadConduit
from reconciler.engine.uploads.decided_changes import Decided
from reconciler.engine.uploads.grants import check_grant
from reconciler.engine.uploads.plugin_results import (
    MAX_UNITS,
    placed_units,
    received,
    upload_faults,
)
from reconciler.engine.uploads.recording import (
    check_quota,
    commit_together,
    record_units,
    restore_bytes,
)
from reconciler.engine.uploads.releasing import release_publications
from reconciler.engine.uploads.removals import (
    leaving_units,
    removal_changes,
    requested_removals,
)
from reconciler.engine.uploads.restoration import restored_groups
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import PluginFault, Refused, UsageFault
from reconciler.model import (
    ActualState,
    DesiredState,
    Grant,
    Kind,
    Ref,
    SourceKind,
    StoredUnit,
    Unit,
)
from reconciler.plugin import Answer, Publisher, Received, ReceivedRequest, UploadedFile

Receive = Callable[[ImporterUploadConduit], Any]
"""Runs the plugin's code that says what a request changes."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of an upload or a removal, and the answer for its client."""

    groups: Sequence[GroupChanges]
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Changes that plugins make of a request: units by group, units that leave, the answer."""

    placed: Mapping[str, Sequence[Unit]]
    removed: Sequence[StoredUnit]
    answer: Answer | None


Change = Callable[[UploadTarget, ImporterUploadConduit], Changes]
"""Finds out what an upload or a removal changes, and stores what it brings."""


class Uploads:
    """Decides about files for repositories, and about uploaded units that leave again.

    Each method that takes a change returns it `Decided`; `commit` and `release` come afterwards.

    Args:
        desired: As the last apply recorded it.
        faults: What of it cannot be used today, and why.
        folder: Where files lie while they come in, on the disk of the store.
    """

    def __init__(
        self, session: WritingSession, desired: DesiredState, faults: Faults, *, folder: Path
    ) -> None:
        self._session = session
        self._desired = desired
        self._faults = faults
        self._folder = folder

    async def upload(
        self, repository: str, file: UploadedFile, fields: Mapping[str, str], *, principal: str
    ) -> Decided:
        """Take a file into a repository through its importer alone.

        Raises:
            Refused: The file, its options or a filter keep it out.
            Conflict: An earlier source owns the name, or something else is there already.
            QuotaExceeded: More would be uploaded than `quota` of the repository allows.
            PluginFault: A plugin failed.
            Temporary: The repository cannot be used now.
        """

        def receive(conduit: ImporterUploadConduit) -> Any:
            return conduit.upload(file, fields)

        files = SentFiles([file], self._folder)
        grant = Grant(principal)
        return await self._take(repository, files, grant, call="`upload`", receive=receive)

    async def receive(self, publication: str, request: ReceivedRequest, grant: Grant) -> Decided:
        """Take a request that was sent to a publication, through its publisher.

        Raises as `upload`, Denied for a name that the grant is not for, and Gone for a path that
        takes no files.
        """
        target = self._desired.publications.get(publication)
        if target is None:
            raise unusable_error(self._faults, Ref(Kind.PUBLICATION, publication)) or UsageFault(
                f"there is no publication `{publication}`"
            )
        cls: Any = self._session.registry.publisher(target.publisher).cls

        def receive(conduit: ImporterUploadConduit) -> Any:
            publisher: Publisher = cls()
            owner = f"publisher:{target.publisher}"
            workdir = self._session.workdirs.persistent(target.repository, owner)
            receiving = conduit.for_publisher(target, workdir)
            try:
                answer = publisher.receive(receiving, request)
                return _read_whole(answer)
            finally:
                receiving.close()

        call = f"`receive` of publisher `{target.publisher}`, `upload`"
        files = SentFiles(request.files, self._folder)
        return await self._take(target.repository, files, grant, call=call, receive=receive)

    async def remove(self, repository: str, keys: Sequence[str], grant: Grant) -> Decided:
        """Take uploaded units out, by key.

        Raises:
            Gone: Nothing was uploaded under one of the keys.
            Denied: The grant is not for the name.
        """

        def change(target: UploadTarget, conduit: ImporterUploadConduit) -> Changes:
            groups = removal_changes(self._session, target, conduit, keys=keys, grant=grant)
            check_grant(grant, [group.name for group in groups])
            return Changes(groups)

        files = SentFiles((), self._folder)
        return await self._decided(repository, grant, change, files=files)

    async def restore(self, repository: str, number: int, grant: Grant) -> Decided:
        """Bring the uploads of a version back. Raises as `restored_groups`, and QuotaExceeded."""

        def change(target: UploadTarget, conduit: ImporterUploadConduit) -> Changes:
            groups = restored_groups(self._session, target, number)
            check_grant(grant, [group.name for group in groups])
            if groups:
                check_quota(target, groups)
            record_units(self._session, target, groups, files=files)
            return Changes(groups)

        files = SentFiles((), self._folder)
        return await self._decided(repository, grant, change, files=files)

    async def commit(self, changes: Sequence[Decided]) -> list[int | Exception]:
        """Commit changes of one repository; return the version of each, or why it has none."""
        outcomes: list[int | Exception] = await self._session.in_thread(
            commit_together, self._session, changes
        )
        return outcomes

    async def release(self, repository: str) -> tuple[list[str], list[str]]:
        """Release what shows the repository, as `release_publications` does."""
        return await release_publications(self._session, self._desired, repository)

    async def _take(
        self, repository: str, files: SentFiles, grant: Grant, *, call: str, receive: Receive
    ) -> Decided:
        def change(target: UploadTarget, conduit: ImporterUploadConduit) -> Changes:
            named = target.call(call)
            wish = self._wish(target, conduit, files, call=named, receive=receive)
            check_grant(grant, [*wish.placed, *(unit.group for unit in wish.removed)])
            return self._admit(target, conduit, files, wish=wish)

        return await self._decided(repository, grant, change, files=files)

    def _wish(
        self,
        target: UploadTarget,
        conduit: ImporterUploadConduit,
        files: SentFiles,
        *,
        call: str,
        receive: Receive,
    ) -> Wish:
        """Have plugins say what a request changes."""
        with self._session.watch(call), upload_faults(call):
            answer = received(receive(conduit))
            placed = placed_units(answer.units, _KnownBytes(target, files))
            removed = requested_removals(target, answer.removed)
        if not placed and not removed and answer.answer is None:
            raise PluginFault(f"{call} made no unit of {files.names}")
        both = sorted(placed.keys() & {unit.group for unit in removed})
        if both:
            raise PluginFault(f"{call} adds to the group `{both[0]}` and removes from it")
        return Wish(placed, removed, answer.answer)

    def _admit(
        self, target: UploadTarget, conduit: ImporterUploadConduit, files: SentFiles, *, wish: Wish
    ) -> Changes:
        """Decide about what a request changes, and store what it brings."""
        session = self._session
        groups = Admission(session, self._desired, target, files=files).admit(wish.placed)
        leaving = (
            leaving_units(session, target, conduit, units=wish.removed) if wish.removed else []
        )
        check_quota(target, [*groups, *leaving])
        record_units(session, target, groups, files=files)
        for file in files:
            restore_bytes(session, file)
        return Changes([*groups, *leaving], wish.answer)

    async def _decided(
        self, repository: str, grant: Grant, change: Change, *, files: SentFiles
    ) -> Decided:
        decide = partial(self._decide, files=files)
        try:
            decided: Decided = await self._session.in_thread(decide, repository, grant, change)
        finally:
            files.discard()
        return decided

    def _decide(
        self, repository: str, grant: Grant, change: Change, *, files: SentFiles
    ) -> Decided:
        """Determine the change. Runs in a worker thread."""
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
            files=files,
            grant=grant,
        )
        try:
            changes = change(target, conduit)
        finally:
            conduit.close()
        return Decided(
            target,
            changes.groups,
            scratchpads,
            grant.principal,
            target.checked_tree(self._desired),
            changes.answer,
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


def _read_whole(answer: Any) -> Any:
    """Return an answer whose units are read while the conduit is open."""
    if isinstance(answer, Received):
        return msgspec.structs.replace(
            answer, units=_read_units(answer.units), removed=_read_units(answer.removed)
        )
    return _read_units(answer)


def _read_units(units: Any) -> Any:
    return list(islice(units, MAX_UNITS + 1)) if isinstance(units, Iterable) else units


class _KnownBytes:
    """Bytes that units of a request may have: those that were sent, and those of their group."""

    def __init__(self, target: UploadTarget, files: SentFiles) -> None:
        self._target = target
        self._files = files
        self._held: dict[str, frozenset[str]] = {}

    def __call__(self, group: str, sha256: str) -> bool:
        return sha256 in self._files or sha256 in self._of_group(group)

    def _of_group(self, group: str) -> frozenset[str]:
        if group not in self._held:
            self._held[group] = frozenset(
                artifact.sha256
                for member in self._target.members(group)
                for artifact in member.unit.artifacts
            )
        return self._held[group]
