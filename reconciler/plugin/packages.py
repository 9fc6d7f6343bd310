"""Import packages from any folder, without adding it to `sys.path`.

Each gets a name of its own in `sys.modules`, so that `importers/quotes` and `publishers/quotes` do
not collide, and neither hides an installed `quotes`. Within a package its folder's name works as
well: there, `from quotes.pages import Page`, `from .pages import Page` and, where nothing else is
called `pages`, `import pages` find the same module.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PREFIX = "reconciler_plugin_directory_"


def import_from(folder: Path, module: str) -> ModuleType:
    """Import a module of the package in `folder`; `__init__.py` may be missing.

    A second call returns the same module.
    """
    if _PACKAGES not in sys.meta_path:
        # before the usual finder, which finds modules of packages that are imported already
        sys.meta_path.insert(0, _PACKAGES)
    return import_module(f"{_PACKAGES.name_of(folder.resolve())}.{module}")


class _Packages(MetaPathFinder):
    """Finder for the packages that were asked for, and for their modules."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def name_of(self, folder: Path) -> str:
        name = PREFIX + sha256(os.fsencode(folder)).hexdigest()[:16]
        self.folders[name] = folder
        return name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        folder = self.folders.get(package)
        if folder is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target) if rest else _root(fullname, folder)
        if (
            spec is not None
            and spec.origin is not None
            and isinstance(spec.loader, SourceFileLoader)
        ):
            spec.loader = _Loader(fullname, spec.origin, folder)
        return spec


_PACKAGES = _Packages()


def _root(name: str, folder: Path) -> ModuleSpec | None:
    start = folder / "__init__.py"
    if start.is_file():
        return spec_from_file_location(name, start, submodule_search_locations=[str(folder)])
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


class _Loader(SourceFileLoader):
    """Loader that writes no compiled files and lets modules of a package import each other."""

    def __init__(self, fullname: str, path: str, folder: Path) -> None:
        super().__init__(fullname, path)
        self._import = _Import(fullname.partition(".")[0], folder)

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)


class _Import:
    """`__import__` for the modules of one package; only there is the importing package known."""

    def __init__(self, package: str, folder: Path) -> None:
        self._package = package
        self._folder = folder

    def __call__(  # noqa: PLR0917  # as `__import__`
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        first, dot, rest = name.partition(".")
        if level == 0 and first == self._folder.name:
            name = self._package + dot + rest
        try:
            return builtins.__import__(name, globals, locals, fromlist, level)
        except ModuleNotFoundError as error:
            if (
                level != 0
                or error.name != first
                or PathFinder.find_spec(first, [str(self._folder)]) is None
            ):
                raise
        imported = builtins.__import__(f"{self._package}.{name}", globals, locals, fromlist, 0)
        return imported if fromlist else import_module(f"{self._package}.{first}")
