"""The difference of one group: lines from current members to selected units. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from reconciler.model import (
    Artifact,
    Digest,
    IdentifiedUnit,
    StoredUnit,
    Unit,
    artifact_digest,
    declared_size,
)
from reconciler.plan.changes import (
    ADD,
    CHANGE,
    MOVE,
    NO_BODY,
    REFUSE,
    REMOVE,
    ChangeLine,
    Counts,
    GroupChange,
)

Key = tuple[str, str]  # (type, key): unique within a group


class ChangeDescriber(Protocol):
    """Texts about units that only content types know; implemented in `reconciler.engine`."""

    def summary(self, unit: Unit | StoredUnit) -> tuple[str | None, str]: ...

    def removal_reason(self, unit: StoredUnit, refused: str) -> str: ...

    def change(self, before: StoredUnit, after: Unit) -> str: ...

    def refuse_replacement(self, before: StoredUnit, after: Unit) -> str | None: ...


class GroupMember(msgspec.Struct, frozen=True):
    """A unit that a group holds now, and the source that brought it.

    `body`: its canonical JSON; empty where it is not needed.
    """

    digest: Digest
    unit: StoredUnit
    source: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RefusedUnit:
    """A refused unit, or an entry that could not become one. `rule`: as of a ChangeLine."""

    type: str
    key: str
    reason: str
    version: str | None = None
    label: str = ""
    size: int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class DesiredGroup:
    """Content that one source should have in a group.

    `removes=False` (additive mode): nothing leaves. `gone`: reason for units that leave, where the
    content type cannot know it.
    """

    units: Iterable[IdentifiedUnit] = ()
    refusals: Iterable[RefusedUnit] = ()
    removes: bool = True
    gone: str = ""


def difference(
    source: str,
    members: Iterable[GroupMember],
    desired: DesiredGroup,
    *,
    describer: ChangeDescriber,
) -> list[ChangeLine]:
    """Return the lines by which `source` turns `members` into `desired`, in (type, key) order.

    A member of another source is never removed; a desired unit that another source holds already
    only changes its source. Where another source holds other content under its key the unit is kept
    out, with its body, in case the other one leaves: see `merge_source_changes`.
    """
    own: dict[Key, GroupMember] = {}
    foreign: dict[Key, GroupMember] = {}
    for member in members:
        (own if member.source == source else foreign)[(member.unit.type, member.unit.key)] = member
    lines: dict[tuple[str, str, str], ChangeLine] = {}
    refusals = {
        (refused.type, refused.key): refused
        for refused in sorted(desired.refusals, key=lambda refused: refused.reason, reverse=True)
    }
    selected: set[Key] = set()
    for unit in desired.units:
        key = (unit.type, unit.key)
        selected.add(key)
        line = _arrival(unit, own.get(key), foreign.get(key), describer=describer)
        if line is not None:
            lines[(*key, line.op)] = line
    for key, member in own.items():
        if key not in selected and desired.removes:
            reason = (
                describer.removal_reason(member.unit, refusals[key].reason)
                if key in refusals
                else desired.gone or describer.removal_reason(member.unit, "")
            )
            op = MOVE if key in foreign else REMOVE
            lines[(*key, REMOVE)] = _departure(member, op, reason, describer=describer)
    for key, refusal in refusals.items():
        if (*key, REMOVE) not in lines and key not in selected:
            lines[(*key, REFUSE)] = _refused(refusal)
    return [lines[key] for key in sorted(lines)]


def merge_source_changes(changes: Sequence[GroupChange]) -> list[GroupChange]:
    """Merge what several sources change in one group; `changes` come in the order of the sources.

    A unit that leaves one source and joins another only moves, a key that one source frees can be
    taken by another, and a key that several bring at once belongs to the first of them.
    """
    leaving = {line.digest for change in changes for line in change.lines if line.op == REMOVE}
    joining = {line.digest for change in changes for line in change.lines if line.op in (ADD, MOVE)}
    free = {
        (line.type, line.key) for change in changes for line in change.lines if line.op == REMOVE
    }
    moved = leaving & joining
    return _keep_first_per_key(
        [
            GroupChange(change.head, [_moved_or_freed(line, moved, free) for line in change.lines])
            for change in changes
        ]
    )


def _keep_first_per_key(changes: Sequence[GroupChange]) -> list[GroupChange]:
    """Keep one unit for each key: a later source's is refused, and its group is read again."""
    holders: dict[Key, tuple[Digest, str]] = {}
    for op in (MOVE, ADD):
        for change in changes:
            for line in change.lines:
                if line.op == op and line.digest:
                    holders.setdefault((line.type, line.key), (line.digest, change.head.source))
    merged = []
    for change in changes:
        lines = [
            _refused_if_held(line, holders.get((line.type, line.key))) for line in change.lines
        ]
        kept_out = any(map(is_key_taken, lines)) and change.head.validator is not None
        merged.append(
            GroupChange(
                msgspec.structs.replace(change.head, validator=None) if kept_out else change.head,
                lines,
            )
        )
    return merged


