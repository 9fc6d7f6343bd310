"""`reconciler yank`: say that installers should choose something else."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import marking, settings
from reconciler.cli.names import completer
from reconciler.cli.output import Layout, LayoutOption

NAME = "yank"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME WHAT...",
            help="A repository, and what to yank: `foo==1.0`, or a filename.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    reason: marking.ReasonOption = "",
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Yank releases or files: they stay where they are, and installers choose others.

    Mirrored content stays yanked in later syncs, until `unyank`. What a manifest should say goes
    under `yank` of its Repository instead.
    """
    wish = marking.yanking(words, "yank", reason=reason)
    return marking.run(wish, home, lock_timeout, layout=layout)
