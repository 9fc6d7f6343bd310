"""Groups on their way into a version: what of them is fetched, and the rows that are staged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from reconciler.database import ArtifactOrigin, CommittedGroup, StagedGroup, StagedMember
from reconciler.engine.transfer.artifact_fetcher import FetchResult
from reconciler.model import Digest
from reconciler.plan import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    ChangeLine,
    ContentChanges,
    Counts,
    GroupChange,
    counts_of,
    sum_counts,
)

MAX_GROUPS = 100  # whose artifacts are looked up at once
MAX_LINES = 5_000  # content changes that are looked up at once
# Recorded as the selection of a group with a failed file: equal to no real one, so that the next
# run reads the group again.
UNSETTLED = Digest.of_value(["a file failed"])


@dataclass(slots=True)
class FileFailure:
    """A file that could not be fetched."""

    source: str
    group: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.group}: `{self.key}`: {self.message}"


@dataclass(slots=True)
class PendingGroup:
    """One changed group while its units are fetched.

    Attributes:
        changes: What each source changes in it.
        open: Units that are neither fetched nor failed.
        units: Units whose files are stored, or stay upstream as declared.
        failed: Keys of units of which a file failed.
        sizes: Bytes of the artifacts that are stored now.
        origins: Where artifacts stay upstream, by digest and remote: several may have the same.
    """

    changes: list[GroupChange]
    open: int = 0
    units: list[ChangeLine] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    sizes: dict[Digest, int] = field(default_factory=dict)
    origins: dict[tuple[Digest, str], ArtifactOrigin] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.changes[0].head.name

    def additions(self) -> list[tuple[str, ChangeLine]]:
        """Return (source, change) of every unit that has to be there afterwards."""
        return [
            (change.head.source, line)
            for change in self.changes
            for line in change.lines
            if _adds(line)
        ]

    def add(self, line: ChangeLine, fetched: FetchResult) -> None:
        """Note that all files of a unit are fetched."""
        self.sizes.update(fetched.sizes)
        self.origins.update(
            {(digest, origin.remote): origin for digest, origin in fetched.origins.items()}
        )
        self.units.append(line)
        self.open -= 1

    def fail(self, line: ChangeLine) -> None:
        """Note that a file of a unit could not be fetched."""
        self.failed.add(line.key)
        self.open -= 1

    def staged_groups(self) -> Iterator[StagedGroup]:
        """Yield what is to be remembered of the group, for each source."""
        for change in self.changes:
            head = change.head
            yield StagedGroup(
                head.name,
                head.source,
                head.was,
                self._committed(change),
                head.delisted,
                head.relisted,
            )

    def staged_members(self) -> Iterator[StagedMember]:
        """Yield units that join and leave.

        A unit whose file failed does not join, and as long as one failed nothing is removed: what
        the source has instead may be what failed.
        """
        for change in self.changes:
            name, source = change.head.name, change.head.source
            for line in change.lines:
                if line.op == REFUSE or line.key in self.failed:
                    continue
                if _adds(line) and line.digest:
                    yield StagedMember(name, line.digest, source, joins=True)
                leaving = line.digest if line.op == REMOVE else line.before
                if leaving and not self._keeps(line):
                    yield StagedMember(name, leaving, source, joins=False)

    def _keeps(self, line: ChangeLine) -> bool:
        return bool(self.failed) and line.op == REMOVE

    def _committed(self, change: GroupChange) -> CommittedGroup | None:
        head = change.head
        if not head.held and not self.failed:
            return None
        due = datetime.fromisoformat(head.reconsider_at) if head.reconsider_at else None
        if self.failed:
            return CommittedGroup(head.name, None, UNSETTLED, due)
        assert head.selection is not None, "a source holds a group under some selection"
        return CommittedGroup(head.name, head.validator, head.selection, due, head.offered)


def pending_groups(content: ContentChanges) -> Iterator[list[PendingGroup]]:
    """Yield the groups of the spool in batches of up to MAX_GROUPS and about MAX_LINES changes."""
    batch: list[PendingGroup] = []
    lines = 0
    for _, changes in groupby(content.spool, key=lambda change: change.head.name):
        group = PendingGroup(list(changes))
        batch.append(group)
        lines += sum(len(change.lines) for change in group.changes)
        if len(batch) >= MAX_GROUPS or lines >= MAX_LINES:
            yield batch
            batch, lines = [], 0
    if batch:
        yield batch


def committed_counts(
    content: ContentChanges, failures: Iterable[FileFailure], skipped: Collection[str]
) -> Counts:
    """Count the changes that were committed.

    Args:
        content: What was planned.
        failures: Units that were not fetched; the removals of their groups wait.
        skipped: Groups that another run changed meanwhile: nothing of them was committed.
    """
    failed = {(failure.group, failure.key) for failure in failures}
    if not failed and not skipped:
        return content.counts
    incomplete = {group for group, _ in failed}
    return sum_counts(
        counts_of(
            line
            for change in changes
            for line in change.lines
            if (name, line.key) not in failed and not (line.op == REMOVE and name in incomplete)
        )
        for name, changes in groupby(content.spool, key=lambda change: change.head.name)
        if name not in skipped
    )


def _adds(line: ChangeLine) -> bool:
    return line.op in (ADD, CHANGE) or (line.op == MOVE and bool(line.digest))
