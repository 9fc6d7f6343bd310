"""Tables of what publications fetch from the remotes behind them.

`schema` is all tables, these among them.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    text,
)

from reconciler.database.columns import Identity, Moment, Name
from reconciler.database.content_tables import CLUSTERED, metadata

# What publications fetched from the remotes behind them. `checked_at`: when upstream last answered;
# `due_at`: from when on it is asked again; `changed_at`: since when the content is what it is;
# `basis`: what rules and rendering it rests on; `content`: null where upstream has nothing;
# `pending`: no version holds it as it is yet.
pulled_group = Table(
    "pulled_group",
    metadata,
    Column("publication_id", Identity, ForeignKey("resource.id"), nullable=False),
    Column("group_name", Name, nullable=False),
    Column("checked_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("basis", LargeBinary, nullable=False),
    Column("content", LargeBinary),
    Column("pending", Boolean, nullable=False),
    PrimaryKeyConstraint("publication_id", "group_name"),
)
Index(
    "ix_pulled_group_pending",
    pulled_group.c.publication_id,
    sqlite_where=text("pending"),
)

# Rendered pages of these groups.
pulled_page = Table(
    "pulled_page",
    metadata,
    Column("publication_id", Identity, nullable=False),
    Column("group_name", Name, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("publication_id", "group_name", "digest"),
    ForeignKeyConstraint(
        ["publication_id", "group_name"],
        ["pulled_group.publication_id", "pulled_group.group_name"],
        ondelete="CASCADE",
    ),
    **CLUSTERED,
)

# Files that a publication fetched for clients, and when one last asked for each.
pulled_file = Table(
    "pulled_file",
    metadata,
    Column("publication_id", Identity, ForeignKey("resource.id"), nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Identity, nullable=False),
    Column("used_at", Moment, nullable=False),
    PrimaryKeyConstraint("publication_id", "sha256"),
    **CLUSTERED,
)
Index("ix_pulled_file_used_at", pulled_file.c.publication_id, pulled_file.c.used_at)
