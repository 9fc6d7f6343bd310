"""`reconciler history`: the versions of a repository and their provenance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

NAME = "history"


def command(
    resource: Annotated[
        str, typer.Argument(metavar="repository/NAME", help="For instance repository/team.")
    ],
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """List the versions of a repository, newest first.

    Shows what each changed, when, and from which commit.
    """

    with settings.inspector(home) as recorded:
        versions = recorded.history(repository_name(resource))
    if layout is Layout.JSON:
        output.document(versions)
    elif layout is Layout.YAML:
        output.yaml_document(versions)
    else:
        output.table(
            ["version", "created", "added", "removed", "changed", "commit", "by", "digest"],
            [_row(version) for version in versions],
        )
    return 0


def repository_name(text: str) -> str:
    """Return NAME of `repository/NAME`. Raises UsageFault for another kind."""
    from reconciler.engine import parse_ref
    from reconciler.model import Kind

    ref = parse_ref(text)
    if ref.kind is not Kind.REPOSITORY:
        raise UsageFault(f"`{text}` is not a repository; only repositories have versions")
    return ref.name


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
