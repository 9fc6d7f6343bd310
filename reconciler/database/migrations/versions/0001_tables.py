"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.database.columns import Identity, Moment, Name

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything. What refers comes after what it refers to."""
    _resources()
    _content()
    _repositories()
    _memberships()
    _stages()
    _publications()
    _entries()
    _operations()


def _resources() -> None:
    op.create_table(
        "resource",
        sa.Column("id", Identity, nullable=False),
        sa.Column("kind", Name, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("publisher", sa.Text(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_resource_kind_name")),
        sqlite_autoincrement=True,
    )


def _content() -> None:
    op.create_table(
        "unit",
        sa.Column("id", Identity, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("type", Name, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("key", Name, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        sa.UniqueConstraint("digest", name=op.f("uq_unit_digest")),
    )
    op.create_table(
        "artifact",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=True),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_artifact")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "unit_artifact",
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("path", Name, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifact.sha256"], name=op.f("fk_unit_artifact_sha256_artifact")
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["unit.id"], name=op.f("fk_unit_artifact_unit_id_unit")
        ),
        sa.PrimaryKeyConstraint("unit_id", "path", name=op.f("pk_unit_artifact")),
        sqlite_with_rowid=False,
    )


def _repositories() -> None:
    op.create_table(
        "repository",
        sa.Column("id", Identity, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["resource.id"], name=op.f("fk_repository_id_resource")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository")),
    )
    op.create_table(
        "repository_group",
        sa.Column("id", Identity, nullable=False),
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_repository_group_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repository_group")),
        sa.UniqueConstraint(
            "repository_id", "name", name=op.f("uq_repository_group_repository_id_name")
        ),
    )
    op.create_index(
        op.f("ix_repository_group_repository_id_bucket"),
        "repository_group",
        ["repository_id", "bucket"],
        unique=False,
    )
    op.create_table(
        "repository_bucket",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_repository_bucket_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "bucket", name=op.f("pk_repository_bucket")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "version",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_version_repository_id_repository")
        ),
        sa.PrimaryKeyConstraint("repository_id", "number", name=op.f("pk_version")),
    )
    op.create_index(
        op.f("ix_version_repository_id_digest"),
        "version",
        ["repository_id", "digest"],
        unique=False,
    )


def _memberships() -> None:
    op.create_table(
        "membership",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("group_id", Identity, nullable=False),
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["repository_group.id"],
            name=op.f("fk_membership_group_id_repository_group"),
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_membership_repository_id_repository"),
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_membership_unit_id_unit")),
        sa.PrimaryKeyConstraint(
            "repository_id", "unit_id", "source", "added", name=op.f("pk_membership")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_membership_group_id_removed"), "membership", ["group_id", "removed"], unique=False
    )
    op.create_index(
        op.f("ix_membership_repository_id_added"),
        "membership",
        ["repository_id", "added"],
        unique=False,
    )
    op.create_index(
        op.f("ix_membership_repository_id_removed"),
        "membership",
        ["repository_id", "removed"],
        unique=False,
        sqlite_where=sa.text("removed IS NOT NULL"),
    )
    op.create_table(
        "source_state",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("validator", sa.Text(), nullable=True),
        sa.Column("selection", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_source_state_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "source", name=op.f("pk_source_state")),
    )
    op.create_table(
        "source_group",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("validator", sa.Text(), nullable=True),
        sa.Column("selection", sa.LargeBinary(), nullable=False),
        sa.Column("reconsider_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_source_group_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "source", "name", name=op.f("pk_source_group")),
        sqlite_with_rowid=False,
    )


def _stages() -> None:
    op.create_table(
        "stage",
        sa.Column("id", Identity, nullable=False),
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_start", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_stage_repository_id_repository")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stage_group",
        sa.Column("stage_id", Identity, nullable=False),
        sa.Column("group_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("was", sa.LargeBinary(), nullable=True),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.Column("validator", sa.Text(), nullable=True),
        sa.Column("selection", sa.LargeBinary(), nullable=True),
        sa.Column("reconsider_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["repository_group.id"],
            name=op.f("fk_stage_group_group_id_repository_group"),
        ),
        sa.ForeignKeyConstraint(
            ["stage_id"], ["stage.id"], name=op.f("fk_stage_group_stage_id_stage")
        ),
        sa.PrimaryKeyConstraint("stage_id", "group_id", "source", name=op.f("pk_stage_group")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stage_member",
        sa.Column("stage_id", Identity, nullable=False),
        sa.Column("group_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("joins", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["stage_id", "group_id", "source"],
            ["stage_group.stage_id", "stage_group.group_id", "stage_group.source"],
            name=op.f("fk_stage_member_stage_id_group_id_source_stage_group"),
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["unit.id"], name=op.f("fk_stage_member_unit_id_unit")
        ),
        sa.PrimaryKeyConstraint(
            "stage_id", "group_id", "source", "unit_id", name=op.f("pk_stage_member")
        ),
        sqlite_with_rowid=False,
    )


def _publications() -> None:
    op.create_table(
        "publication",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("version_digest", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("published_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["resource.id"], name=op.f("fk_publication_publication_id_resource")
        ),
        sa.PrimaryKeyConstraint("publication_id", "number", name=op.f("pk_publication")),
    )
    op.create_table(
        "publication_emitted",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_publication_emitted_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "group_name", name=op.f("pk_publication_emitted")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "page",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("gzip", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_page")),
    )
    op.create_table(
        "pointer",
        sa.Column("publication_id", Identity, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id", "number"],
            ["publication.publication_id", "publication.number"],
            name=op.f("fk_pointer_publication_id_number_publication"),
        ),
        sa.PrimaryKeyConstraint("publication_id", name=op.f("pk_pointer")),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", Identity, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
    )
    op.execute("INSERT INTO generation (id, value) VALUES (1, 0)")


def _entries() -> None:
    op.create_table(
        "publication_entry",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("path", Name, nullable=False),
        sa.Column("media_type", Name, nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("group_name", Name, nullable=True),
        sa.Column("page", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_publication_entry_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "path", "media_type", "added", name=op.f("pk_publication_entry")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_publication_entry_publication_id_added"),
        "publication_entry",
        ["publication_id", "added"],
        unique=False,
    )
    op.create_index(
        op.f("ix_publication_entry_publication_id_group_name_removed"),
        "publication_entry",
        ["publication_id", "group_name", "removed"],
        unique=False,
    )
    op.create_index(
        op.f("ix_publication_entry_publication_id_removed"),
        "publication_entry",
        ["publication_id", "removed"],
        unique=False,
        sqlite_where=sa.text("removed IS NOT NULL"),
    )


def _operations() -> None:
    op.create_table(
        "lease",
        sa.Column("name", Name, nullable=False),
        sa.Column("epoch", Identity, nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_start", sa.Text(), nullable=False),
        sa.Column("acquired_at", Moment(), nullable=False),
        sa.Column("heartbeat_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "run",
        sa.Column("id", Identity, nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("plan_digest", sa.LargeBinary(), nullable=True),
        sa.Column("manifest_digest", sa.LargeBinary(), nullable=True),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("outcomes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
