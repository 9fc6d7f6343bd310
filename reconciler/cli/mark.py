"""`reconciler mark`: say what state a project is in."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import marking, settings
from reconciler.cli.names import completer
from reconciler.cli.output import Layout, LayoutOption

NAME = "mark"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME PROJECT STATUS",
            help="A repository, a project, and its status: for Python `active`, `archived`,"
            " `deprecated` or `quarantined`.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    reason: marking.ReasonOption = "",
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Give a project a status, whatever upstream says of it, until `unmark`.

    What is `quarantined` is withheld from every publication.
    """
    wish = marking.giving_status(words, reason)
    return marking.run(wish, home, lock_timeout, layout=layout)
