"""Entry points of installed distributions, found without importing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from packaging.utils import canonicalize_name

from reconciler.plugin.foreign_calls import Unsound, run
from reconciler.plugin.kinds import KINDS

# the distribution that ships `reconciler`, and the plugins that our own tests hold sound
OURS = "package-reconciler"
FILE = "entry_points.txt"

Points = Callable[[str], Iterable[EntryPoint]]
"""Entry points by group."""


@dataclass(frozen=True, slots=True, eq=False)
class Advertised:
    """Plugin that is advertised under a name, not validated yet.

    `load` imports it and returns its entry point: a callable without arguments that returns (class,
    plugin-level configuration). `ours`: it ships with reconciler.
    """

    kind: str
    name: str
    distribution: str
    version: str
    origin: str
    load: Callable[[], Any]
    ours: bool = False


class Installed:
    """Entry points of this installation, read once, or those of `points`."""

    def __init__(self, points: Points | None = None) -> None:
        self._points = points
        self._found: dict[str, list[Advertised]] | None = None

    def of(self, kind: str) -> list[Advertised]:
        """Return what is advertised as this kind."""
        if self._points is not None:
            return [
                _from_point(kind, point, *_identity(point.dist))
                for point in self._points(KINDS[kind].group)
            ]
        if self._found is None:
            self._found = {kind: [] for kind in KINDS}
            for one in _scan():
                self._found[one.kind].append(one)
        return self._found[kind]


def _scan() -> Iterator[Advertised]:
    """Yield advertised plugins; read only the distributions that have entry points for us.

    `importlib.metadata.entry_points` would fail at the broken file of an unrelated distribution.
    """
    seen = set()
    for dist in distributions():
        text = _text(dist)
        if not any(kind.group in text for kind in KINDS.values()):
            continue
        name, version = _identity(dist)
        if canonicalize_name(name) not in seen:  # the first one on the path hides the others
            seen.add(canonicalize_name(name))
            yield from _of_distribution(dist, text, name, version)


def _of_distribution(
    dist: Distribution, text: str, name: str, version: str
) -> Iterator[Advertised]:
    try:
        points = run(lambda: dist.entry_points, f"its `{FILE}` cannot be read")
    except Unsound as fault:
        for kind, about in KINDS.items():
            if about.group in text:
                yield Advertised(kind, name, name, version, f"distribution {name}", raising(fault))
        return
    for kind, about in KINDS.items():
        yield from (
            _from_point(kind, point, name, version) for point in points.select(group=about.group)
        )


def raising(fault: Unsound) -> Callable[[], Any]:
    """Return a `load` that raises a fault found before loading."""

    def load() -> Any:
        raise fault

    return load


def _from_point(kind: str, point: EntryPoint, name: str, version: str) -> Advertised:
    return Advertised(
        kind,
        point.name,
        name,
        version,
        f"entry point {point.value}",
        point.load,
        ours=canonicalize_name(name) == OURS,
    )


def _text(dist: Distribution) -> str:
    try:
        return dist.read_text(FILE) or ""
    except UnicodeDecodeError:
        return ""


def _identity(dist: Distribution | None) -> tuple[str, str]:
    """Return name and version from the head of METADATA.

    Parsing all of it, with the readme, takes longer than finding every plugin.
    """
    if dist is None:
        return "(unknown)", ""
    head = (dist.read_text("METADATA") or "").partition("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    if "Name" in fields and "Version" in fields:
        return fields["Name"].strip(), fields["Version"].strip()
    return dist.name, dist.version
