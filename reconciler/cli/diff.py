"""`reconciler diff`: show the differences between two versions of a repository."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import completer, take_repository
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

NAME = "diff"
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME A B",
            help="A repository, and two versions: number, digest or `latest`.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Show what was added, removed and changed from version A to version B."""
    name, versions = take_repository(words, more=2, usage="diff NAME A B")
    if len(versions) > 2:
        raise UsageFault(f"`{versions[2]}` is one too many", hint="`diff NAME A B`")
    with settings.inspector(home) as recorded:
        lists = recorded.difference(name, *versions)
    output.answer(layout, lists, lambda: _lines(lists))
    return 0


def _lines(lists: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        f"{SIGNS[name]} {_entry_text(entry)}"
        for name in SIGNS
        for entry in sorted(lists[name], key=_order)
    ]
    return [*lines, ", ".join(f"{len(lists[name])} {name}" for name in SIGNS)]


def _order(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return a sort key: by group and version, newest last; without a version by path."""
    from reconciler.plan import natural_sort_key, version_sort_key

    key = natural_sort_key(entry["key"])
    if "version" not in entry:
        return key, version_sort_key(""), []
    return natural_sort_key(entry["group"]), version_sort_key(entry["version"]), key


def _entry_text(entry: dict[str, Any]) -> str:
    return "   ".join(part for part in (entry["key"], entry.get("reason", "")) if part)
