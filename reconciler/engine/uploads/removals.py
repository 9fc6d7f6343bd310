"""Removals by hand: which uploaded units leave, and what that changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from reconciler.engine.session.session import Session
from reconciler.engine.uploads.conduits import ImporterUploadConduit
from reconciler.engine.uploads.plugin_results import removed_units, upload_faults
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Gone, Refused
from reconciler.model import UPLOAD, Grant, StoredUnit, stored_unit
from reconciler.plan import REMOVE, ChangeLine


def removal_changes(
    session: Session,
    target: UploadTarget,
    conduit: ImporterUploadConduit,
    *,
    keys: Sequence[str],
    grant: Grant,
) -> list[GroupChanges]:
    """Return what leaves with the units under these keys, as the importer decides.

    Raises:
        Gone: Nothing was uploaded under one of the keys that the grant is for.
    """
    chosen: dict[str, list[StoredUnit]] = {}
    for key in keys:
        for unit in _uploaded_units(target, key, grant):
            chosen.setdefault(unit.group, []).append(unit)
    return leaving_units(
        session, target, conduit, units=[unit for units in chosen.values() for unit in units]
    )


def leaving_units(
    session: Session,
    target: UploadTarget,
    conduit: ImporterUploadConduit,
    *,
    units: Sequence[StoredUnit],
) -> list[GroupChanges]:
    """Return what leaves with these units, as the importer decides."""
    call = target.call("`remove`")
    with session.watch(call), upload_faults(call):
        answer = target.importer().remove(conduit, units)
        leaving = removed_units(answer)
    return [_group_removal(target, name, leaving[name]) for name in sorted(leaving)]


def requested_removals(target: UploadTarget, units: Iterable[StoredUnit]) -> list[StoredUnit]:
    """Return the units that a publisher wants to remove, once it is sure that they may leave.

    Raises:
        PluginFault: It returned something else.
        Refused: One of them was not uploaded.
    """
    requested = list(units)
    groups = removed_units(requested)
    for name, keys in groups.items():
        for member in target.members(name):
            if (member.unit.type, member.unit.key) in keys and member.source != UPLOAD:
                raise Refused(
                    f"`{member.unit.key}` was not uploaded: it comes from {member.source}",
                    hint="what a sync brings in is kept out by filters",
                )
    return requested


def _uploaded_units(target: UploadTarget, key: str, grant: Grant) -> list[StoredUnit]:
    rows = target.writer.find_units(target.actual.id, target.actual.number, key)
    uploaded = [stored_unit(row.body) for row in rows if row.source == UPLOAD]
    units = [unit for unit in uploaded if grant.covers(unit.group)]
    if not units:
        raise Gone(
            f"nothing was uploaded to repository `{target.name}` under `{key}`",
            hint=f"`reconciler diff repository/{target.name} 0 latest` lists what it holds; what a"
            " sync brings in is kept out by filters",
        )
    return units


def _group_removal(
    target: UploadTarget, name: str, keys: Collection[tuple[str, str]]
) -> GroupChanges:
    members = target.members(name)
    lines = [
        ChangeLine(REMOVE, member.unit.type, member.unit.key, digest=member.digest)
        for member in members
        if member.source == UPLOAD and (member.unit.type, member.unit.key) in keys
    ]
    return GroupChanges(name, members, lines)
