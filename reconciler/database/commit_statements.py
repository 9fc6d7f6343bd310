"""Statements of a commit: staging, comparison, intervals, digests and committed sources."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, exists, insert, select, tuple_, update

from reconciler.database import unit_paths
from reconciler.database.bulk import (
    Bulk,
    ignoring,
    insert_for,
    listed,
    parameter,
    plain,
    replacing,
)
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

MAX_NAMED = 10  # culprits that a message names

STAGE = parameter("of_stage", stage.c.id)
REPOSITORY = parameter("of_repository", repository.c.id)
NUMBER = parameter("new_number", membership.c.added)

# -- staging
GROUP_ID = (
    select(repository_group.c.id)
    .where(
        repository_group.c.repository_id == REPOSITORY,
        repository_group.c.name == bindparam("name"),
    )
    .scalar_subquery()
)
GROUPS = ignoring(repository_group, "repository_id", "name", "bucket")
STAGE_GROUPS = Bulk(
    lambda dialect: insert_for(dialect, stage_group).values(group_id=GROUP_ID),
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
        "offered",
        "delisted",
    ),
)
STAGE_MEMBERS = Bulk(
    lambda dialect: insert_for(dialect, stage_member).values(
        group_id=GROUP_ID,
        unit_id=select(unit.c.id).where(unit.c.digest == bindparam("digest")).scalar_subquery(),
    ),
    *("stage_id", "of_repository", "name", "source", "digest", "joins"),
)
KNOWN_UNITS = select(unit.c.digest).where(unit.c.digest.in_(listed("digests")))

# -- checking
LATEST = (
    select(repository.c.number, repository.c.digest)
    .where(repository.c.id == REPOSITORY)
    .with_for_update()
)
STAGED = select(stage.c.id).where(stage.c.id == STAGE)
MOVED = (
    select(repository_group.c.name)
    .join(stage_group, stage_group.c.group_id == repository_group.c.id)
    .where(
        stage_group.c.stage_id == STAGE,
        repository_group.c.digest.is_distinct_from(stage_group.c.was),
    )
    .order_by(repository_group.c.name)
    .distinct()
)
MOVED_IDS = (
    select(stage_group.c.group_id)
    .join(repository_group, repository_group.c.id == stage_group.c.group_id)
    .where(
        stage_group.c.stage_id == STAGE,
        repository_group.c.digest.is_distinct_from(stage_group.c.was),
    )
    .distinct()
)
STAGED_FOR = (
    select(repository_group.c.name, stage_group.c.source)
    .join(stage_group, stage_group.c.group_id == repository_group.c.id)
    .where(stage_group.c.stage_id == STAGE, stage_group.c.group_id.in_(listed("groups")))
)
WITHOUT_BYTES = (
    select(unit.c.key, unit_paths.OF_ARTIFACT)
    .join(stage_member, stage_member.c.unit_id == unit.c.id)
    .join(unit_artifact, unit_artifact.c.unit_id == unit.c.id)
    .join(artifact, artifact.c.sha256 == unit_artifact.c.sha256)
    .where(stage_member.c.stage_id == STAGE, stage_member.c.joins, ~artifact.c.stored)
    .where(~exists(select(1).where(artifact_origin.c.sha256 == artifact.c.sha256)))
    .order_by(unit.c.key, unit_paths.OF_ARTIFACT)
    .limit(MAX_NAMED)
)

# -- intervals
OPEN = (membership.c.repository_id == REPOSITORY) & membership.c.removed.is_(None)
LEAVE = (
    update(membership)
    .where(OPEN)
    .where(
        exists(
            select(1).where(
                stage_member.c.stage_id == STAGE,
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
                stage_member.c.stage_id == STAGE, ~stage_member.c.joins
            )
        )
    )
    .values(removed=NUMBER)
)
JOIN = insert(membership).from_select(
    ["repository_id", "group_id", "unit_id", "source", "added"],
    select(
        REPOSITORY,
        stage_member.c.group_id,
        stage_member.c.unit_id,
        stage_member.c.source,
        NUMBER,
    ).where(
        stage_member.c.stage_id == STAGE,
        stage_member.c.joins,
        ~exists(
            select(1).where(
                OPEN,
                membership.c.unit_id == stage_member.c.unit_id,
                membership.c.source == stage_member.c.source,
            )
        ),
    ),
)
NEVER_WAS = delete(membership).where(
    membership.c.repository_id == REPOSITORY,
    membership.c.removed == bindparam("next_number"),
    membership.c.added == NUMBER,
)
LEFT_BEFORE = (
    update(membership)
    .where(
        membership.c.repository_id == REPOSITORY, membership.c.removed == bindparam("next_number")
    )
    .values(removed=NUMBER)
)
JOINED_BEFORE = (
    update(membership)
    .where(membership.c.repository_id == REPOSITORY, membership.c.added == bindparam("next_number"))
    .values(added=NUMBER)
)

# -- digests
TOUCHED_IDS = select(stage_member.c.group_id).where(stage_member.c.stage_id == STAGE)
TOUCHED = select(repository_group.c.id, repository_group.c.bucket).where(
    repository_group.c.id.in_(TOUCHED_IDS)
)
CONTENT = (
    select(membership.c.group_id, unit.c.digest)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(membership.c.group_id.in_(TOUCHED_IDS), membership.c.removed.is_(None))
    .order_by(membership.c.group_id)
)
SET_GROUPS = Bulk(
    lambda _: (
        update(repository_group)
        .where(repository_group.c.id == bindparam("group_id"))
        .values(digest=parameter("new", repository_group.c.digest))
    ),
    *("new", "group_id"),
)
BUCKET = (
    select(repository_group.c.bucket, repository_group.c.digest)
    .where(
        repository_group.c.repository_id == REPOSITORY,
        repository_group.c.bucket.in_(listed("buckets")),
    )
    .where(repository_group.c.digest.is_not(None))
    .order_by(repository_group.c.bucket)
)
SET_BUCKETS = replacing(repository_bucket, "repository_id", "bucket", "digest")
DROP_BUCKETS = Bulk(
    lambda _: delete(repository_bucket).where(
        repository_bucket.c.repository_id == REPOSITORY,
        repository_bucket.c.bucket == bindparam("bucket_number"),
    ),
    *("of_repository", "bucket_number"),
)
BUCKETS = select(repository_bucket.c.bucket, repository_bucket.c.digest).where(
    repository_bucket.c.repository_id == REPOSITORY
)
SET_LATEST = (
    update(repository)
    .where(repository.c.id == REPOSITORY)
    .values(number=NUMBER, digest=parameter("new", repository.c.digest))
)
VERSION = plain(version, "repository_id", "number", "digest", "created_at", "provenance")

# -- what to remember of the sources
SOURCES = replacing(source_state, "repository_id", "source", "validator", "selection")
COMMITTED = (
    *("repository_id", "source", "name", "validator", "selection", "reconsider_at"),
    "offered",
)
FORGET = delete(source_group).where(
    source_group.c.repository_id == REPOSITORY,
    # Not EXISTS: every group of the sources would be looked at.
    tuple_(source_group.c.source, source_group.c.name).in_(
        select(stage_group.c.source, repository_group.c.name)
        .join_from(stage_group, repository_group, repository_group.c.id == stage_group.c.group_id)
        .where(stage_group.c.stage_id == STAGE, ~stage_group.c.remember)
    ),
)
REMEMBERED = (
    select(
        REPOSITORY,
        stage_group.c.source,
        repository_group.c.name,
        stage_group.c.validator,
        stage_group.c.selection,
        stage_group.c.reconsider_at,
        stage_group.c.offered,
    )
    .join_from(stage_group, repository_group, repository_group.c.id == stage_group.c.group_id)
    .where(stage_group.c.stage_id == STAGE, stage_group.c.remember)
)
