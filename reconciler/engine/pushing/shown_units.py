"""Units that a publication shows: as it is recorded, or as a plan makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.database import Reader, WithheldUnit
from reconciler.engine.publishing.version_view import (
    RepositoryVersion,
    VersionView,
    withheld_units,
)
from reconciler.model import Digest, StoredUnit, stored_unit
from reconciler.plan import REFUSE, REMOVE, ContentChanges


class ShownUnits:
    """Units of a version without the withheld ones, and with what a plan changes of it.

    Args:
        content: What a plan changes before the version is shown; None where it changes nothing.
    """

    def __init__(
        self,
        reader: Reader,
        version: RepositoryVersion,
        withheld: Mapping[Digest, WithheldUnit],
        *,
        content: ContentChanges | None = None,
    ) -> None:
        hidden = withheld_units(withheld, withheld)
        self._hidden = hidden.units
        self._view = VersionView(reader, version, before=None, withheld=hidden)
        self._content = content

    @classmethod
    def recorded(cls, reader: Reader, repository_id: int, publication_id: int) -> ShownUnits | None:
        """Return what a publication shows now; None where it shows nothing."""
        record = reader.publication(publication_id)
        if record is None:
            return None
        version = RepositoryVersion(repository_id, record.version, record.version_digest)
        return cls(reader, version, reader.withheld(publication_id, record.number))

    def groups(self) -> Iterator[str]:
        """Yield the names of groups, in name order but for new ones, which come last."""
        new = set(self._content.spool.names()) if self._content is not None else set()
        for name in self._view.groups():
            new.discard(name)
            yield name
        yield from sorted(new)

    def units(self, group: str) -> list[StoredUnit]:
        """Return the units of a group, by type and key."""
        units = self._view.units(group)
        if self._content is None or group not in self._content.spool.names():
            return units
        return self._changed(self._content, group, units)

    def _changed(
        self, content: ContentChanges, group: str, units: list[StoredUnit]
    ) -> list[StoredUnit]:
        held = {(unit.type, unit.key): unit for unit in units}
        for change in content.spool.of(group):
            for line in change.lines:
                if line.op == REMOVE:
                    held.pop((line.type, line.key), None)
                elif line.op != REFUSE and line.body:
                    held[line.type, line.key] = stored_unit(bytes(line.body))
        for key in self._hidden.get(group, ()):
            held.pop(key, None)
        return [held[key] for key in sorted(held)]
