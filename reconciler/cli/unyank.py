"""`reconciler unyank`: take a yank by hand back."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import marking, settings
from reconciler.cli.names import completer
from reconciler.cli.output import Layout, LayoutOption

NAME = "unyank"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME WHAT...",
            help="A repository, and what was yanked, as `yank` was told.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Take yanks by hand back.

    What upstream or the manifest yanks stays yanked.
    """
    wish = marking.yanking(words, "unyank", undo=True)
    return marking.run(wish, home, lock_timeout, layout=layout)
