"""Facts beside the content: what the store lost, true sizes, URLs that the page must give again."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

from reconciler.database.columns import Identity, Moment, Name

_USER = re.compile(r"^(https?://)[^/?#]*@", re.IGNORECASE)

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add tables and columns that may be empty or have a default.

    No row is rewritten but those whose URL may hold a secret.
    """
    op.add_column("stage", sa.Column("begun_at", Moment(), nullable=True))
    op.create_table(
        "damage",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("found_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifact.sha256"], name=op.f("fk_damage_sha256_artifact")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_damage")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_source_group_withdrawn",
        "source_group",
        ["repository_id", "source", "name"],
        unique=False,
        sqlite_where=sa.text("validator IN ('withdrawn', 'withdrawn and gone')"),
        postgresql_where=sa.text("validator IN ('withdrawn', 'withdrawn and gone')"),
    )
    op.create_table(
        "first_seen",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_first_seen")),
        sqlite_with_rowid=False,
    )
    op.add_column("resource", sa.Column("grace", sa.Integer(), nullable=True))
    op.add_column("publication", sa.Column("pointed_at", Moment(), nullable=True))
    op.add_column(
        "publication_entry",
        sa.Column("lingers", sa.Boolean(), nullable=False, server_default="0"),
    )
    op.create_table(
        "derived_artifact",
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("path", Name, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("container", sa.LargeBinary(), nullable=True),
        sa.Column("seq", Identity, nullable=False),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["unit.id"],
            name=op.f("fk_derived_artifact_unit_id_unit"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifact.sha256"], name=op.f("fk_derived_artifact_sha256_artifact")
        ),
        sa.PrimaryKeyConstraint("unit_id", "path", name=op.f("pk_derived_artifact")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_derived_artifact_seq"), "derived_artifact", ["seq"], unique=False)
    op.add_column(
        "repository", sa.Column("derived", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("publication", sa.Column("derived", sa.LargeBinary(), nullable=True))
    op.add_column(
        "publication", sa.Column("derived_seq", Identity, server_default="0", nullable=False)
    )
    op.add_column("publication", sa.Column("first_seen", sa.LargeBinary(), nullable=True))
    op.add_column(
        "artifact_origin",
        sa.Column("needs_page", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("stage_group", sa.Column("delisted", sa.Text(), nullable=True))
    _create_delisted_unit()
    _cut_urls()


def _create_delisted_unit() -> None:
    keys = {"repository_id": "repository", "group_id": "repository_group", "unit_id": "unit"}
    op.create_table(
        "delisted_unit",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("source", Name, nullable=False),
        sa.Column("group_id", Identity, nullable=False),
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_delisted_unit_{column}_{table}")
            )
            for column, table in keys.items()
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "source", "group_id", "unit_id", name=op.f("pk_delisted_unit")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_delisted_unit_repository_id_removed"),
        "delisted_unit",
        ["repository_id", "removed"],
    )


def _cut_urls() -> None:
    """Leave queries and user info out of recorded URLs."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":  # what is cut must not stay in the file
        connection.execute(sa.text("PRAGMA secure_delete = ON"))
    origin = sa.table(
        "artifact_origin",
        sa.column("sha256", sa.LargeBinary()),
        sa.column("remote"),
        sa.column("url"),
        sa.column("needs_page", sa.Boolean()),
    )
    secret = sa.or_(origin.c.url.like("http%?%"), origin.c.url.like("http%@%"))
    query = sa.select(origin.c.sha256, origin.c.remote, origin.c.url).where(secret)
    for sha256, remote, url in connection.execute(query).all():
        bare = _USER.sub(r"\1", url.partition("?")[0])
        if bare != url:
            connection.execute(
                origin.update()
                .where(origin.c.sha256 == sha256, origin.c.remote == remote)
                .values(url=bare, needs_page=True)
            )
