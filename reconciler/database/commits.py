"""Commits: rows are staged where nobody sees them, then one short transaction compares, swaps and
numbers.

The repository's row is locked first, so that two commits to it are one after the other. Then every
touched group must still have the digest that the caller saw. Intervals are written as those of the
next version; when the content turns out to be what it was (only who brought a unit has changed),
they are moved back to the latest version and none is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from types import MappingProxyType, TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, bindparam, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from reconciler.database.bulk import (
    Bulk,
    Row,
    batches,
    ignoring,
    insert_for,
    listed,
    overwriting,
    parameter,
    plain,
    replacing,
)
from reconciler.database.columns import to_json, to_raw
from reconciler.database.plugins import write_scratchpads
from reconciler.database.process_identity import Process, this_process
from reconciler.database.records import CommitResult, CommittedSource, StagedGroup, StagedMember
from reconciler.database.schema import (
    artifact,
    artifact_origin,
    membership,
    repository,
    repository_bucket,
    repository_group,
    source_group,
    source_state,
    stage,
    stage_group,
    stage_member,
    unit,
    unit_artifact,
    version,
)
from reconciler.database.session import Writing
from reconciler.database.versions import STREAM
from reconciler.errors import Conflict, StateFault
from reconciler.model import Digest, bucket_digest, bucket_of, group_digest, version_digest

_NAMED = 10  # culprits that a message names

_STAGE = parameter("of_stage", stage.c.id)
_REPOSITORY = parameter("of_repository", repository.c.id)
_NUMBER = parameter("new_number", membership.c.added)

# -- staging
_GROUP_ID = (
    select(repository_group.c.id)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.name == bindparam("name"),
    )
    .scalar_subquery()
)
_GROUPS = ignoring(repository_group, "repository_id", "name", "bucket")
_STAGE_GROUPS = Bulk(
    lambda dialect: insert_for(dialect, stage_group).values(group_id=_GROUP_ID),
    *(
        "stage_id",
        "of_repository",
        "name",
        "source",
        "was",
        "remember",
        "validator",
        "selection",
        "reconsider_at",
    ),
)
_STAGE_MEMBERS = Bulk(
    lambda dialect: insert_for(dialect, stage_member).values(
        group_id=_GROUP_ID,
        unit_id=select(unit.c.id).where(unit.c.digest == bindparam("digest")).scalar_subquery(),
    ),
    *("stage_id", "of_repository", "name", "source", "digest", "joins"),
)
_KNOWN_UNITS = select(unit.c.digest).where(unit.c.digest.in_(listed("digests")))

# -- checking
_LATEST = (
    select(repository.c.number, repository.c.digest)
    .where(repository.c.id == _REPOSITORY)
    .with_for_update()
)
_STAGED = select(stage.c.id).where(stage.c.id == _STAGE)
_MOVED = (
    select(repository_group.c.name)
    .join(stage_group, stage_group.c.group_id == repository_group.c.id)
    .where(
        stage_group.c.stage_id == _STAGE,
        repository_group.c.digest.is_distinct_from(stage_group.c.was),
    )
    .order_by(repository_group.c.name)
    .distinct()
)
_MOVED_IDS = (
    select(stage_group.c.group_id)
    .join(repository_group, repository_group.c.id == stage_group.c.group_id)
    .where(
        stage_group.c.stage_id == _STAGE,
        repository_group.c.digest.is_distinct_from(stage_group.c.was),
    )
    .distinct()
)
_STAGED_FOR = (
    select(repository_group.c.name, stage_group.c.source)
    .join(stage_group, stage_group.c.group_id == repository_group.c.id)
    .where(stage_group.c.stage_id == _STAGE, stage_group.c.group_id.in_(listed("groups")))
)
_WITHOUT_BYTES = (
    select(unit.c.key, unit_artifact.c.path)
    .join(stage_member, stage_member.c.unit_id == unit.c.id)
    .join(unit_artifact, unit_artifact.c.unit_id == unit.c.id)
    .join(artifact, artifact.c.sha256 == unit_artifact.c.sha256)
    .where(stage_member.c.stage_id == _STAGE, stage_member.c.joins, ~artifact.c.stored)
    .where(~exists(select(1).where(artifact_origin.c.sha256 == artifact.c.sha256)))
    .order_by(unit.c.key, unit_artifact.c.path)
    .limit(_NAMED)
)

# -- intervals
_OPEN = (membership.c.repository_id == _REPOSITORY) & membership.c.removed.is_(None)
_LEAVE = (
    update(membership)
    .where(_OPEN)
    .where(
        exists(
            select(1).where(
                stage_member.c.stage_id == _STAGE,
                stage_member.c.group_id == membership.c.group_id,
                stage_member.c.source == membership.c.source,
                stage_member.c.unit_id == membership.c.unit_id,
                ~stage_member.c.joins,
            )
        )
    )
    .where(
        membership.c.unit_id.in_(
            select(stage_member.c.unit_id).where(
                stage_member.c.stage_id == _STAGE, ~stage_member.c.joins
            )
        )
    )
    .values(removed=_NUMBER)
)
_JOIN = insert(membership).from_select(
    ["repository_id", "group_id", "unit_id", "source", "added"],
    select(
        _REPOSITORY,
        stage_member.c.group_id,
        stage_member.c.unit_id,
        stage_member.c.source,
        _NUMBER,
    ).where(
        stage_member.c.stage_id == _STAGE,
        stage_member.c.joins,
        ~exists(
            select(1).where(
                _OPEN,
                membership.c.unit_id == stage_member.c.unit_id,
                membership.c.source == stage_member.c.source,
            )
        ),
    ),
)
_NEVER_WAS = delete(membership).where(
    membership.c.repository_id == _REPOSITORY,
    membership.c.removed == bindparam("next_number"),
    membership.c.added == _NUMBER,
)
_LEFT_BEFORE = (
    update(membership)
    .where(
        membership.c.repository_id == _REPOSITORY, membership.c.removed == bindparam("next_number")
    )
    .values(removed=_NUMBER)
)
_JOINED_BEFORE = (
    update(membership)
    .where(
        membership.c.repository_id == _REPOSITORY, membership.c.added == bindparam("next_number")
    )
    .values(added=_NUMBER)
)

# -- digests
_TOUCHED_IDS = select(stage_member.c.group_id).where(stage_member.c.stage_id == _STAGE)
_TOUCHED = select(repository_group.c.id, repository_group.c.bucket).where(
    repository_group.c.id.in_(_TOUCHED_IDS)
)
_CONTENT = (
    select(membership.c.group_id, unit.c.digest)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(membership.c.group_id.in_(_TOUCHED_IDS), membership.c.removed.is_(None))
    .order_by(membership.c.group_id)
)
_SET_GROUPS = Bulk(
    lambda _: (
        update(repository_group)
        .where(repository_group.c.id == bindparam("group_id"))
        .values(digest=parameter("new", repository_group.c.digest))
    ),
    *("new", "group_id"),
)
_BUCKET = (
    select(repository_group.c.bucket, repository_group.c.digest)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.bucket.in_(listed("buckets")),
    )
    .where(repository_group.c.digest.is_not(None))
    .order_by(repository_group.c.bucket)
)
_SET_BUCKETS = replacing(repository_bucket, "repository_id", "bucket", "digest")
_DROP_BUCKETS = Bulk(
    lambda _: delete(repository_bucket).where(
        repository_bucket.c.repository_id == _REPOSITORY,
        repository_bucket.c.bucket == bindparam("bucket_number"),
    ),
    *("of_repository", "bucket_number"),
)
_BUCKETS = select(repository_bucket.c.bucket, repository_bucket.c.digest).where(
    repository_bucket.c.repository_id == _REPOSITORY
)
_SET_LATEST = (
    update(repository)
    .where(repository.c.id == _REPOSITORY)
    .values(number=_NUMBER, digest=parameter("new", repository.c.digest))
)
_VERSION = plain(version, "repository_id", "number", "digest", "created_at", "provenance")

# -- what to remember of the sources
_SOURCES = replacing(source_state, "repository_id", "source", "validator", "selection")
_COMMITTED = ("repository_id", "source", "name", "validator", "selection", "reconsider_at")
_FORGET = delete(source_group).where(
    source_group.c.repository_id == _REPOSITORY,
    exists(
        select(1)
        .join_from(stage_group, repository_group, repository_group.c.id == stage_group.c.group_id)
        .where(stage_group.c.stage_id == _STAGE, ~stage_group.c.remember)
        .where(
            stage_group.c.source == source_group.c.source,
            repository_group.c.name == source_group.c.name,
        )
    ),
)


class Stage:
    """A commit in preparation. As a context manager it discards on the way out what was not
    committed.
    """

    def __init__(self, writing: Engine, id_: int, repository_id: int) -> None:
        self._writing = writing
        self._id = id_
        self._repository_id = repository_id
        self._done = False

    def add(self, groups: Sequence[StagedGroup], members: Sequence[StagedMember]) -> None:
        """Stage groups, and members of these or of groups staged before, under the same source.
        Call it as often as needed.

        Raises StateFault when a member's unit was never recorded or its group not staged; nothing
        of the call is staged then.
        """
        id_, repository_id = self._id, self._repository_id
        try:
            with self._writing.begin() as connection:
                _GROUPS(
                    connection,
                    [
                        (repository_id, name, bucket_of(name))
                        for name in dict.fromkeys(group.name for group in groups)
                    ],
                )
                _STAGE_GROUPS(
                    connection, [_group_row(id_, repository_id, group) for group in groups]
                )
                rows = [
                    (id_, repository_id, m.group, m.source, m.unit.raw, m.joins) for m in members
                ]
                _STAGE_MEMBERS(
                    connection, sorted(rows)
                )  # units that were recorded together lie together
        except IntegrityError as error:
            raise self._refusal(groups, members) from error

    def commit(
        self,
        provenance: Mapping[str, object],
        sources: Mapping[str, CommittedSource],
        now: datetime,
        scratchpads: Mapping[str, Any] = MappingProxyType({}),
        seen: Mapping[str, Digest | None] = MappingProxyType({}),
    ) -> CommitResult:
        """Compare and swap, in one transaction. The same content makes no version, and nothing
        staged neither; what is to be remembered of `sources`, of the groups, and in `scratchpads`
        (by owner, as in `set_scratchpads`) is recorded all the same. `seen`: the notes that these
        replace, by owner, as `noted` names them.

        Raises Conflict naming the groups, or the note, that are no longer what the plan saw, and
        StateFault when bytes of a joining unit are neither stored nor to be had anywhere; nothing
        has changed then.
        """
        with self._writing.begin() as connection:
            latest = self._check(connection)
            result = self._swap(connection, latest, now, provenance)
            self._remember(connection, sources)
            write_scratchpads(connection, self._repository_id, scratchpads, seen)
        self.discard()
        return result

    def leave_out_moved(self) -> set[tuple[str, str]]:
        """Unstage the groups that are no longer what the caller saw, so that the others can be
        committed; (group, source) of each.
        """
        found: set[tuple[str, str]] = set()
        with self._writing.begin() as connection:
            for batch in batches(
                connection.execute(_MOVED_IDS, {"of_stage": self._id}).scalars().all()
            ):
                rows = connection.execute(_STAGED_FOR, {"of_stage": self._id, "groups": batch})
                found.update((name, source) for name, source in rows)
                for table in (stage_member, stage_group):
                    connection.execute(
                        delete(table).where(
                            table.c.stage_id == self._id, table.c.group_id.in_(batch)
                        )
                    )
        return found

    def discard(self) -> None:
        """Forget what is staged. May be called at any time, any number of times."""
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
        known: set[bytes] = set()
        with self._writing.connect() as connection:
            for batch in batches({member.unit.raw for member in members}):
                known.update(connection.execute(_KNOWN_UNITS, {"digests": batch}).scalars())
        unknown = sorted(
            {
                f"`{member.unit.short}` of `{member.group}`"
                for member in members
                if member.unit.raw not in known
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
        latest = connection.execute(_LATEST, {"of_repository": self._repository_id}).one_or_none()
        if latest is None or connection.execute(_STAGED, {"of_stage": self._id}).first() is None:
            raise Conflict(
                "what was staged is gone: it was committed or discarded, or its repository was"
                " deleted",
                hint="plan again",
            )
        moved = list(connection.execute(_MOVED, {"of_stage": self._id}).scalars())
        if moved:
            raise Conflict(
                f"changed since they were planned: {_listed([f'`{name}`' for name in moved])}",
                hint="plan again",
            )
        missing = connection.execute(_WITHOUT_BYTES, {"of_stage": self._id}).all()
        if missing:
            parts = _listed([f"`{path}` of `{key}`" for key, path in missing])
            raise StateFault(
                "units cannot join a version before their bytes are stored or some remote has"
                f" them: {parts}"
            )
        return latest[0], Digest(latest[1])

    def _swap(
        self,
        connection: Connection,
        latest: tuple[int, Digest],
        now: datetime,
        provenance: Mapping[str, object],
    ) -> CommitResult:
        number, digest = latest
        values = {
            "of_repository": self._repository_id,
            "of_stage": self._id,
            "new_number": number + 1,
        }
        left = connection.execute(_LEAVE, values).rowcount
        joined = connection.execute(_JOIN, values).rowcount
        if not left and not joined:
            return CommitResult(number, digest, False)
        new = self._digest(connection)
        if new == digest:
            back = {
                "of_repository": self._repository_id,
                "new_number": number,
                "next_number": number + 1,
            }
            for statement in (_NEVER_WAS, _LEFT_BEFORE, _JOINED_BEFORE):
                connection.execute(statement, back)
            return CommitResult(number, digest, False)
        connection.execute(
            _SET_LATEST,
            {"of_repository": self._repository_id, "new_number": number + 1, "new": new.raw},
        )
        _VERSION(connection, [(self._repository_id, number + 1, new.raw, now, to_json(provenance))])
        return CommitResult(number + 1, new, True)

    def _digest(self, connection: Connection) -> Digest:
        """Of the version, once the digests of touched groups and buckets are up to date."""
        touched = connection.execute(_TOUCHED, {"of_stage": self._id}).all()
        rows = connection.execute(
            _CONTENT, {"of_stage": self._id}, execution_options={"yield_per": STREAM}
        )
        digests = {
            id_: group_digest(Digest(row[1]) for row in units).raw
            for id_, units in groupby(rows, key=lambda row: row[0])
        }
        _SET_GROUPS(connection, [(digests.get(id_), id_) for id_, _ in touched])
        buckets = {bucket for _, bucket in touched}
        filled: list[Row] = []
        for batch in batches(sorted(buckets)):
            groups = connection.execute(
                _BUCKET, {"of_repository": self._repository_id, "buckets": batch}
            )
            filled += [
                (self._repository_id, number, bucket_digest(Digest(row[1]) for row in members).raw)
                for number, members in groupby(groups, key=lambda row: row[0])
            ]
        _SET_BUCKETS(connection, filled)
        _DROP_BUCKETS(
            connection,
            [(self._repository_id, number) for number in buckets - {row[1] for row in filled}],
        )
        return version_digest(
            (row[0], Digest(row[1]))
            for row in connection.execute(_BUCKETS, {"of_repository": self._repository_id})
        )

    def _remember(self, connection: Connection, sources: Mapping[str, CommittedSource]) -> None:
        values = {"of_repository": self._repository_id, "of_stage": self._id}
        _SOURCES(
            connection,
            [
                (self._repository_id, name, source.validator, to_raw(source.selection))
                for name, source in sources.items()
            ],
        )
        connection.execute(_FORGET, values)
        remembered = select(
            _REPOSITORY,
            *(
                stage_group.c.source,
                repository_group.c.name,
                stage_group.c.validator,
                stage_group.c.selection,
                stage_group.c.reconsider_at,
            ),
        )
        remembered = remembered.join_from(
            stage_group, repository_group, repository_group.c.id == stage_group.c.group_id
        )
        remembered = remembered.where(stage_group.c.stage_id == _STAGE, stage_group.c.remember)
        recorded = insert_for(connection.dialect.name, source_group).from_select(
            _COMMITTED, remembered
        )
        connection.execute(overwriting(recorded, _COMMITTED[:3], _COMMITTED), values)


class CommitWrites(Writing):
    """The only way to a new version."""

    def stage(self, repository_id: int) -> Stage:
        """Begin a commit. What dead processes of this host had staged is swept away."""
        me = this_process()
        with self._writing.begin() as connection:
            found = connection.execute(
                select(stage.c.id, stage.c.host, stage.c.pid, stage.c.process_start)
            )
            _sweep(
                connection,
                [id_ for id_, host, pid, start in found if Process(host, pid, start).gone],
            )
            row = {
                "repository_id": repository_id,
                "host": me.host,
                "pid": me.pid,
                "process_start": me.start,
            }
            id_ = connection.execute(insert(stage).values(row).returning(stage.c.id)).scalar_one()
        return Stage(self._writing, id_, repository_id)


def _group_row(stage_id: int, repository_id: int, group: StagedGroup) -> Row:
    start = (stage_id, repository_id, group.name, group.source, to_raw(group.was))
    if group.committed is None:
        return (*start, False, None, None, None)
    return (
        *start,
        True,
        group.committed.validator,
        group.committed.selection.raw,
        group.committed.reconsider_at,
    )


def _sweep(connection: Connection, ids: Sequence[int]) -> None:
    for table, column in (
        (stage_member, stage_member.c.stage_id),
        (stage_group, stage_group.c.stage_id),
        (stage, stage.c.id),
    ):
        if ids:
            connection.execute(delete(table).where(column.in_(ids)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
