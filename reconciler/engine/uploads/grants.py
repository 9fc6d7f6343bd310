"""The names that a client may change."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.errors import OutOfScope
from reconciler.model import Grant


def check_grant(grant: Grant, groups: Iterable[str]) -> None:
    """Raise OutOfScope for a name that the client may not change."""
    for group in groups:
        if not grant.covers(group):
            raise OutOfScope(
                f"`{group}` is none of the projects of `{grant.principal}`",
                hint=f"its `projects`: {', '.join(grant.projects)}",
            )
