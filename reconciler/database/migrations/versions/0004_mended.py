"""Facts beside the content: what the store lost, true sizes, URLs that the page must give again."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add tables and columns that may be empty or have a default; rewrite no row."""
