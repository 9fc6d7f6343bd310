"""What filters keep out of publications, and by which rules that was decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.database.columns import Identity, Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing that is there is rewritten: four columns that may be empty or have a default, and a
    table.
    """
    op.add_column("publication", sa.Column("rules", sa.LargeBinary(), nullable=True))
    op.add_column("publication", sa.Column("withheld", sa.LargeBinary(), nullable=True))
    op.add_column(
        "publication", sa.Column("withheld_units", Identity, server_default="0", nullable=False)
    )
    op.add_column("publication", sa.Column("reconsider_at", Moment(), nullable=True))
    op.create_table(
        "publication_withheld",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("unit_id", Identity, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_publication_withheld_publication_id_resource"),
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["unit.id"], name=op.f("fk_publication_withheld_unit_id_unit")
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "unit_id", "added", name=op.f("pk_publication_withheld")
        ),
        sqlite_with_rowid=False,
    )
