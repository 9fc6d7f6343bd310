"""`reconciler history`: the versions of a repository and their provenance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import completer, only_ref
from reconciler.cli.output import Layout, LayoutOption

NAME = "history"

RepositoryArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="[repository/]NAME",
        help="A repository: `team`, `repository/team` or `repository team`.",
        autocompletion=completer("repository"),
    ),
]


def command(
    name: RepositoryArgument,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """List the versions of a repository, newest first.

    Shows what each changed, when, by whom, and from which commit.
    """
    from reconciler.model import Kind

    with settings.inspector(home) as recorded:
        versions = recorded.history(only_ref(name, kind=Kind.REPOSITORY).name)
    header = ["version", "created", "added", "removed", "changed", "commit", "by", "digest"]
    output.tabular(layout, versions, header, rows=[_row(version) for version in versions])
    return 0


def _row(version: dict[str, Any]) -> list[str]:
    commit = str(version["provenance"].get("commit") or "-")
    short = commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")
    changes = [f"+{version['added']}", f"-{version['removed']}", f"~{version['changed']}"]
    by = str(version["provenance"].get("principal") or "-")
    return [
        str(version["number"]),
        version["createdAt"],
        *changes,
        short,
        by,
        version["digest"][:19],
    ]
