"""Marks: what a repository says of content that it holds, whatever its sources say."""

from __future__ import annotations

from datetime import datetime

import msgspec

YANK = "yank"
"""Kind of marks: installers choose something else."""

STATUS = "status"
"""Kind of marks: the status of a group."""

ACTIVE, QUARANTINED_STATUS = "active", "quarantined"  # statuses that the core knows


class Mark(msgspec.Struct, frozen=True):
    """One statement about content.

    `kind`: `yank` (installers should choose something else) or `status` (of a whole name).
    `what`: the content that is meant, as its plugin reads it. `groups`: the names of groups that it
    may lie in. `value`: a status; empty for a yank. `reason`: for people, may be empty.
    """

    kind: str
    what: str
    groups: tuple[str, ...] = ()
    value: str = ""
    reason: str = ""


class MarkRecord(msgspec.Struct, frozen=True):
    """A mark that was made by hand: who made it, and when."""

    mark: Mark
    principal: str
    made_at: datetime
