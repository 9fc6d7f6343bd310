"""What of a changed group is staged, and what of it waits when a file failed."""

from __future__ import annotations

import pytest

from reconciler.database import StagedGroup, StagedMember
from reconciler.engine.applying import staging
from reconciler.engine.applying.staging import (
    UNSETTLED,
    FileFailure,
    PendingGroup,
    committed_counts,
    pending_groups,
)
from reconciler.engine.transfer.artifact_fetcher import FetchResult
from reconciler.model import Artifact, Digest
from reconciler.plan import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    ChangeLine,
    ContentChanges,
    GroupChange,
    GroupLine,
)
from tests.support.plans import changed, content

SELECTION = Digest.of(b"selection")


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def line(op: str, key: str, *, before: str = "", unit: bool = True) -> ChangeLine:
    artifact = Artifact(key, digest(f"bytes of {key}").hex, 10)
    return ChangeLine(
        op,
        "test.file",
        key,
        digest(key) if unit else None,
        digest(before) if before else None,
        artifacts=[artifact] if op in (ADD, CHANGE) else [],
    )


LINES = [
    line(ADD, "new"),
    line(ADD, "bad"),
    line(CHANGE, "changed", before="changed before"),
    line(MOVE, "moved"),
    line(REFUSE, "refused"),
    line(REMOVE, "gone"),
]


def group(*lines: ChangeLine, held: bool = True) -> PendingGroup:
    head = GroupLine(
        "alpha", "remote:up", digest("before"), "v1", SELECTION, "2026-12-01T00:00:00Z", held
    )
    return PendingGroup([GroupChange(head, list(lines))])


def members(group: PendingGroup) -> set[tuple[str, bool]]:
    """(key of the digest, does it join?)."""
    keys = {digest(key): key for key in (*(change.key for change in LINES), "changed before")}
    assert all(isinstance(member, StagedMember) for member in group.staged_members())
    return {(keys[member.unit], member.joins) for member in group.staged_members()}


def test_everything_but_what_is_refused_is_staged() -> None:
    assert members(group(*LINES)) == {
        ("new", True),
        ("bad", True),
        ("changed", True),
        ("changed before", False),
        ("moved", True),
        ("gone", False),
    }


def test_a_failed_file_keeps_the_removals_of_its_group() -> None:
    pending = group(*LINES)
    pending.open = 4
    pending.fail(LINES[1])
    assert pending.open == 3
    assert members(pending) == {
        ("new", True),
        ("changed", True),
        ("changed before", False),
        ("moved", True),
    }


def test_a_failed_replacement_keeps_the_unit_that_it_replaces() -> None:
    pending = group(*LINES)
    pending.fail(LINES[2])
    assert {key for key, _ in members(pending)} == {"new", "bad", "moved"}


def test_a_group_with_a_failed_file_is_read_again() -> None:
    [staged] = group(*LINES).staged_groups()
    assert isinstance(staged, StagedGroup)
    assert (staged.was, staged.source) == (digest("before"), "remote:up")
    assert staged.committed is not None
    assert (staged.committed.validator, staged.committed.selection) == ("v1", SELECTION)
    pending = group(*LINES)
    pending.fail(LINES[1])
    [staged] = pending.staged_groups()
    assert staged.committed is not None
    assert (staged.committed.validator, staged.committed.selection) == (None, UNSETTLED)


def test_a_group_that_its_source_no_longer_holds_is_forgotten_unless_a_file_failed() -> None:
    [staged] = group(LINES[5], held=False).staged_groups()
    assert staged.committed is None
    pending = group(*LINES, held=False)
    pending.fail(LINES[1])
    [staged] = pending.staged_groups()
    assert staged.committed is not None


def test_fetched_units_carry_sizes_and_origins_of_every_remote() -> None:
    pending = group(*LINES)
    pending.open = 1
    pending.add(LINES[0], FetchResult({Digest.of(b"a"): 3}))
    assert (pending.open, pending.sizes) == (0, {Digest.of(b"a"): 3})
    [unit] = pending.units
    assert (unit.digest, unit.key) == (digest("new"), "new")
    assert [key for _, change in pending.additions() for key in [change.key]] == [
        "new",
        "bad",
        "changed",
        "moved",
    ]


def test_the_outcome_counts_what_was_committed() -> None:
    planned = content(
        [changed(*LINES), changed(line(ADD, "other"), line(REMOVE, "lost"), name="beta")]
    )
    everything = committed_counts(planned, [], [])
    assert (everything.added, everything.removed, everything.changed) == (3, 2, 1)
    failure = FileFailure("remote:up", "alpha", "bad", "503")
    assert str(failure) == "remote:up: alpha: `bad`: 503"
    left = committed_counts(planned, [failure], [])
    assert (left.added, left.removed, left.changed) == (2, 1, 1)
    skipped = committed_counts(planned, [failure], ["beta"])
    assert (skipped.added, skipped.removed, skipped.changed) == (1, 0, 1)


def test_groups_come_in_batches_of_so_many_groups_or_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["a", "b", "c", "d", "e"]
    planned = content([changed(line(ADD, name), name=name) for name in names])
    monkeypatch.setattr(staging, "MAX_GROUPS", 2)
    assert batches(planned) == [["a", "b"], ["c", "d"], ["e"]]
    monkeypatch.setattr(staging, "MAX_GROUPS", 100)
    monkeypatch.setattr(staging, "MAX_LINES", 3)
    assert batches(planned) == [["a", "b", "c"], ["d", "e"]]


def batches(planned: ContentChanges) -> list[list[str]]:
    return [[group.name for group in batch] for batch in pending_groups(planned)]
