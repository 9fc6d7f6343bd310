"""Distributions that exist in one test only, and advertise plugins as installed ones do.

Their entry points are read from the text of an `entry_points.txt`, so that everything behind that
is the real thing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import Distribution, EntryPoint
from os import PathLike
from types import ModuleType
from typing import Any, cast
from uuid import uuid4

from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry

GROUPS = {
    "importers": "reconciler.importers",
    "publishers": "reconciler.publishers",
    "types": "reconciler.content_types",
}


class Imagined(Distribution):
    """A distribution made of its texts."""

    def __init__(self, name: str, version: str, entry_points: str) -> None:
        self.texts = {
            "METADATA": (
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: a readme\n"
            ),
            "entry_points.txt": entry_points,
        }

    def read_text(self, filename: str) -> str | None:
        return self.texts.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Any:
        raise FileNotFoundError(path)


class Shelf:
    """Distributions to make registries of."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._distributions: list[Imagined] = []

    def add(
        self, name: str = "notes-plugin", version: str = "1.0", /, **plugins: Mapping[str, Any]
    ) -> Shelf:
        """Add a distribution with these plugins: `importers`, `publishers`, `types`.

        Each by entry point name: a class, or the function that the entry point names.
        """
        lines = []
        for group, named in plugins.items():
            lines.append(f"[{GROUPS[group]}]")
            for entry, answer in named.items():
                attribute = f"a{len(vars(self._module))}"
                setattr(
                    self._module,
                    attribute,
                    (
                        answer
                        if not isinstance(answer, type)
                        else lambda answer=answer: (answer, {"colour": "red"})
                    ),
                )
                lines.append(f"{entry} = {self._module.__name__}:{attribute}")
        self._distributions.append(Imagined(name, version, "\n".join(lines)))
        return self

    def advertise(self, name: str, group: str, entry: str, *, value: str) -> Shelf:
        """One entry point, word for word."""
        self._distributions.append(Imagined(name, "1.0", f"[{GROUPS[group]}]\n{entry} = {value}"))
        return self

    def registry(self, settings: PluginSettings | None = None) -> Registry:
        return Registry(self._of_group, settings)

    def _of_group(self, group: str) -> Iterable[EntryPoint]:
        return [
            point
            for distribution in self._distributions
            for point in cast(Iterable[EntryPoint], distribution.entry_points)
            if point.group == group
        ]


@contextmanager
def shelf() -> Iterator[Shelf]:
    """An empty one, for the length of a block."""
    module = ModuleType(f"advertised_{uuid4().hex}")
    sys.modules[module.__name__] = module
    try:
        yield Shelf(module)
    finally:
        del sys.modules[module.__name__]
