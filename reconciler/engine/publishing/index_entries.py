"""Entries of whole-repository indexes: which ones join and leave with the groups that differ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from reconciler.database import EntryKey, NewEntry, StagedIndexes
from reconciler.errors import PluginFault
from reconciler.model import StoredUnit, is_usable_name
from reconciler.plugin import Publisher
from reconciler.plugin.indexes import KEY_SEPARATOR

GROUPS_AT_ONCE = 200
UNITS_AT_ONCE = 2_000
BYTES_AT_ONCE = 8 * 1024 * 1024  # of entries that join, which wait in memory
UNIT_BYTES = 16  # of the digest by which an entry knows its unit


def has_indexes(publisher: type[Publisher]) -> bool:
    """Return True for a publisher that has whole-repository indexes."""
    inherited: Any = Publisher.indexes_of
    own: Any = publisher.indexes_of
    return own.__func__ is not inherited.__func__


class IndexEntries:
    """Compares the units of groups, as they are shown, with the entries that are kept of them.

    Runs plugin code. `changed`: names of indexes of which an entry joined or left.
    """

    def __init__(self, publisher: type[Publisher], options: Any, staged: StagedIndexes) -> None:
        self._publisher = publisher
        self._options = options
        self._staged = staged
        self._groups: dict[str, Sequence[StoredUnit]] = {}
        self._units = 0
        self.changed: set[str] = set()

    def add_group(self, name: str, units: Sequence[StoredUnit]) -> None:
        """Take the units that a group shows from now on."""
        self._groups[name] = units
        self._units += len(units)
        if len(self._groups) >= GROUPS_AT_ONCE or self._units >= UNITS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what the groups taken so far change."""
        before = self._staged.entries_of(list(self._groups))
        joining: list[NewEntry] = []
        leaving: list[EntryKey] = []
        size = 0
        for name, units in self._groups.items():
            kept = before.get(name, [])
            known = {key.unit for key in kept}
            shown = {_identity(unit): unit for unit in units}
            leaving += [key for key in kept if key.unit not in shown]
            for identity, unit in shown.items():
                if identity not in known:
                    for entry in self._entries(name, unit, identity):
                        joining.append(entry)
                        size += len(entry.body)
                if size >= BYTES_AT_ONCE:
                    self._write(joining, leaving)
                    joining, leaving, size = [], [], 0
        self._write(joining, leaving)
        self._groups, self._units = {}, 0

    def _write(self, joining: Sequence[NewEntry], leaving: Sequence[EntryKey]) -> None:
        if joining or leaving:
            self._staged.change(joining, leaving)
        self.changed.update(entry.key.index for entry in joining)
        self.changed.update(key.index for key in leaving)

    def _entries(self, group: str, unit: StoredUnit, identity: bytes) -> Iterable[NewEntry]:
        names = listed_names(self._publisher.indexes_of(unit, self._options), "indexes_of")
        if not names:
            return
        key = _sort_key(self._publisher.sort_key(unit, self._options))
        for name in dict.fromkeys(names):
            if not is_usable_name(name):
                raise PluginFault(
                    f"`indexes_of` gives unit `{unit.key}` the unusable name {name!r:.80}",
                    hint="1 to 1,024 printable characters",
                )
            body = self._publisher.entry_of(unit, name, self._options)
            if type(body) is not bytes:
                raise PluginFault(
                    f"`entry_of` returns {type(body).__name__}, not bytes, for unit `{unit.key}`",
                    hint="encode a text: `.encode()`",
                )
            yield NewEntry(EntryKey(name, key, identity), group, body)


def listed_names(names: Any, method: str) -> list[Any]:
    """Return names of indexes as a list.

    Raises PluginFault for a single text, whose letters would be taken for names, and for what is no
    list.
    """
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise PluginFault(
            f"`{method}` returns {type(names).__name__}, no list of names",
            hint="return a list or tuple, also of a single name",
        )
    return list(names)


def _identity(unit: StoredUnit) -> bytes:
    return hashlib.sha256(msgspec.json.encode(unit)).digest()[:UNIT_BYTES]


def _sort_key(key: object) -> bytes:
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, str) and KEY_SEPARATOR not in part for part in parts):
        raise PluginFault(
            f"`sort_key` returns {key!r:.80}", hint="a text, or a tuple of texts, without NUL"
        )
    return KEY_SEPARATOR.join(parts).encode()
