"""Units that a publication dates by when they were first seen, because nothing else dates them.

First sights are recorded by sha256 and never change (`run/first_sights`), so that what is shown is
stable; they are part of a publication's identity, and of no version's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.publishing.version_view import READ_AHEAD, RepositoryVersion, Units
from reconciler.engine.session.session import Session
from reconciler.engine.sources.selection import sight_digest, with_first_seen
from reconciler.errors import PluginFault
from reconciler.model import Digest, Publication, StoredUnit


class FirstSeenUnits:
    """The units that a publication dates by their first sights. False where there cannot be any.

    Runs plugin code: call it in a worker thread. A first sight that is not recorded yet is now, and
    is noted to be recorded. Raises PluginFault where the publisher breaks its contract.
    """

    def __init__(self, session: Session, publication: Publication) -> None:
        self._session = session
        self._call = f"`needs_first_seen` of publisher `{publication.publisher}`"
        publisher: Any = session.registry.publisher(publication.publisher).cls
        with plugin_faults(self._call):
            is_undated: Any = publisher.needs_first_seen(publication.options)
            if is_undated is not None and not callable(is_undated):
                raise PluginFault(
                    f"it returns a function or None, not {is_undated.__class__.__name__}"
                )
        self._needs_first_seen: Callable[[StoredUnit], bool] | None = is_undated

    def __bool__(self) -> bool:
        return self._needs_first_seen is not None

    def digest(self, version: RepositoryVersion) -> Digest | None:
        """Return the digest of the first sights that a version shows; None where it shows none.

        Reads all units of the version, unless the publication dates none in any case.
        """
        if not self:
            return None
        rows = [
            [group, unit.key, sight.hex, moment.isoformat()]
            for units in self._read(version)
            for group, unit, sight, moment in self._sights(units)
        ]
        return Digest.of_value(rows) if rows else None

    def with_first_seen(self, units: Units) -> Units:
        """Return the units, with `_firstSeen` in the metadata of those that are dated so."""
        moments = {id(unit): moment for _, unit, _, moment in self._sights(units)}
        return {
            group: [
                with_first_seen(unit, moments[id(unit)]) if id(unit) in moments else unit
                for unit in members
            ]
            for group, members in units.items()
        }

    def _read(self, version: RepositoryVersion) -> Iterator[Units]:
        """Yield the units of a version, some groups at a time, in the order of their names."""
        reader, id_, number = self._session.reader, version.repository_id, version.number
        names = list(reader.group_names(id_, number))
        for start in range(0, len(names), READ_AHEAD):
            yield reader.units(id_, number, names[start : start + READ_AHEAD])

    def _sights(self, units: Units) -> list[tuple[str, StoredUnit, Digest, datetime]]:
        """Return the undated units, by group and in their order, with their first sights."""
        sights = [
            (group, unit, digest)
            for group in sorted(units)
            for unit in units[group]
            if self._is_dated_so(unit) and (digest := sight_digest(unit)) is not None
        ]
        moments = self._session.first_sights.moments(
            self._session.reader,
            {digest for _, _, digest in sights},
            self._session.clock(),
        )
        return [(*sight, moments[sight[2]].astimezone(UTC)) for sight in sights]

    def _is_dated_so(self, unit: StoredUnit) -> bool:
        if self._needs_first_seen is None:
            return False
        with plugin_faults(self._call):
            return bool(self._needs_first_seen(unit))
