"""Admission: the decision whether units of an upload may come in, and their changes.

The owner of the name, the source's own options and the filters decide, as in a sync. What filters
would withhold at once is not taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.session import Session
from reconciler.engine.sources.marks import marks_of
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.name_conflicts import needs_distinct_names, tree_faults
from reconciler.engine.sources.ownership import NameOwnership
from reconciler.engine.sources.selection import Selection
from reconciler.engine.transfer.metadata_recovery import ArtifactReader, stored_bytes_reader
from reconciler.engine.uploads.removed_names import RemovedNames
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict, Denied, Refused
from reconciler.model import (
    PULL_THROUGH,
    UPLOAD,
    DesiredState,
    Digest,
    IdentifiedUnit,
    StoredUnit,
    Unit,
)
from reconciler.plan import REFUSE, ChangeLine, DesiredGroup, GroupMember, difference
from reconciler.plugin import ContentType


class Admission:
    """Decides about the groups of one upload."""

    def __init__(
        self, session: Session, desired: DesiredState, target: UploadTarget, *, files: SentFiles
    ) -> None:
        self._session = session
        self._target = target
        self._files = files
        self._marks = marks_of(
            target.writer, target.importer_class, target.repository, actual=target.actual
        )
        self._folded = needs_distinct_names(desired, target.name)
        select = partial(Selection.of, session, target.plugin, now=session.clock())
        self._selection = select(options=target.source.options, filters=())
        self._filters = select(options=None, filters=desired.filters_of(target.repository))

    def admit(self, placed: Mapping[str, Sequence[Unit]]) -> list[GroupChanges]:
        """Return what the units change in each group, if all of them may come in.

        Raises:
            Conflict: An earlier source owns the name, or something else is there already.
            Refused: The source's options, or the files that are there, keep a unit out.
            Denied: A filter keeps a unit out.
        """
        groups = [self._admit(group, units) for group, units in placed.items()]
        self._check_tree([unit for group in groups for unit in group.arriving])
        return groups

    def _admit(self, group: str, units: Sequence[Unit]) -> GroupChanges:
        check_owner(self._target, group)
        held = self._target.members(group)
        members = [member for member in held if member.source != PULL_THROUGH]  # these leave
        call = self._target.call("`select`")
        with self._session.watch(call), plugin_faults(call):
            refusal, wanted, lines = self._decide(group, units, members)
        if refusal is not None:
            raise refusal
        kept_out = next((line for line in lines if line.op == REFUSE), None)
        if kept_out is not None:
            raise Conflict(f"`{kept_out.key}` is there already: {kept_out.reason}")
        digests = {line.digest for line in lines}
        arriving = [unit for unit in wanted if unit.digest in digests]
        return GroupChanges(group, held, lines, arriving)

    def _check_tree(self, arriving: Sequence[IdentifiedUnit]) -> None:
        """Raise Refused for a file that cannot lie in one tree with those that are held."""
        if not arriving or not self._target.importer_class.shared_groups:
            return
        paths = [artifact.path for unit in arriving for artifact in unit.artifacts]
        faults = tree_faults(
            self._target.writer, self._target.actual.id, sorted(paths), folded=self._folded
        )
        for path, fault in faults.items():
            raise Refused(f"`{path}` {fault.reason}", hint="send it under another path")

    def _decide(
        self, group: str, units: Sequence[Unit], members: Sequence[GroupMember]
    ) -> tuple[Refused | Denied | None, list[IdentifiedUnit], list[ChangeLine]]:
        """Run the plugin's code; an error for the uploader is returned, not raised."""
        units = self._marks.applied(group, units)
        selected = self._selection.selected(group, self._selection.decide(group, units), [])
        if selected.refusals:
            refusal = selected.refusals[0]
            return Refused(f"`{refusal.key}` is refused: {refusal.reason}"), [], []
        wanted = selected.wanted
        names = RemovedNames(self._target, [group])
        for unit in wanted:
            reused = names.refusal(group, unit.unit, self._selection)
            if reused is not None:
                return reused, [], []
        uploaded = [member.unit for member in members if member.source == UPLOAD]
        denied = self._denial(group, [unit.unit for unit in wanted], uploaded)
        lines = difference(
            UPLOAD, members, DesiredGroup(wanted, removes=False), describer=self._selection
        )
        return denied, wanted, lines

    def _denial(
        self, group: str, units: Iterable[Unit], uploaded: Iterable[StoredUnit]
    ) -> Denied | None:
        """Return why filters keep a unit out, asked about all that is or becomes uploaded."""
        filters, session = self._filters, self._session
        if not filters.filters:
            return None
        arriving = [
            filters.restore_metadata(unit, self._uploaded_bytes_reader(unit)) for unit in units
        ]
        replaced = {(unit.type, unit.key) for unit in arriving}
        others = [
            filters.restore_metadata(
                declared_unit(unit), stored_bytes_reader(session.store, unit.artifacts)
            )
            for unit in uploaded
            if (unit.type, unit.key) not in replaced
        ]
        new = {id(unit) for unit in arriving}
        for decision in filters.decide(group, [*arriving, *others]):
            if id(decision.unit) in new and not decision.accepted:
                return Denied(f"`{decision.unit.key}` is refused: {filters.reason(decision)}")
        return None

    def _uploaded_bytes_reader(self, unit: Unit) -> ArtifactReader:
        """Return a reader of artifacts that are not stored yet: the file, and what is within it."""
        artifacts = {artifact.path: artifact for artifact in unit.artifacts}
        content_type: type[ContentType] = self._session.registry.content_type(unit.type)
        stored = stored_bytes_reader(self._session.store, unit.artifacts)

        def read(path: str) -> bytes | None:
            artifact = artifacts.get(path)
            if artifact is None:
                return None
            container = artifacts.get(artifact.within, artifact)
            file = self._files.file(Digest.parse(container.sha256))
            if file is None:
                return stored(path)
            with file.open("rb") as stream:
                body = (
                    stream.read()
                    if container is artifact
                    else content_type.extract(unit, artifact, stream)
                )
            if body is None or hashlib.sha256(body).hexdigest() != artifact.sha256:
                return None
            return body

        return read


def check_owner(target: UploadTarget, group: str) -> None:
    """Raise Conflict where a source that stands before `upload` owns the name."""
    ownership = NameOwnership(
        [source.id for source in target.repository.sources],
        shared_groups=target.importer_class.shared_groups,
        reserved=target.source.reserved,
    )
    for source in ownership.before(UPLOAD):
        committed = target.writer.committed_group(target.actual.id, source, group)
        if committed is not None:
            ownership.claim_committed(source, {group: committed})
    owner = ownership.ruling(UPLOAD, group, None).owner
    if owner:
        raise Conflict(
            f"`{group}` belongs to {owner} in repository `{target.name}`",
            hint="put `upload` first in `sources` to take the name over",
        )
