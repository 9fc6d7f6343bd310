"""Groups that are held already, changed to what marks say of them now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.marks import Marks
from reconciler.engine.sources.members import declared_unit, digest_of, members_of
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_responses import BY_SOURCE, SourceResponse
from reconciler.model import UPLOAD, Digest, Mark, Unit, identify
from reconciler.plan import (
    ChangeLine,
    DesiredGroup,
    GroupChange,
    GroupLine,
    GroupMember,
    difference,
)

UPLOADS_BASIS = Digest.of_value([UPLOAD])  # no options or filters: an upload is decided once


def marked_response(resolution: RepositoryResolution, response: SourceResponse) -> SourceResponse:
    """Return what a source offers, under the marks of the repository."""
    call = resolution.call("with_marks", response.name)
    try:
        with resolution.session.call_timeouts.named(call):
            return resolution.marks.on(response)
    except Exception as error:  # the importer says what a mark changes: plugin code
        return replace(response, failure=error)


def marked_responses(
    resolution: RepositoryResolution, responses: Sequence[SourceResponse]
) -> list[SourceResponse]:
    """Return what changed of what a source offers, under the marks of the repository."""
    return [marked_response(resolution, each) for each in responses if not each.unchanged]


def marked_difference(
    marks: Marks,
    group: str,
    members: Sequence[GroupMember],
    *,
    source: str,
    describer: Selection,
    before: Marks | None = None,
) -> list[ChangeLine]:
    """Return the lines that bring what a source holds in a group under marks.

    Marks that it bears go first. `before`: those that were this repository's, where what is held
    may bear marks of the repository that it was copied from, which stay.
    """
    held = {(each.unit.type, each.unit.key): each for each in members if each.source == source}
    units: Sequence[Unit] = [declared_unit(member.unit) for member in held.values()]
    restored = marks.restored(group, units) if before is None else _restored(before, group, units)
    units = marks.applied(group, restored)
    wanted = [identify(unit, group, held.get((unit.type, unit.key))) for unit in units]
    return difference(source, members, DesiredGroup(wanted), describer=describer)


def _restored(marks: Marks, group: str, units: Sequence[Unit]) -> list[Unit]:
    """Return units without the marks of one repository; other marks stay.

    Those are its own whose marks, dropped and made again, leave the same.
    """
    restored = marks.restored(group, units)
    again = {(unit.type, unit.key): unit for unit in marks.applied(group, restored)}
    foreign = [unit for unit in units if again.get((unit.type, unit.key)) != unit]
    keys = {(unit.type, unit.key) for unit in foreign}
    return [*foreign, *(unit for unit in restored if (unit.type, unit.key) not in keys)]


async def mark_uploads(resolution: RepositoryResolution, selection: Selection) -> None:
    """Bring uploads under the marks of the manifest, where these are not what was recorded.

    No source offers uploads again, so that what is held is changed. What the manifest no longer
    marks is as it was before.
    """
    actual, findings, reader = resolution.actual, resolution.findings, resolution.reader
    if actual is None:
        return
    recorded = await asyncio.to_thread(reader.committed_source, actual.id, UPLOAD)
    now = str(_digest(resolution.marks.declared))
    if recorded is None and not resolution.marks.declared:
        return
    findings.sources[UPLOAD] = (now, UPLOADS_BASIS)
    if recorded is not None and recorded.validator == now:
        return
    findings.touched = True
    names = sorted(await asyncio.to_thread(reader.committed_groups, actual.id, UPLOAD))
    batches = BatchSizer(names)
    while batch := batches.next():
        members = await members_of(reader, actual, batch)
        batches.record(sum(map(len, members.values())))
        for name in batch:
            _mark_group(resolution, name, members.get(name, []), describer=selection)


def _mark_group(
    resolution: RepositoryResolution,
    name: str,
    members: Sequence[GroupMember],
    *,
    describer: Selection,
) -> None:
    try:
        with resolution.session.call_timeouts.named(resolution.call("with_marks", name)):
            lines = marked_difference(
                resolution.marks, name, members, source=UPLOAD, describer=describer
            )
    except Exception as error:  # the importer says what a mark changes: plugin code
        resolution.add_failure(UPLOAD, name, error)
        resolution.findings.sources[UPLOAD] = (None, UPLOADS_BASIS)
        return
    if lines:
        head = GroupLine(
            name, UPLOAD, digest_of(members), validator=BY_SOURCE, selection=UPLOADS_BASIS
        )
        resolution.findings.spool.add([GroupChange(head, lines)])


def _digest(marks: Sequence[Mark]) -> Digest:
    return Digest.of_value([[mark.kind, mark.what, mark.value, mark.reason] for mark in marks])
