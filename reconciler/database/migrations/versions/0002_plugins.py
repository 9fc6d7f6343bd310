"""What plugins attach to repositories and note there, where bytes can be had, and which groups of a
source are due.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.database.columns import Identity, Name

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Nothing that is there is rewritten: a column with a default, two tables, two indexes."""
    op.add_column("resource", sa.Column("folder", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "artifact_origin",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("remote", Name, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifact.sha256"], name=op.f("fk_artifact_origin_sha256_artifact")
        ),
        sa.PrimaryKeyConstraint("sha256", "remote", name=op.f("pk_artifact_origin")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "repository_plugin",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("owner", Name, nullable=False),
        sa.Column("attached", sa.Boolean(), nullable=False),
        sa.Column("config", sa.LargeBinary(), nullable=True),
        sa.Column("scratchpad", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_repository_plugin_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "owner", name=op.f("pk_repository_plugin")),
    )
    due, incomplete = sa.text("reconsider_at IS NOT NULL"), sa.text("validator IS NULL")
    op.create_index(
        "ix_source_group_due",
        "source_group",
        ["repository_id", "source", "reconsider_at"],
        unique=False,
        sqlite_where=due,
        postgresql_where=due,
    )
    op.create_index(
        "ix_source_group_incomplete",
        "source_group",
        ["repository_id", "source", "validator"],
        unique=False,
        sqlite_where=incomplete,
        postgresql_where=incomplete,
    )
