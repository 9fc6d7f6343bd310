"""Groups that upstream withdrew: it has them, and offers nothing of them (a quarantine, PEP 792).

So are those that people have put into quarantine here, whichever source brought them.

A withdrawal reaches whatever shows the group, as a deny does: pinned versions, repositories that
keep what upstream removes, and copies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from reconciler.database import QUARANTINED as QUARANTINED
from reconciler.database import WITHDRAWN, WITHDRAWN_GONE, Reader
from reconciler.model import UPLOAD, SourceKind
from reconciler.plan import ContentChanges

_COPIED = f"{SourceKind.REPOSITORY.value}:"


class Withdrawals:
    """Look up what upstream withdrew, by repository and source.

    Args:
        planned: What a plan finds out about repositories, by name, before it is recorded.
    """

    def __init__(self, reader: Reader, planned: Mapping[str, ContentChanges] | None = None) -> None:
        self._reader = reader
        self._planned = planned or {}

    def of(self, name: str, behind: Collection[str] = ()) -> dict[str, set[str]]:
        """Return the withdrawn groups of a repository by the ID of the source that brought them.

        What was copied is withdrawn where it is withdrawn in the repository that it came from.
        """
        repository_id = self._ids.get(name)
        if repository_id is None or name in behind:
            return {}
        groups = self._reader.withdrawn_groups(repository_id)
        quarantined = self._reader.quarantined_by_hand(repository_id)
        content = self._planned.get(name)
        if content is not None:
            groups = _as_planned(groups, content)
        for source in {*self._reader.committed_sources(repository_id), UPLOAD}:
            groups.setdefault(source, set()).update(quarantined)
            if source.startswith(_COPIED):
                copied = self.of(source.removeprefix(_COPIED), (*behind, name))
                groups.setdefault(source, set()).update(*copied.values())
        return {source: names for source, names in groups.items() if names}

    @cached_property
    def _ids(self) -> dict[str, int]:
        return self._reader.repository_ids()


def _as_planned(groups: Mapping[str, set[str]], content: ContentChanges) -> dict[str, set[str]]:
    """Return recorded withdrawals, without those that a plan ends, and with those that it finds."""
    after = {
        source: {name for name in names if not _ends(content, source, name)}
        for source, names in groups.items()
    }
    for source, names in content.withdrawn.items():
        after.setdefault(source, set()).update(names)
    return after


def _ends(content: ContentChanges, source: str, name: str) -> bool:
    return any(
        change.head.source == source and change.head.validator not in (WITHDRAWN, WITHDRAWN_GONE)
        for change in content.spool.of(name)
    )


def still_shown(
    reader: Reader, repository_id: int, number: int, *, withdrawn: Mapping[str, Collection[str]]
) -> list[str]:
    """Return the withdrawn groups that a version of a repository holds, in name order.

    Args:
        withdrawn: Groups by the ID of the source that brought them.
    """
    names = sorted(set().union(*withdrawn.values()))
    held = reader.sourced_units(repository_id, number, names) if names else {}
    return [
        name
        for name, units in held.items()
        if any(name in withdrawn.get(unit.source, ()) for unit in units)
    ]
