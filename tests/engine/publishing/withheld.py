"""A mirror of two groups with a denying filter, and what its publications withhold and serve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.model import Kind
from reconciler.plan import ResourceChange
from tests.support.rehearsal import (
    Rehearsal,
    publication,
    rehearsal,
    repository,
    rules,
)

BOTH = ("remote: {name: up}", "upload: {}")
PINNED = publication("pinned", more="version: 1")


@contextmanager
def two_groups(folder: Path) -> Iterator[Rehearsal]:
    """Two units with files in group `a`, one in group `b`."""
    with rehearsal(folder) as site:
        site.says("a", site.file("one"), site.file("two"), validator="1")
        site.says("b", site.file("three"), validator="1")
        yield site


def declare(site: Rehearsal, *more: str, deny: str = "", base: str = "") -> None:
    """A mirror with uploads, and what is said about it. `deny`: keys; `base`: the repository, if it
    is another. What is pinned to version 1 finds it: the first apply makes it.
    """
    filters = [rules(f"deny: [{deny}]")] if deny else []
    mirror = [site.remote(), *filters, base or repository("team", *BOTH)]
    declared = more or (publication(), PINNED)
    if not site.manifest.exists() and any("version: 1" in document for document in declared):
        unpinned = [text for text in declared if "version: 1" not in text]
        site.declare(*mirror, *unpinned)
        site.apply()
    site.declare(*mirror, *declared)


def establish(site: Rehearsal, *documents: str) -> None:
    """Apply documents; those that pin a version by its number once it is there."""
    site.declare(*(text for text in documents if "version: 1" not in text))
    site.applied()
    site.declare(*documents)
    site.applied()


def change(site: Rehearsal, name: str, **how: Any) -> ResourceChange:
    [found] = [
        change
        for change in site.plan(**how).changes
        if change.ref.kind is Kind.PUBLICATION and change.ref.name == name
    ]
    return found


def rows(site: Rehearsal, name: str = "team", **how: Any) -> list[str]:
    """What a plan says of withheld units: `- group/key reason`, `+ group/key`."""
    withheld = change(site, name, **how).withheld
    return (
        [
            f"{line.op} {change.head.name}/{line.key} {line.reason}".strip()
            for change in withheld.spool
            for line in change.lines
        ]
        if withheld
        else []
    )


def shown(site: Rehearsal, name: str = "team") -> list[str]:
    """Paths that are served, without the index."""

    def of(reader: Any) -> list[str]:
        state = reader.actual_state().publications[name]
        return [
            entry.path for entry in reader.all_entries(state.id, state.number) if not entry.page
        ]

    found: list[str] = site.ask(of)
    return found


def status(site: Rehearsal, name: str = "team") -> dict[str, str]:
    """What is recorded as withheld, with the reasons."""

    def of(reader: Any) -> dict[str, str]:
        state = reader.actual_state().publications[name]
        found = reader.withheld(state.id, state.number)
        assert state.verdict.units == len(found)
        return {f"{unit.group}/{unit.key}": unit.reason for unit in found.values()}

    found: dict[str, str] = site.ask(of)
    return found


def moved(site: Rehearsal, name: str = "team") -> list[str]:
    """Paths that the last publication changed."""

    def of(reader: Any) -> list[str]:
        state = reader.actual_state().publications[name]
        return sorted(
            {
                entry.entry.path
                for entry in reader.entries_between(state.id, state.number - 1, state.number)
            }
        )

    found: list[str] = site.ask(of)
    return found
