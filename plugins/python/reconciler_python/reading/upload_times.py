"""Upload times as upstream states them (PEP 700)."""

from __future__ import annotations

from datetime import UTC, datetime


def upload_time(text: object) -> datetime | None:
    """Return a time of ISO 8601 in UTC; None when it is missing or cannot be read.

    Without a zone it is UTC (PEP 700).
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
