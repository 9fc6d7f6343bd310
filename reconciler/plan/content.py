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

    def removal(self, unit: StoredUnit, refused: str) -> str: ...

    def change(self, before: StoredUnit, after: Unit) -> str: ...

    def refusal(self, before: StoredUnit, after: Unit) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A unit that the group holds now: digest, content, and the source that brought it."""

    digest: Digest
    unit: StoredUnit
    source: str


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


def difference(
    source: str,
    members: Iterable[Member],
    wanted: Iterable[IdentifiedUnit],
    refusals: Iterable[RefusedUnit],
    words: ChangeDescriber,
    *,
    removes: bool = True,
    gone: str = "",
) -> list[ChangeLine]:
    """The lines by which `source` turns `members` into `wanted`, in (type, key) order.

    `removes=False` (additive mode): nothing leaves. `gone`: the reason for what leaves, where the
    content type cannot know it. A member of another source is never removed; a wanted unit that
    another source holds already only changes hands. Where another source holds something else under
    its key it is kept out, with its body, in case that one leaves: see `merge_source_changes`.
    """
    held: dict[Key, Member] = {}
    foreign: dict[Key, Member] = {}
    for member in members:
        (held if member.source == source else foreign)[(member.unit.type, member.unit.key)] = member
    lines: dict[tuple[str, str, str], ChangeLine] = {}
    kept_out = {
        (refused.type, refused.key): refused
        for refused in sorted(refusals, key=lambda refused: refused.reason, reverse=True)
    }
    asked: set[Key] = set()
    for unit in wanted:
        key = (unit.type, unit.key)
        asked.add(key)
        line = _arrival(unit, held.get(key), foreign.get(key), words)
        if line is not None:
            lines[(*key, line.op)] = line
    for key, member in held.items():
        if key not in asked and removes:
            reason = (
                words.removal(member.unit, kept_out[key].reason)
                if key in kept_out
                else gone or words.removal(member.unit, "")
            )
            lines[(*key, REMOVE)] = _departure(
                member, MOVE if key in foreign else REMOVE, reason, words
            )
    for key, refusal in kept_out.items():
        if (*key, REMOVE) not in lines and key not in asked:
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
    both = leaving & joining
    return _first_come(
        [
            GroupChange(change.head, [_settled(line, both, free) for line in change.lines])
            for change in changes
        ]
    )


def _first_come(changes: Sequence[GroupChange]) -> list[GroupChange]:
    """Keep one unit for each key: a later source's is refused, and its group is read again."""
    holders: dict[Key, tuple[Digest, str]] = {}
    for op in (MOVE, ADD):
        for change in changes:
            for line in change.lines:
                if line.op == op and line.digest:
                    holders.setdefault((line.type, line.key), (line.digest, change.head.source))
    found = []
    for change in changes:
        lines = [_waiting(line, holders.get((line.type, line.key))) for line in change.lines]
        kept_out = any(map(is_key_taken, lines)) and change.head.validator is not None
        found.append(
            GroupChange(
                msgspec.structs.replace(change.head, validator=None) if kept_out else change.head,
                lines,
            )
        )
    return found


def _waiting(line: ChangeLine, holder: tuple[Digest, str] | None) -> ChangeLine:
    if line.op != ADD or holder is None or line.digest == holder[0]:
        return line
    return msgspec.structs.replace(line, op=REFUSE, reason=f"held by {holder[1]}", download=0)


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
    download = 0
    for line in lines:
        number[line.op] += 1
        if line.op == REFUSE:
            refused[line.rule or line.reason] = refused.get(line.rule or line.reason, 0) + 1
        else:
            download += line.download
    return Counts(number[ADD], number[REMOVE], number[CHANGE], number[MOVE], download) + Counts(
        refused=refused
    )


def refetch_line(unit: IdentifiedUnit, reason: str, words: ChangeDescriber) -> ChangeLine:
    """Return a line for a unit that is held already and whose artifacts are fetched again."""
    return _joining(unit, MOVE, reason, words)


def with_download(line: ChangeLine, stored: Container[Digest]) -> ChangeLine:
    """Return the line with the bytes of its artifacts that are not `stored`."""
    missing = sum(
        artifact.size or 0 for artifact in line.artifacts if artifact_digest(artifact) not in stored
    )
    return msgspec.structs.replace(line, download=missing) if missing else line


def _arrival(
    unit: IdentifiedUnit, held: Member | None, foreign: Member | None, words: ChangeDescriber
) -> ChangeLine | None:
    digest = unit.digest
    if held is not None and held.digest == digest:
        return None
    if held is None and foreign is not None:
        return _joining(
            unit,
            MOVE if foreign.digest == digest else REFUSE,
            f"held by {foreign.source}",
            words,
            waits=True,
        )
    if held is None:
        return _joining(unit, ADD, "", words)
    refusal = words.refusal(held.unit, unit.unit)
    if refusal is not None:
        return _joining(unit, REFUSE, refusal, words)
    return _joining(unit, CHANGE, words.change(held.unit, unit.unit), words, before=held.digest)


def _joining(
    unit: IdentifiedUnit,
    op: str,
    reason: str,
    words: ChangeDescriber,
    before: Digest | None = None,
    *,
    waits: bool = False,
) -> ChangeLine:
    version, label = words.summary(unit.unit)
    kept_out = op == REFUSE and not waits
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
        body=NO_BODY if kept_out else msgspec.Raw(unit.body),
        artifacts=[] if kept_out else _named(unit.artifacts),
    )


def _named(artifacts: list[Artifact]) -> list[Artifact]:
    """Return the artifacts with their sha256 alone, the digest that counts once it is known."""
    return [
        msgspec.structs.replace(artifact, digests={}) if artifact.digests else artifact
        for artifact in artifacts
    ]


def _departure(member: Member, op: str, reason: str, words: ChangeDescriber) -> ChangeLine:
    version, label = words.summary(member.unit)
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


def _settled(line: ChangeLine, both: set[Digest | None], free: set[Key]) -> ChangeLine:
    if is_key_taken(line) and (line.type, line.key) in free:
        return msgspec.structs.replace(line, op=ADD, reason="")
    if line.digest not in both or line.op not in (ADD, REMOVE):
        return line
    return msgspec.structs.replace(
        line, op=MOVE, digest=line.digest if line.op == ADD else None, download=0
    )
