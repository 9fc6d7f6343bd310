"""Kinds of plugins, and the entry points of installed distributions that advertise them.

Entry points are found without importing anything. `run` calls a plugin's code so that its failures
disable the plugin alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from threading import current_thread, main_thread
from typing import Any, TypeVar

from packaging.utils import canonicalize_name

from reconciler.plugin.content import ContentType
from reconciler.plugin.importer import Importer
from reconciler.plugin.missing_packages import missing_package_hint
from reconciler.plugin.publisher import Publisher
from reconciler.redaction import exception_summary

# the distribution that ships `reconciler` and plugins that its own tests check
OURS = "package-reconciler"
FILE = "entry_points.txt"

Result = TypeVar("Result")

Points = Callable[[str], Iterable[EntryPoint]]
"""Entry points by group."""


@dataclass(frozen=True, slots=True)
class PluginKind:
    """Kind of plugins.

    `base`: class that plugins derive from. `group`: of entry points. `folder`, `module`: in a
    plugin directory. `models`: class attributes that must be option models.
    """

    base: type
    group: str
    folder: str
    module: str
    models: tuple[str, ...] = ()


KINDS: Mapping[str, PluginKind] = {
    "importer": PluginKind(
        Importer, "reconciler.importers", "importers", "importer", ("options", "filter_options")
    ),
    "publisher": PluginKind(
        Publisher, "reconciler.publishers", "publishers", "publisher", ("options",)
    ),
    "content-type": PluginKind(
        ContentType,
        "reconciler.content_types",
        "content_types",
        "content_type",
        ("options", "filter_options"),
    ),
}


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
        self._advertised: dict[str, list[Advertised]] | None = None

    def of(self, kind: str) -> list[Advertised]:
        """Return what is advertised as this kind."""
        if self._points is not None:
            return [
                _from_point(kind, point, _identity(point.dist))
                for point in self._points(KINDS[kind].group)
            ]
        if self._advertised is None:
            self._advertised = {kind: [] for kind in KINDS}
            for advertised in _scan():
                self._advertised[advertised.kind].append(advertised)
        return self._advertised[kind]


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
            yield from _of_distribution(dist, text, name=name, version=version)


def _of_distribution(
    dist: Distribution, text: str, *, name: str, version: str
) -> Iterator[Advertised]:
    try:
        points = run(lambda: dist.entry_points, f"its `{FILE}` cannot be read")
    except Unsound as fault:
        for kind, plugin_kind in KINDS.items():
            if plugin_kind.group in text:
                yield Advertised(kind, name, name, version, f"distribution {name}", raising(fault))
        return
    for kind, plugin_kind in KINDS.items():
        yield from (
            _from_point(kind, point, (name, version))
            for point in points.select(group=plugin_kind.group)
        )


class Unsound(Exception):
    """Raised if a plugin cannot be used; the message follows `disabled:`."""


def run(call: Callable[[], Result], failing: str) -> Result:
    """Return the result of `call`; anything that it raises becomes Unsound.

    The message is `failing` and the cause. SystemExit is included: a module that ends the process
    when it is imported must not end ours. Only an interrupt is the user's own. Output of the plugin
    goes to stderr, because stdout may be carrying a document; only in the main thread, where
    plugins are validated: two threads would restore each other's stream.
    """
    try:
        with redirect_stdout(sys.stderr) if current_thread() is main_thread() else nullcontext():
            return call()
    except (Unsound, KeyboardInterrupt):
        raise
    except BaseException as error:
        hint = missing_package_hint(error)
        reason = f"{failing}: {exception_summary(error)}" + (f"; {hint}" if hint else "")
        raise Unsound(reason) from error


def raising(fault: Unsound) -> Callable[[], Any]:
    """Return a `load` that raises a fault found before loading."""

    def load() -> Any:
        raise fault

    return load


def _from_point(kind: str, point: EntryPoint, identity: tuple[str, str]) -> Advertised:
    name, version = identity
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
