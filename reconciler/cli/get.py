"""`reconciler get`: list resources, as kubectl does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import complete_kind
from reconciler.cli.output import Layout, LayoutOption

NAME = "get"

Counted = Callable[[str, int], str]


def command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="remote, filter, repository or publication; or KIND/NAME.",
            autocompletion=complete_kind,
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them.", show_default=False)
    ] = None,
    *,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """List recorded resources of a kind, or show one, with their status."""
    from reconciler.engine import parse_kind

    if name is None and "/" in kind:
        kind, _, name = kind.partition("/")
    with settings.inspector(home) as recorded:
        documents = recorded.resources(parse_kind(kind), name)
        header, rows = _table(documents, recorded.counted)
    answer: Any = documents[0] if name is not None else documents
    output.tabular(layout, answer, header, rows=rows)
    return 0


def _table(documents: list[dict[str, Any]], counted: Counted) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows; `counted` puts a number of units in words."""
    kind = documents[0]["kind"] if documents else ""
    columns = {
        "Repository": ["type", "version", "digest", "content"],
        "Publication": ["repository", "version", "path"],
    }.get(kind, ["type"])
    rows = [
        [
            document["metadata"]["name"],
            *(_cell(document, column, counted) for column in columns),
            _ready(document),
        ]
        for document in documents
    ]
    return ["name", *columns, "ready"], rows


def _cell(document: dict[str, Any], column: str, counted: Counted) -> str:
    cells = _version_cells(document["status"].get("latestVersion"), counted)
    if column in cells:
        return cells[column]
    value = document["status"].get(column, document["spec"].get(column))
    return f"/{value}/" if column == "path" else str(value if value is not None else "-")


def _version_cells(latest: dict[str, Any] | None, counted: Counted) -> dict[str, str]:
    """Return the columns that tell of a repository's latest version; none for other kinds."""
    if latest is None:
        return {}
    counts = ", ".join(counted(type_, number) for type_, number in latest["counts"].items())
    return {
        "version": f"{latest['number']}",
        "digest": f"{latest['digest']:.19}",
        "content": counts or "nothing",
    }


def _ready(document: dict[str, Any]) -> str:
    conditions = document["status"]["conditions"]
    return (
        str(all(condition["status"] == "True" for condition in conditions))
        if conditions
        else "Unknown"
    )
