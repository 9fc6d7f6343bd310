"""`reconciler diff`: show the differences between two versions of a repository."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption

NAME = "diff"
SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def command(
    resource: Annotated[
        str, typer.Argument(metavar="repository/NAME", help="For instance repository/team.")
    ],
    a: Annotated[str, typer.Argument(metavar="A", help="A version: number, digest or `latest`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    *,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Show what was added, removed and changed from version A to version B."""
    from reconciler.cli.history import repository_name

    with settings.inspector(home) as recorded:
        lists = recorded.difference(repository_name(resource), a, b)
    if layout is Layout.JSON:
        output.document(lists)
    elif layout is Layout.YAML:
        output.yaml_document(lists)
    else:
        output.lines(
            f"{SIGNS[name]} {_entry_text(entry)}"
            for name in SIGNS
            for entry in sorted(lists[name], key=_order)
        )
        output.line(", ".join(f"{len(lists[name])} {name}" for name in SIGNS))
    return 0


def _order(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return a sort key: by group and version, newest last; without a version by path."""
    from reconciler.plan import natural_sort_key, version_sort_key

    key = natural_sort_key(entry["key"])
    if "version" not in entry:
        return key, version_sort_key(""), []
    return natural_sort_key(entry["group"]), version_sort_key(entry["version"]), key


def _entry_text(entry: dict[str, Any]) -> str:
    return "   ".join(part for part in (entry["key"], entry.get("reason", "")) if part)
