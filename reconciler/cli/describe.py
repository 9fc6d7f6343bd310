"""`reconciler describe`: show one recorded resource in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from reconciler.cli import output, settings
from reconciler.cli.names import completer, only_ref
from reconciler.cli.output import Layout, LayoutOption

NAME = "describe"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND/NAME",
            help="For instance `repository/team` or `repository team`.",
            autocompletion=completer(),
        ),
    ],
    *,
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Show one resource in full.

    Specification, status, conditions, and for a repository its latest versions.
    """
    from reconciler.model import Kind

    ref = only_ref(words)
    with settings.inspector(home) as recorded:
        [document] = recorded.resources(ref.kind, ref.name)
        versions = recorded.history(ref.name)[:5] if ref.kind is Kind.REPOSITORY else []
    answer = {**document, "versions": versions} if versions else document
    output.answer(layout, answer, lambda: _lines(document, versions))
    return 0


def _lines(document: dict[str, Any], versions: list[dict[str, Any]]) -> Iterator[str]:
    yield from output.yaml_text(document).splitlines()
    if versions:
        yield "versions:"
    for version in versions:
        yield (
            f"  {version['number']}  {version['createdAt']}"
            f"  +{version['added']} -{version['removed']} ~{version['changed']}"
        )
