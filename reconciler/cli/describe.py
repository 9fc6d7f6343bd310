"""`reconciler describe`: show one recorded resource in full."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import output, settings

NAME = "describe"


def command(
    resource: Annotated[
        str, typer.Argument(metavar="KIND/NAME", help="For instance repository/team.")
    ],
    home: settings.HomeOption = None,
) -> int:
    """Show one resource in full.

    Specification, status, conditions, and for a repository its latest versions.
    """
    from reconciler.engine import parse_ref
    from reconciler.model import Kind

    ref = parse_ref(resource)
    with settings.inspector(home) as recorded:
        [document] = recorded.resources(ref.kind, ref.name)
        versions = recorded.history(ref.name)[:5] if ref.kind is Kind.REPOSITORY else []
    output.yaml_document(document)
    if versions:
        output.line("versions:")
        output.lines(
            f"  {version['number']}  {version['createdAt']}"
            f"  +{version['added']} -{version['removed']} ~{version['changed']}"
            for version in versions
        )
    return 0
