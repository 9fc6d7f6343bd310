"""The common part of `yank`, `unyank`, `mark` and `unmark`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings
from reconciler.cli.audit import Audited
from reconciler.cli.names import take_repository
from reconciler.cli.output import Layout
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine.service import Service
    from reconciler.engine.uploads.decided_changes import UploadResult
    from reconciler.engine.uploads.marking import MarkRequest

ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for people; installers show it.")
]
MarkOf = tuple[str, "MarkRequest"]
"""A repository, and what to say of its content."""


def yanking(words: list[str], verb: str, *, reason: str = "", undo: bool = False) -> MarkOf:
    """Return what `yank` or `unyank` asks for."""
    from reconciler.engine.uploads.marking import MarkRequest
    from reconciler.model import YANK

    repository, whats = take_repository(words, more=1, usage=f"{verb} NAME WHAT...")
    return repository, MarkRequest(YANK, whats, reason=reason, undo=undo)


def giving_status(words: list[str], reason: str) -> MarkOf:
    """Return what `mark` asks for."""
    from reconciler.engine.uploads.marking import MarkRequest
    from reconciler.model import STATUS

    usage = "mark NAME PROJECT STATUS"
    repository, rest = take_repository(words, more=2, usage=usage)
    if len(rest) != 2:
        raise UsageFault(f"{len(rest)} words follow the repository, not two", hint=usage)
    return repository, MarkRequest(STATUS, rest[:1], value=rest[1], reason=reason)


def taking_status_back(words: list[str]) -> MarkOf:
    """Return what `unmark` asks for."""
    from reconciler.engine.uploads.marking import MarkRequest
    from reconciler.model import STATUS

    repository, projects = take_repository(words, more=1, usage="unmark NAME PROJECT...")
    return repository, MarkRequest(STATUS, projects, undo=True)


def run(mark: MarkOf, home: Path | None, lock_timeout: str, *, layout: Layout) -> int:
    """Mark, and print the result; return 1 if some publication does not show it yet."""
    from reconciler.cli.termination import run_to_end
    from reconciler.engine.uploads.marking import marked_message

    repository, request = mark
    service = settings.service(home, lock_timeout)
    audited = Audited(home, request.action.partition(" ")[0])
    result = run_to_end(_mark(service, repository, request, audited=audited))
    answer = {
        "version": result.version,
        "changed": list(result.names),
        "delayed": list(result.delayed),
    }
    output.answer(layout, answer, lambda: marked_message(result, request))
    return 1 if result.delayed else 0


async def _mark(
    service: Service, repository: str, request: MarkRequest, *, audited: Audited
) -> UploadResult:
    from reconciler.model import Grant

    mark = partial(service.mark, repository, request, Grant(settings.principal()))
    try:
        return await audited.run(repository, mark, keys=tuple(request.whats))
    finally:
        await service.close()
