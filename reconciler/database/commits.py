"""Commits: stage rows invisibly, then compare, swap and number in one short transaction.

The repository's row is locked first, so that two commits to it are serialised. Then every touched
group must still have the digest that the caller saw. Intervals are written as those of the next
version; when the content is unchanged (only the source of a unit has changed), they are moved back
to the latest version and no version is made.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from types import MappingProxyType, TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from reconciler.database import commit_statements as sql
from reconciler.database.bulk import (
    Row,
    batches,
    insert_for,
    overwriting,
    parameter,
)
from reconciler.database.columns import to_json, to_raw
from reconciler.database.delisted import delisted_json, write_delisted
from reconciler.database.manual_changes import write_manual_changes
from reconciler.database.plugins import write_scratchpads
from reconciler.database.records import (
    NO_MANUAL_CHANGES,
    CommitResult,
    CommittedSource,
    ManualChanges,
    StagedGroup,
    StagedMember,
)
from reconciler.database.schema import (
    lease,
    source_group,
    stage,
    stage_group,
    stage_member,
)
from reconciler.database.session import Writing
from reconciler.database.staged_names import name_faults
from reconciler.database.upload_totals import growth_of, keep_totals, totals_of
from reconciler.database.version_counts import keep_counts
from reconciler.database.versions import STREAM
from reconciler.errors import Conflict, StateFault
from reconciler.model import (
    CheckedTree,
    Digest,
    Quota,
    UploadTotals,
    bucket_digest,
    bucket_of,
    group_digest,
    version_digest_of,
)
from reconciler.process_identity import ABANDONED_AFTER, Process, this_process

logger = logging.getLogger(__name__)


class Stage:
    """A commit in preparation.

    As a context manager it discards, on exit, what was not committed.
    """

    def __init__(self, writing: Engine, id_: int, repository_id: int) -> None:
        self._writing = writing
        self._id = id_
        self._repository_id = repository_id
        self._done = False

    def add(self, groups: Sequence[StagedGroup], members: Sequence[StagedMember]) -> None:
        """Stage groups, and members of these or of groups staged before, under the same source.

        May be called any number of times. Raises StateFault when a member's unit was never recorded
        or its group is not staged; nothing of the call is staged then.
        """
        id_, repository_id = self._id, self._repository_id
        try:
            with self._writing.begin() as connection:
                sql.GROUPS(
                    connection,
                    [
                        (repository_id, name, bucket_of(name))
                        for name in dict.fromkeys(group.name for group in groups)
                    ],
                )
                sql.STAGE_GROUPS(
                    connection, [_group_row(id_, repository_id, group) for group in groups]
                )
                rows = [
                    (id_, repository_id, member.group, member.source, member.unit.raw, member.joins)
                    for member in members
                ]
                # Sorted: units that were recorded together are stored together.
                sql.STAGE_MEMBERS(connection, sorted(rows))
        except IntegrityError as error:
            raise self._refusal(groups, members) from error
        logger.debug("staged groups: %d, members: %d", len(groups), len(members))

    def commit(
        self,
        provenance: Mapping[str, object],
        sources: Mapping[str, CommittedSource],
        now: datetime,
        *,
        scratchpads: Mapping[str, Any] = MappingProxyType({}),
        seen: Mapping[str, Digest | None] = MappingProxyType({}),
        tree: CheckedTree | None = None,
        manual: ManualChanges = NO_MANUAL_CHANGES,
        quota: Quota | None = None,
    ) -> CommitResult:
        """Compare and swap, in one transaction, and return the latest version.

        No version is made when nothing is staged or the content stays the same; the rest is
        recorded all the same.

        Args:
            provenance: Plain data that is recorded with a new version.
            sources: State of each source whose listing was completed.
            now: Time of the commit.
            scratchpads: Scratchpads to record, by owner, as in `set_scratchpads`.
            seen: Digests (of `scratchpad_digest`) that the scratchpads must still have, by owner.
            tree: What was known when names were checked, where all groups are one tree of files.
            manual: What people did by hand.
            quota: Of uploads; counted here, where no other commit comes in between.

        Raises:
            Conflict: Groups, or a scratchpad, are no longer what the plan saw, or a file came in
                that cannot lie in one tree with a staged one; it names them.
            StateFault: Bytes of a joining unit are neither stored nor available at an origin.
            QuotaExceeded: Uploads grow beyond their quota.
        """
        with self._writing.begin() as connection:
            latest = self._check(connection)
            self._check_names(connection, latest[0], tree)
            result = self._swap(connection, latest, now, provenance=provenance, quota=quota)
            self._remember(connection, sources)
            write_delisted(connection, self._repository_id, self._id)
            write_scratchpads(connection, self._repository_id, scratchpads, seen=seen)
            write_manual_changes(connection, self._repository_id, manual)
        self.discard()
        logger.debug(
            "%s version %d, %s",
            "committed" if result.created else "kept",
            result.number,
            result.digest.short,
        )
        return result

    def leave_out_moved(self) -> set[tuple[str, str]]:
        """Unstage groups that are no longer what the caller saw; return (group, source) of each.

        The other groups can then be committed.
        """
        left_out: set[tuple[str, str]] = set()
        with self._writing.begin() as connection:
            for batch in batches(
                connection.execute(sql.MOVED_IDS, {"of_stage": self._id}).scalars().all()
            ):
                rows = connection.execute(sql.STAGED_FOR, {"of_stage": self._id, "groups": batch})
                left_out.update((name, source) for name, source in rows)
                for table in (stage_member, stage_group):
                    connection.execute(
                        delete(table).where(
                            table.c.stage_id == self._id, table.c.group_id.in_(batch)
                        )
                    )
        return left_out

    def leave_out_clashing(self, tree: CheckedTree) -> dict[tuple[str, str], str]:
        """Unstage groups with files that cannot lie in one tree with what is held, or stays.

        Return why, by (group, source). The other groups can then be committed.
        """
        with self._writing.begin() as connection:
            faults = name_faults(connection, self._id, repository_id=self._repository_id, tree=tree)
            for fault in faults.values():
                for table in (stage_member, stage_group):
                    connection.execute(
                        delete(table).where(
                            table.c.stage_id == self._id, table.c.group_id == fault.group_id
                        )
                    )
        return {(fault.group, fault.source): str(fault) for fault in faults.values()}

    def discard(self) -> None:
        """Delete what is staged. May be called at any time, any number of times."""
        if not self._done:
            with self._writing.begin() as connection:
                _sweep(connection, [self._id])
            self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _refusal(
        self, groups: Sequence[StagedGroup], members: Sequence[StagedMember]
    ) -> StateFault:
        recorded: set[bytes] = set()
        with self._writing.connect() as connection:
            for batch in batches({member.unit.raw for member in members}):
                recorded.update(connection.execute(sql.KNOWN_UNITS, {"digests": batch}).scalars())
        unknown = sorted(
            {
                f"`{member.unit.short}` of `{member.group}`"
                for member in members
                if member.unit.raw not in recorded
            }
        )
        if unknown:
            return StateFault(f"units were staged that were never recorded: {_listed(unknown)}")
        names = sorted(
            {f"`{item.group}`" for item in members} or {f"`{item.name}`" for item in groups}
        )
        return StateFault(
            f"groups were staged twice, or members without their group: {_listed(names)}"
        )

    def _check(self, connection: Connection) -> tuple[int, Digest]:
        latest = connection.execute(
            sql.LATEST, {"of_repository": self._repository_id}
        ).one_or_none()
        if latest is None or connection.execute(sql.STAGED, {"of_stage": self._id}).first() is None:
            raise Conflict(
                "the staged commit is gone: it was committed or discarded, or its repository was"
                " deleted",
                hint="plan again",
            )
        moved = list(connection.execute(sql.MOVED, {"of_stage": self._id}).scalars())
        if moved:
            raise Conflict(
                f"changed since they were planned: {_listed([f'`{name}`' for name in moved])}",
                hint="plan again",
            )
        missing = connection.execute(sql.WITHOUT_BYTES, {"of_stage": self._id}).all()
        if missing:
            parts = _listed([f"`{path}` of `{key}`" for key, path in missing])
            raise StateFault(
                "units cannot join a version before their bytes are stored or some remote has"
                f" them: {parts}"
            )
        return latest[0], Digest(latest[1])

    def _check_names(self, connection: Connection, latest: int, tree: CheckedTree | None) -> None:
        """Raise Conflict for a file that cannot lie beside one that came in since the check.

        The row of the repository is locked, so nothing more comes in between.
        """
        if tree is None or tree.version == latest:
            return
        faults = name_faults(connection, self._id, repository_id=self._repository_id, tree=tree)
        if faults:
            raise Conflict(_listed(list(map(str, faults.values()))), hint="plan again")

    def _swap(
        self,
        connection: Connection,
        latest: tuple[int, Digest],
        now: datetime,
        *,
        provenance: Mapping[str, object],
        quota: Quota | None,
    ) -> CommitResult:
        number, digest = latest
        values = {
            "of_repository": self._repository_id,
            "of_stage": self._id,
            "new_number": number + 1,
        }
        left = connection.execute(sql.LEAVE, values).rowcount
        joined = connection.execute(sql.JOIN, values).rowcount
        if not left and not joined:
            return CommitResult(number, digest, False)
        self._count_uploads(connection, number + 1, quota)
        new = self._digest(connection)
        if new == digest:
            back = {
                "of_repository": self._repository_id,
                "new_number": number,
                "next_number": number + 1,
            }
            for statement in (sql.NEVER_WAS, sql.LEFT_BEFORE, sql.JOINED_BEFORE):
                connection.execute(statement, back)
            return CommitResult(number, digest, False)
        connection.execute(
            sql.SET_LATEST,
            {"of_repository": self._repository_id, "new_number": number + 1, "new": new.raw},
        )
        sql.VERSION(
            connection, [(self._repository_id, number + 1, new.raw, now, to_json(provenance))]
        )
        keep_counts(connection, self._repository_id, number + 1)
        return CommitResult(number + 1, new, True)

    def _count_uploads(self, connection: Connection, number: int, quota: Quota | None) -> None:
        """Bring the totals of uploads up to date. Raises QuotaExceeded."""
        growth = growth_of(connection, self._repository_id, number)
        if growth == UploadTotals():
            return
        held = totals_of(connection, self._repository_id)
        if quota is not None:
            quota.check(held, growth)
        total = UploadTotals(held.files + growth.files, held.size + growth.size)
        keep_totals(connection, self._repository_id, total)

    def _digest(self, connection: Connection) -> Digest:
        """Bring digests of touched groups and buckets up to date; return that of the version."""
        touched = connection.execute(sql.TOUCHED, {"of_stage": self._id}).all()
        rows = connection.execute(
            sql.CONTENT, {"of_stage": self._id}, execution_options={"yield_per": STREAM}
        )
        digests = {
            id_: group_digest(Digest(row[1]) for row in units).raw
            for id_, units in groupby(rows, key=lambda row: row[0])
        }
        sql.SET_GROUPS(connection, [(digests.get(id_), id_) for id_, _ in touched])
        buckets = {bucket for _, bucket in touched}
        filled: list[Row] = []
        for batch in batches(sorted(buckets)):
            groups = connection.execute(
                sql.BUCKET, {"of_repository": self._repository_id, "buckets": batch}
            )
            filled += [
                (self._repository_id, number, bucket_digest(Digest(row[1]) for row in members).raw)
                for number, members in groupby(groups, key=lambda row: row[0])
            ]
        sql.SET_BUCKETS(connection, filled)
        sql.DROP_BUCKETS(
            connection,
            [(self._repository_id, number) for number in buckets - {row[1] for row in filled}],
        )
        rows = connection.execute(sql.BUCKETS, {"of_repository": self._repository_id})
        return version_digest_of((number, raw) for number, raw in rows)

    def _remember(self, connection: Connection, sources: Mapping[str, CommittedSource]) -> None:
        values = {"of_repository": self._repository_id, "of_stage": self._id}
        sql.SOURCES(
            connection,
            [
                (self._repository_id, name, source.validator, to_raw(source.selection))
                for name, source in sources.items()
            ],
        )
        connection.execute(sql.FORGET, values)
        recorded = insert_for(connection.dialect.name, source_group).from_select(
            sql.COMMITTED, sql.REMEMBERED
        )
        connection.execute(overwriting(recorded, sql.COMMITTED[:3], sql.COMMITTED), values)


class CommitWrites(Writing):
    """Creation of versions; there is no other way to a new version."""

    def stage(self, repository_id: int, now: datetime | None = None) -> Stage:
        """Begin a commit, and delete what processes that have ended had staged.

        Of a process that is not known here, what it staged more than a day before `now` goes,
        unless it holds a lease.
        """
        me = this_process()
        with self._writing.begin() as connection:
            _sweep(connection, _abandoned(connection, now))
            row = {
                "repository_id": repository_id,
                "host": me.host,
                "pid": me.pid,
                "process_start": me.start,
                "begun_at": now,
            }
            id_ = connection.execute(insert(stage).values(row).returning(stage.c.id)).scalar_one()
        return Stage(self._writing, id_, repository_id)


def _group_row(stage_id: int, repository_id: int, group: StagedGroup) -> Row:
    start = (stage_id, repository_id, group.name, group.source, to_raw(group.was))
    if group.committed is None:
        return (*start, False, None, None, None, None, delisted_json(group))
    return (
        *start,
        True,
        group.committed.validator,
        group.committed.selection.raw,
        group.committed.reconsider_at,
        to_raw(group.committed.offered),
        delisted_json(group),
    )


def _abandoned(connection: Connection, now: datetime | None) -> list[int]:
    """Return the IDs of commits in preparation that nothing will complete."""
    ids = []
    for row in connection.execute(select(stage)).all():
        process = Process(row.host, row.pid, row.process_start)
        is_old = now is not None and (row.begun_at is None or row.begun_at + ABANDONED_AFTER < now)
        if process.gone or (
            is_old and not process.alive and not _holds_lease(connection, process, now)
        ):
            ids.append(row.id)
    return ids


def _holds_lease(connection: Connection, process: Process, now: datetime | None) -> bool:
    held = select(lease.c.name).where(
        lease.c.host == process.host,
        lease.c.pid == process.pid,
        lease.c.process_start == process.start,
        lease.c.expires_at > parameter("now", lease.c.expires_at),
    )
    return connection.execute(held, {"now": now}).first() is not None


def _sweep(connection: Connection, ids: Sequence[int]) -> None:
    for table, column in (
        (stage_member, stage_member.c.stage_id),
        (stage_group, stage_group.c.stage_id),
        (stage, stage.c.id),
    ):
        if ids:
            connection.execute(delete(table).where(column.in_(ids)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - sql.MAX_NAMED} more" if len(names) > sql.MAX_NAMED else ""
    return ", ".join(names[: sql.MAX_NAMED]) + more
