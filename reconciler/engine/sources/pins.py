"""Pins: what the sources of a repository name one by one, for decisions without a source's options.

Where filters decide again about recorded units (`group_evaluation`), the options of sources do not
count, but for what they pin: a filter that keeps the newest N would drop it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.session import Session
from reconciler.engine.sources.selection import Selection
from reconciler.errors import PluginFault
from reconciler.model import DesiredState, Digest, Repository, SourceKind, Unit
from reconciler.plugin import ContentType, Options

PINNED: Final = "_pinned"  # metadata that `select` is given: no part of a unit's identity

Pins = Mapping[str, Sequence[Selection]]
"""Source ID -> selections that let in what is pinned, and nothing else."""


def pins_by_source(
    session: Session, desired: DesiredState, repository: Repository, *, now: datetime
) -> Pins:
    """Return what the sources of a repository pin, without sources that pin nothing.

    What a source copies is pinned where a source of the other repository pins it. Raises
    PluginFault where a content type cannot tell.
    """
    importer = session.registry.importer(repository.type)
    selections = {
        source: [
            Selection.of(session, importer, options=options, filters=(), now=now)
            for options in pinning
        ]
        for source, pinning in _pinning(session, desired, repository, behind=set()).items()
    }
    return {source: pins for source, pins in selections.items() if pins}


def pins_digest(pins: Pins) -> Digest | None:
    """Return the digest of what is pinned; None where nothing is."""
    rows = [[source, [str(pin.digest) for pin in pins[source]]] for source in sorted(pins)]
    return Digest.of_value(rows) if rows else None


def with_pins(pins: Sequence[Selection], group: str, units: Sequence[Unit]) -> Sequence[Unit]:
    """Return the units of a group in their order, those that are pinned with a note."""
    pinned = {
        id(decision.unit)
        for selection in pins
        for decision in selection.decide(group, units)
        if decision.accepted
    }
    if not pinned:
        return units
    return [
        msgspec.structs.replace(unit, metadata={**unit.metadata, PINNED: True})
        if id(unit) in pinned
        else unit
        for unit in units
    ]


def _pinning(
    session: Session, desired: DesiredState, repository: Repository, *, behind: Collection[str]
) -> dict[str, list[Options]]:
    """Return the options that pin something, by source. `behind`: repositories between."""
    importer = session.registry.importer(repository.type)
    assert importer.metadata is not None
    types = [session.registry.content_type(name) for name in importer.metadata.types]
    pinning: dict[str, list[Options]] = {}
    for source in repository.sources:
        options = source.options
        pinned = list(_pinned_by(types, options)) if isinstance(options, Options) else []
        base = desired.repository(source.name) if source.kind is SourceKind.REPOSITORY else None
        if base is not None and base.meta.name not in behind:
            others = _pinning(session, desired, base, behind={*behind, repository.meta.name})
            pinned += [pins for of_source in others.values() for pins in of_source]
        pinning[source.id] = pinned
    return pinning


def _pinned_by(types: Sequence[type[ContentType]], options: Options) -> Iterator[Options]:
    for type in types:
        call = f"`pinning_options` of `{type.id}`"
        with plugin_faults(call):
            pins: Any = type.pinning_options(options)
            if not isinstance(pins, Options | None):
                raise PluginFault(f"it returns Options or None, not {pins.__class__.__name__}")
        if pins is not None:
            yield pins
