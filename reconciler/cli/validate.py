"""`reconciler validate`: check manifests offline and report all faults at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli import output, settings
from reconciler.errors import ManifestFaults

NAME = "validate"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def command(
    paths: settings.PathsArgument = None,
    format: Annotated[
        Format, typer.Option(help="`github` prints workflow annotations.")
    ] = Format.TEXT,
) -> int:
    """Check manifests without asking any remote.

    Unknown keys, wrong types, duplicates, references, all in one run.
    """
    from reconciler.cli.manifests import read
    from reconciler.manifest import annotations, as_json
    from reconciler.model import pluralize

    try:
        desired = read(settings.paths(paths))
    except ManifestFaults as faults:
        if format is Format.TEXT:
            raise
        if format is Format.GITHUB:
            output.line(annotations(faults.faults))
        else:
            output.document(as_json(faults.faults))
        return 1
    number = sum(1 for _ in desired)
    if format is Format.JSON:
        output.document(as_json([]))
    elif format is Format.TEXT:
        output.line(f"{pluralize(number, 'resource')}, no faults")
    return 0
