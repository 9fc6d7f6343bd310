"""The closure: everything that is needed to install what a source takes.

The rules, so that the result depends on nothing but the indexes and the keys:

- Depends and Pre-Depends count, Recommends if asked.
- Of alternatives (`a | b`) the first one that the suites have counts, as apt chooses.
- Of a package that does, the newest version in each suite that the relation allows.
- A name that only `Provides` offers is met by the first provider, by name.
- Where source packages are read, that of each package taken comes in, in its very version.
- What `exclude` or a filter keeps out is not there; what nothing meets is said in a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from reconciler.plugin import Malformed, Unit
from reconciler_deb.control.paragraphs import first_field
from reconciler_deb.control.relations import Relation, parse_relations, provided
from reconciler_deb.control.versions import VersionKey, version_key
from reconciler_deb.options.source_options import RemoteOptions
from reconciler_deb.reading.index_files import ALL, SOURCE
from reconciler_deb.reading.listings import Listing
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE, listed_units
from reconciler_deb.selecting.facts import REQUIRED_BY, UNMET, field_of, name_of
from reconciler_deb.selecting.selection import PackageSelection

_FIELDS: Final = ("Pre-Depends", "Depends")
_SHOWN: Final = 3  # unmet relations that a warning names


class Taken(msgspec.Struct):
    """Result of a closure for one package: by unit key, who asks for it, and what it lacks."""

    required: dict[str, str] = msgspec.field(default_factory=dict)
    unmet: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """A text that changes whenever the closure says something else."""
        lines = [*sorted(self.required), "", *sorted(f"{a} {b}" for a, b in self.unmet.items())]
        return sha256("\n".join(lines).encode()).hexdigest()[:16]

    def annotated(self, units: Iterable[Unit]) -> list[Unit]:
        """Return units with what selection asks: keys that are not stored."""
        return [self._annotated(unit) for unit in units]

    def _annotated(self, unit: Unit) -> Unit:
        notes = {}
        if unit.key in self.required:
            notes[REQUIRED_BY] = self.required[unit.key]
        if unit.key in self.unmet:
            notes[UNMET] = self.unmet[unit.key]
        return msgspec.structs.replace(unit, metadata={**unit.metadata, **notes}) if notes else unit


class Closure:
    """The packages that a source takes, with what they depend on. Reads each package once."""

    def __init__(
        self, listing: Listing, options: RemoteOptions, selection: PackageSelection, *, base: str
    ) -> None:
        self._listing = listing
        self._options = options
        self._selection = selection
        self._base = base
        self._fields = (*_FIELDS, "Recommends") if options.recommends else _FIELDS
        self._units: dict[str, list[Unit]] = {}
        self._taken: dict[str, Taken] = {}
        self._waiting: list[Unit] = []
        self._seen: set[str] = set()
        self._providers: dict[str, list[tuple[str, Relation]]] | None = None
        self._met: dict[tuple[str, str, str, str], list[Unit]] = {}

    def taken(self) -> Mapping[str, Taken]:
        """Return the packages of which something comes in, by name."""
        for name, _ in self._listing.groups(self._may_be_root):
            self._taken.setdefault(name, Taken())
            for decision in self._selection.decide(self._package(name)):
                if decision.accepted:
                    self._take(decision.unit)
        while self._waiting:
            self._follow(self._waiting.pop())
        return self._taken

    def _may_be_root(self, name: str) -> bool:
        return not self._options.included or self._options.included.concern(name)

    def _package(self, name: str) -> list[Unit]:
        if name not in self._units:
            entries = self._listing.packages.get(name, ())
            self._units[name] = listed_units(name, entries, self._base, refuse=_pass_over)
        return self._units[name]

    def _take(self, unit: Unit) -> None:
        if unit.key not in self._seen:
            self._seen.add(unit.key)
            self._waiting.append(unit)

    def _follow(self, unit: Unit) -> None:
        """Take what a unit depends on, and note what the suites lack."""
        if unit.type != PACKAGE:
            return
        for source in self._sources(unit):
            self._require(source, unit, "Source")
        lacks = []
        for field in self._fields:
            for alternatives in _relations(unit, field):
                met = self._first_met(unit, alternatives)
                for required in met:
                    self._require(required, unit, field)
                if not met and field in _FIELDS and _concerned(unit, alternatives):
                    lacks.append(" | ".join(map(str, alternatives)))
        if lacks:
            more = f" and {len(lacks) - _SHOWN} more" if len(lacks) > _SHOWN else ""
            noted = self._taken.setdefault(name_of(unit), Taken())
            noted.unmet[unit.key] = f"nothing meets `{'`, `'.join(lacks[:_SHOWN])}`{more}"

    def _require(self, unit: Unit, by: Unit, field: str) -> None:
        taken = self._taken.setdefault(name_of(unit), Taken())
        reason = f"{name_of(by)} ({field})"
        taken.required[unit.key] = min(reason, taken.required.get(unit.key, reason))
        self._take(unit)

    def _sources(self, unit: Unit) -> list[Unit]:
        """Return the source package that a package was built from, where sources are read."""
        if SOURCE not in self._options.architectures:
            return []
        name, version = source_of(unit)
        place = (SOURCE_PACKAGE, version, unit.metadata["suite"])
        return [
            other
            for other in self._package(name)
            if (other.type, other.metadata["version"], other.metadata["suite"]) == place
            and self._is_selectable(other)
        ]

    def _first_met(self, unit: Unit, alternatives: Sequence[Relation]) -> list[Unit]:
        for relation in _concerned(unit, alternatives):
            met = self._candidates(unit, relation) or self._provider(unit, relation)
            if met:
                return met
        return []

    def _candidates(self, unit: Unit, relation: Relation) -> list[Unit]:
        """Return the newest unit of each suite and architecture that would do."""
        architecture = unit.metadata["architecture"]
        asked = (relation.name, relation.operator, relation.version, architecture)
        if asked not in self._met:
            self._met[asked] = self._newest(unit, relation)
        return self._met[asked]

    def _newest(self, unit: Unit, relation: Relation) -> list[Unit]:
        newest: dict[tuple[str, str], Unit] = {}
        for other in self._package(relation.name):
            if not self._would_do(unit, other) or not _allows(relation, other):
                continue
            place = (other.metadata["suite"], _place_architecture(unit, other))
            best = newest.get(place)
            if best is None or _version(other) > _version(best):
                newest[place] = other
        return list(newest.values())

    def _provider(self, unit: Unit, relation: Relation) -> list[Unit]:
        """Return the units of the first package that provides a name."""
        for name, offer in self._all_providers().get(relation.name, ()):
            if relation.operator and not (offer.operator == "=" and relation.allows(offer.version)):
                continue
            met = self._candidates(unit, Relation(name))
            if met:
                return met
        return []

    def _would_do(self, unit: Unit, other: Unit) -> bool:
        architectures = {unit.metadata["architecture"], other.metadata["architecture"]}
        if other.type != PACKAGE or (len(architectures) > 1 and ALL not in architectures):
            return False
        return self._is_selectable(other)

    def _is_selectable(self, unit: Unit) -> bool:
        """Return True unless a key or a filter keeps a unit out although it is required."""
        asked = msgspec.structs.replace(unit, metadata={**unit.metadata, REQUIRED_BY: "asked"})
        return self._selection.refusal(asked) is None

    def _all_providers(self) -> dict[str, list[tuple[str, Relation]]]:
        """Return who provides a name, in name order; found when it is asked for first."""
        if self._providers is None:
            self._providers = {}
            for name, relation in sorted(_offers(self._listing), key=lambda offer: offer[0]):
                self._providers.setdefault(relation.name, []).append((name, relation))
        return self._providers


def _offers(listing: Listing) -> Iterator[tuple[str, Relation]]:
    """Yield package and name that it provides."""
    for name, entries in listing.packages.items():
        texts = {
            first_field(entry.paragraph, b"Provides")
            for entry in entries
            if b"\nProvides:" in entry.paragraph
        }
        for text in sorted(texts):
            for relation in provided(text.decode(errors="replace")):
                yield name, relation


def source_of(unit: Unit) -> tuple[str, str]:
    """Return name and version of the source package that a package was built from."""
    name, _, version = field_of(unit, "Source").partition("(")
    return name.strip() or name_of(unit), version.strip(" )") or unit.metadata["version"]


def _relations(unit: Unit, field: str) -> list[list[Relation]]:
    """Return what a field asks for; what cannot be read asks for nothing that could be found."""
    try:
        return parse_relations(field_of(unit, field))
    except Malformed:
        return []


def _concerned(unit: Unit, alternatives: Iterable[Relation]) -> list[Relation]:
    architecture = unit.metadata["architecture"]
    return [relation for relation in alternatives if relation.concerns(architecture)]


def _allows(relation: Relation, unit: Unit) -> bool:
    return relation.allows(unit.metadata["version"])


def _place_architecture(unit: Unit, other: Unit) -> str:
    """Return the architecture for which `other` is looked for: that of who asks, where it has one.

    A package for `all` needs what it depends on for every architecture.
    """
    own = unit.metadata["architecture"]
    return str(other.metadata["architecture"] if own == ALL else own)


def _version(unit: Unit) -> VersionKey:
    return version_key(unit.metadata["version"])


def _pass_over(key: str, reason: str) -> None:
    """Leave out what `read` refuses again, and shows."""
