"""`reconciler unmark`: take a status that was given by hand back."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import marking, settings
from reconciler.cli.names import completer
from reconciler.cli.output import Layout, LayoutOption

NAME = "unmark"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME PROJECT...",
            help="A repository, and projects whose status was given by hand.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Take a status that was given by hand back.

    Projects are what upstream says again.
    """
    wish = marking.taking_status_back(words)
    return marking.run(wish, home, lock_timeout, layout=layout)
