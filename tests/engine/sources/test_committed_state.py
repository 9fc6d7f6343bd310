"""What is recorded of a source stands until its basis changes, something failed or time is up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from reconciler.database import WITHDRAWN, CommittedGroup, CommittedSource, Reader
from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.source_responses import GONE, REFUSED
from reconciler.model import ActualRepository, Digest

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BASIS, OTHER = Digest.of(b"basis"), Digest.of(b"other")
WHOLE = CommittedSource("v1", BASIS)
REPOSITORY = ActualRepository(7, "team", 3, Digest.of(b""), 1)


@dataclass
class Record:
    """What a reader answers about the source `remote:up`."""

    source: CommittedSource | None = WHOLE
    groups: dict[str, CommittedGroup] = field(default_factory=dict)
    due: datetime | None = None
    incomplete: bool = False
    reads: int = 0

    def committed_source(self, repository_id: int, source: str) -> CommittedSource | None:
        assert (repository_id, source) == (7, "remote:up")
        return self.source

    def committed_groups(self, repository_id: int, source: str) -> dict[str, CommittedGroup]:
        self.reads += 1
        return self.groups

    def source_due(self, repository_id: int, source: str) -> datetime | None:
        return self.due

    def source_incomplete(self, repository_id: int, source: str) -> bool:
        return self.incomplete


def state(record: Record, repository: ActualRepository | None = REPOSITORY) -> CommittedState:
    return CommittedState(
        cast(Reader, record), repository, "remote:up", rules_digest=BASIS, now=NOW
    )


def source_validator(record: Record, source_digest: Digest = BASIS) -> str | None:
    async def ask() -> str | None:
        committed = state(record)
        await committed.load_source()
        return await committed.source_validator(source_digest)

    return asyncio.run(ask())


def group_validator(group: CommittedGroup) -> str | None:
    committed = state(Record(groups={group.name: group}))
    asyncio.run(committed.load_groups())
    return committed.group_validator(group.name)


def test_a_whole_source_stands_under_its_validator() -> None:
    assert source_validator(Record()) == "v1"


@pytest.mark.parametrize(
    "record",
    [
        Record(source=None),
        Record(source=CommittedSource(None, BASIS)),
        Record(source=CommittedSource("v1", OTHER)),
        Record(incomplete=True),
    ],
)
def test_a_source_does_not_stand_where_it_failed_or_rests_on_something_else(record: Record) -> None:
    assert source_validator(record) is None


@pytest.mark.parametrize(("due", "stands"), [(NOW + SECOND, True), (NOW, False), (None, True)])
def test_a_source_is_due_at_the_very_moment(due: datetime | None, stands: bool) -> None:
    assert (source_validator(Record(due=due)) is not None) == stands


@pytest.mark.parametrize(("due", "stands"), [(NOW + SECOND, True), (NOW, False), (None, True)])
def test_a_group_is_due_at_the_very_moment(due: datetime | None, stands: bool) -> None:
    assert (group_validator(CommittedGroup("lib", "1", BASIS, due)) == "1") == stands


@pytest.mark.parametrize("validator", [REFUSED, WITHDRAWN, None])
def test_a_group_without_units_is_asked_for_again(validator: str | None) -> None:
    assert group_validator(CommittedGroup("lib", validator, BASIS)) is None


def test_a_group_that_upstream_lacks_is_not_asked_for_again() -> None:
    assert group_validator(CommittedGroup("lib", GONE, BASIS)) == GONE


def test_another_basis_decides_anew() -> None:
    group = CommittedGroup("lib", "1", OTHER)
    assert group_validator(group) is None
    committed = state(Record(groups={"lib": group, "app": CommittedGroup("app", "1", BASIS)}))
    asyncio.run(committed.load_groups())
    assert [committed.has_other_rules(name) for name in ("lib", "app", "new")] == [
        True,
        False,
        False,
    ]


def test_groups_are_read_once_and_not_of_a_new_repository() -> None:
    record = Record(groups={"lib": CommittedGroup("lib", "1", BASIS)})
    committed = state(record)
    for _ in range(2):
        asyncio.run(committed.load_groups())
    assert record.reads == 1
    new = state(record, None)
    asyncio.run(new.load_groups())
    assert (new.groups, record.reads) == ({}, 1)