def _refused_if_held(line: ChangeLine, holder: tuple[Digest, str] | None) -> ChangeLine:
    if line.op != ADD or holder is None or line.digest == holder[0]:
        return line
    return msgspec.structs.replace(line.without_bytes(), op=REFUSE, reason=f"held by {holder[1]}")


def apply_changes(
    held: Mapping[tuple[Digest, str], bytes], changes: Iterable[GroupChange]
) -> dict[Digest, bytes]:
    """Return the bodies by digest that a group holds once `changes` are applied.

    `held`: its bodies by (digest, source) as of now.
    """
    rows = dict(held)
    for change in changes:
        for line in change.lines:
            if line.op == REFUSE:
                continue
            leaving = line.digest if line.op == REMOVE else line.before
            if leaving:
                rows.pop((leaving, change.head.source), None)
            if line.op != REMOVE and line.digest:
                rows[line.digest, change.head.source] = bytes(line.body)
    return {digest: body for (digest, _), body in rows.items()}


def is_key_taken(line: ChangeLine) -> bool:
    """Return True for a unit that is refused only because another source holds its key."""
    return line.op == REFUSE and bool(line.body)


def counts_of(lines: Iterable[ChangeLine]) -> Counts:
    """Count lines by operation."""
    number = dict.fromkeys((ADD, REMOVE, CHANGE, REFUSE, MOVE), 0)
    refused: dict[str, int] = {}
    download = unsized = upstream = upstream_unsized = 0
    for line in lines:
        number[line.op] += 1
        if line.op == REFUSE:
            refused[line.rule or line.reason] = refused.get(line.rule or line.reason, 0) + 1
        else:
            download += line.download
            unsized += line.unsized
            upstream += line.upstream
            upstream_unsized += line.upstream_unsized
    return Counts(number[ADD], number[REMOVE], number[CHANGE], number[MOVE], download) + Counts(
        refused=refused,
        unsized=unsized,
        upstream=upstream,
        upstream_unsized=upstream_unsized,
    )


def refetch_line(unit: IdentifiedUnit, reason: str, describer: ChangeDescriber) -> ChangeLine:
    """Return a line for a unit that is held already and whose artifacts are fetched again."""
    return _unit_line(unit, MOVE, describer, reason=reason)


def with_download(
    line: ChangeLine, stored: Container[Digest], sizes: Mapping[Digest, int]
) -> ChangeLine:
    """Return the line with the bytes of its artifacts that are not `stored`.

    `sizes`: of artifacts, as far as they are known from elsewhere. What lies inside of another
    artifact is not downloaded beside it.
    """
    missing = [artifact for artifact in line.artifacts if artifact_digest(artifact) not in stored]
    if not missing:
        return line
    known = [sizes.get(artifact_digest(artifact), artifact.size) for artifact in missing]
    return msgspec.structs.replace(
        line,
        download=sum(size or 0 for size in known),
        unsized=sum(
            size is None and not artifact.within
            for artifact, size in zip(missing, known, strict=True)
        ),
    )


