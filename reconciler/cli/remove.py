"""`reconciler remove`: remove uploaded content."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings
from reconciler.cli.audit import Audited
from reconciler.cli.names import completer, take_repository
from reconciler.cli.output import Layout, LayoutOption

if TYPE_CHECKING:
    from reconciler.engine.service import Service
    from reconciler.engine.uploads.decided_changes import UploadResult

NAME = "remove"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME KEY...",
            help="A repository, and what to remove, by the keys under which versions hold it.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Remove uploaded units from a repository; earlier versions keep them.

    Synchronised content is removed by filters instead.
    """
    from reconciler.cli.termination import run_to_end

    repository, keys = take_repository(words, more=1, usage="remove NAME KEY...")
    service = settings.service(home, lock_timeout)
    audited = Audited(home, "remove")
    result = run_to_end(_remove(service, repository, keys, audited=audited))
    names = ", ".join(f"`{name}`" for name in result.names)
    answer = {"version": result.version, "removed": list(result.names)}
    first = f"version {result.version} no longer holds {names}"
    output.answer(
        layout, {**answer, "delayed": list(result.delayed)}, lambda: [first, *result.delayed]
    )
    return 1 if result.delayed else 0


async def _remove(
    service: Service, repository: str, keys: list[str], *, audited: Audited
) -> UploadResult:
    remove = partial(service.remove, repository, keys, settings.principal())
    try:
        return await audited.run(repository, remove, keys=tuple(keys))
    finally:
        await service.close()
