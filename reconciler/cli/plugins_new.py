"""`reconciler plugins new`: create the distribution of a working plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

NAME = "new"

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="What manifests will write as `type`, such as `json-schemas`.",
        show_default=False,
    ),
]
DirectoryArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR", help="Folder to write.  [default: ./reconciler-NAME]", show_default=False
    ),
]


def command(
    name: NameArgument,
    directory: DirectoryArgument = None,
    layout: LayoutOption = Layout.TABLE,
) -> int:
    """Write the distribution of a new plugin.

    It has an importer, a publisher, a content type, tests and a manifest, and works as written.
    """
    from reconciler.model import pluralize
    from reconciler.scaffold import Names, write

    names = Names.parse(name)
    _check_free(names.id)
    folder = directory or Path(names.distribution)
    written = write(names, folder)
    answer = {
        "folder": str(folder),
        "distribution": names.distribution,
        "files": sorted(str(path) for path in written),
    }
    output.answer(
        layout,
        answer,
        lambda: [
            f"{folder}: {pluralize(len(written), 'file')} of the distribution {names.distribution};"
            " what to do next:",
            f"  cd {folder} && pip install --editable '.[test]'",
            "  pytest                                           # the conformance kit, offline",
            f"  $EDITOR manifests/{names.id}.yaml".ljust(51) + "# where your upstream is",
            f"  reconciler apply manifests/{names.id}.yaml".ljust(51) + "# and `reconciler serve`",
        ],
    )
    return 0


def _check_free(id: str) -> None:
    """Refuse an ID that an installed plugin has: with two of them no command would start."""
    registry = settings.unstarted_registry()
    for kind in ("importer", "publisher"):
        plugin = registry.find(kind, id)
        if plugin is not None:
            raise UsageFault(
                f"`{id}` is taken: {plugin.distribution} provides the {kind} of that ID",
                hint="IDs are unique; choose another name",
            )
