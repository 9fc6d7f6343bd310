"""`reconciler restore`: bring the uploads of an earlier version back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings
from reconciler.cli.audit import Audited
from reconciler.cli.names import completer, take_repository
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine.service import Service
    from reconciler.engine.uploads.decided_changes import UploadResult

NAME = "restore"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME",
            help="A repository with an `upload` source.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    to: Annotated[
        int, typer.Option("--to", metavar="N", help="The version whose uploads come back.")
    ],
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Make a new version that holds the uploads of an earlier one.

    Mirrored content stays as it is: sources and today's rules decide about it.
    """
    from reconciler.cli.termination import run_to_end
    from reconciler.model import pluralize

    repository, rest = take_repository(words, more=0, usage="restore NAME --to N")
    if rest:
        raise UsageFault(f"`{rest[0]}` is one word too many", hint="restore NAME --to N")
    service, audited = settings.service(home, lock_timeout), Audited(home, "restore")
    result = run_to_end(_restore(service, repository, to, audited=audited))
    answer = {"version": result.version, "changed": list(result.names), "to": to}
    changed = pluralize(len(result.names), "unit")
    first = (
        f"version {result.version} holds the uploads of version {to}, {changed} changed"
        if result.names
        else f"nothing changes: version {result.version} holds the uploads of version {to}"
    )
    output.answer(
        layout, {**answer, "delayed": list(result.delayed)}, lambda: [first, *result.delayed]
    )
    return 1 if result.delayed else 0


async def _restore(
    service: Service, repository: str, number: int, *, audited: Audited
) -> UploadResult:
    restore = partial(service.restore, repository, number, settings.principal())
    try:
        return await audited.run(repository, restore)
    finally:
        await service.close()
