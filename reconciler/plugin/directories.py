"""Plugins in a plugin directory, which are not installed: for trying one out.

    <directory>/importers/<name>/importer.py          with the modules that it needs beside it,
    <directory>/publishers/<name>/publisher.py        and any number of *.conf: JSON objects that
    <directory>/content_types/<name>/content_type.py  together are its plugin-level configuration

Shared modules lie in <directory> itself. Every public class that such a module defines, and that
derives from the base, is a plugin. Listing the plugins imports their packages; a failure is kept
and reported when the plugin is validated.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reconciler.errors import PluginFault
from reconciler.plugin.entry_points import KINDS, Advertised, Unsound, raising, run
from reconciler.plugin.packages import import_from

DISTRIBUTION = "(directory)"
PATTERN = "*.conf"


def in_directory(directory: Path, kind: str) -> list[Advertised]:
    """Return the plugins of a kind by the names of their folders, broken ones too.

    Raises PluginFault where the directory cannot be read.
    """
    _make_importable(str(directory.absolute()))
    parent = directory / KINDS[kind].folder
    try:
        folders = sorted(
            folder for folder in parent.iterdir() if folder.is_dir() and folder.name[0] not in "._"
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PluginFault(
            f"the plugin directory `{parent}` cannot be read: {error.strerror}"
        ) from None
    return [plugin for folder in folders for plugin in _in_folder(folder, kind)]


def _make_importable(directory: str) -> None:
    """Make the shared modules `<directory>/<name>.py` importable.

    The directory is last in the path: it must not hide installed modules.
    """
    if directory not in sys.path:
        sys.path.append(directory)


def _in_folder(folder: Path, kind: str) -> Iterator[Advertised]:
    def advertised(name: str, load: Callable[[], Any]) -> Advertised:
        return Advertised(kind, name, DISTRIBUTION, "", f"directory {folder}", load)

    try:
        classes, config = run(
            lambda: (_classes(folder, kind), _configuration(folder)), "it cannot be read"
        )
    except Unsound as fault:
        yield advertised(folder.name, raising(fault))
        return
    for cls in classes:
        yield advertised(
            folder.name if len(classes) == 1 else f"{folder.name}.{cls.__name__}",
            _entry_point(cls, config),
        )


def _entry_point(
    cls: type, config: dict[str, Any]
) -> Callable[[], Callable[[], tuple[type, dict[str, Any]]]]:
    return lambda: lambda: (cls, config)


def _classes(folder: Path, kind: str) -> list[type]:
    """Return the plugin classes that the module itself defines, in its order.

    Imported classes and names that begin with `_` are ignored.
    """
    plugin_kind = KINDS[kind]
    if not (folder / f"{plugin_kind.module}.py").is_file():
        raise Unsound(f"it holds no `{plugin_kind.module}.py`")
    module = run(lambda: import_from(folder, plugin_kind.module), "it cannot be imported")
    derived = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, plugin_kind.base)
    ]
    classes = [
        cls
        for cls in dict.fromkeys(derived)
        if cls.__module__ == module.__name__ and not cls.__name__.startswith("_")
    ]
    if not classes:
        raise Unsound(
            f"its `{plugin_kind.module}.py` defines no class that derives from"
            f" reconciler.plugin.{plugin_kind.base.__name__}"
        )
    return classes


def _configuration(folder: Path) -> dict[str, Any]:
    """Return all `*.conf` of a folder as one mapping, joined in name order."""
    joined: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for path in sorted(folder.glob(PATTERN)):
        for key, value in _object(path).items():
            if key in joined:
                raise Unsound(f"`{key}` is set in `{owners[key]}` and in `{path.name}`")
            joined[key], owners[key] = value, path.name
    return joined


def _object(path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise Unsound(f"`{key}` is set twice in `{path.name}`")
        return dict(pairs)

    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except (OSError, ValueError, RecursionError) as error:
        raise Unsound(f"`{path.name}` cannot be read as JSON: {error}") from None
    if not isinstance(document, dict):
        raise Unsound(f"`{path.name}` is not a JSON object")
    return document