def with_upstream(
    line: ChangeLine, stored: Container[Digest], sizes: Mapping[Digest, int]
) -> ChangeLine:
    """Return the line with the bytes of those of its artifacts that an apply leaves upstream.

    As for `with_download`; what lies inside of another artifact is downloaded all the same. A unit
    that is held already was counted when it came.
    """
    if line.op not in (ADD, CHANGE):
        return line
    left = [
        artifact
        for artifact in line.artifacts
        if not artifact.within and artifact_digest(artifact) not in stored
    ]
    known = [sizes.get(artifact_digest(artifact), artifact.size) for artifact in left]
    return msgspec.structs.replace(
        line,
        upstream=sum(size or 0 for size in known),
        upstream_unsized=sum(size is None for size in known),
    )


def _arrival(
    unit: IdentifiedUnit,
    own: GroupMember | None,
    foreign: GroupMember | None,
    *,
    describer: ChangeDescriber,
) -> ChangeLine | None:
    if own is not None and own.digest == unit.digest:
        return None
    if own is None and foreign is not None:
        op = MOVE if foreign.digest == unit.digest else REFUSE
        return _unit_line(unit, op, describer, reason=f"held by {foreign.source}")
    if own is None:
        return _unit_line(unit, ADD, describer)
    refusal = describer.refuse_replacement(own.unit, unit.unit)
    if refusal is not None:
        return _without_body(_unit_line(unit, REFUSE, describer, reason=refusal))
    reason = describer.change(own.unit, unit.unit)
    return _unit_line(unit, CHANGE, describer, reason=reason, before=own.digest)


def _unit_line(
    unit: IdentifiedUnit,
    op: str,
    describer: ChangeDescriber,
    *,
    reason: str = "",
    before: Digest | None = None,
) -> ChangeLine:
    version, label = describer.summary(unit.unit)
    return ChangeLine(
        op=op,
        type=unit.type,
        key=unit.key,
        digest=unit.digest,
        before=before,
        version=version,
        label=label,
        size=declared_size(unit.unit),
        reason=reason,
        body=msgspec.Raw(unit.body),
        artifacts=_named(unit.artifacts),
    )


def _without_body(line: ChangeLine) -> ChangeLine:
    """Return a line of a unit that cannot join, whatever other sources do."""
    return msgspec.structs.replace(line, body=NO_BODY, artifacts=[])


def _named(artifacts: list[Artifact]) -> list[Artifact]:
    """Return the artifacts with their sha256 alone, the digest that counts once it is known."""
    return [
        msgspec.structs.replace(artifact, digests={}) if artifact.digests else artifact
        for artifact in artifacts
    ]


def _departure(
    member: GroupMember, op: str, reason: str, *, describer: ChangeDescriber
) -> ChangeLine:
    version, label = describer.summary(member.unit)
    return ChangeLine(
        op=op,
        type=member.unit.type,
        key=member.unit.key,
        digest=member.digest if op == REMOVE else None,
        before=member.digest,
        version=version,
        label=label,
        size=declared_size(member.unit),
        reason=reason,
    )


def _refused(refusal: RefusedUnit) -> ChangeLine:
    return ChangeLine(
        op=REFUSE,
        type=refusal.type,
        key=refusal.key,
        version=refusal.version,
        label=refusal.label,
        size=refusal.size,
        reason=refusal.reason,
        rule=refusal.rule,
    )


def _moved_or_freed(line: ChangeLine, moved: set[Digest | None], free: set[Key]) -> ChangeLine:
    """Return a line as an addition where its key is free now, as a move where its unit moves."""
    if is_key_taken(line) and (line.type, line.key) in free:
        return msgspec.structs.replace(line, op=ADD, reason="")
    if line.digest not in moved or line.op not in (ADD, REMOVE):
        return line
    return msgspec.structs.replace(
        line.without_bytes(), op=MOVE, digest=line.digest if line.op == ADD else None
    )
