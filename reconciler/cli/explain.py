"""`reconciler explain`: why is something in a repository, or not?"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import output, settings

if TYPE_CHECKING:
    from reconciler.engine import Home
    from reconciler.plugin.registry import Registry

NAME = "explain"


class Layout(StrEnum):
    TEXT = "text"
    JSON = "json"


def command(
    resource: Annotated[str, typer.Argument(metavar="repository/NAME", help="For instance repository/team.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="A file, or a group such as a project.")],
    layout: Annotated[Layout, typer.Option("--output", "-o", help="How to print.")] = Layout.TEXT,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no remote: use cached pages, say `unknown` where there is none.")] = False,
    home: settings.HomeOption = None,
) -> int:
    """Say why a file is in a repository or not: what is recorded, and what each source says now."""
    import asyncio

    from reconciler.cli.history import repository_name

    answer = asyncio.run(_explain(settings.home(home), settings.registry(), repository_name(resource), subject, offline))
    if layout is Layout.JSON:
        output.document(answer)
    else:
        output.lines(_lines(answer))
    return 0


async def _explain(home: Home, registry: Registry, name: str, subject: str, offline: bool) -> dict[str, Any]:
    from reconciler.cli.progress import shown
    from reconciler.engine import Engine
    from reconciler.manifest import recorded

    with shown() as progress:
        async with Engine(home, registry, blocked=output.blocked, progress=progress, offline=offline) as engine:
            return await engine.explain(name, subject, lambda actual: recorded(actual, registry).desired)


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"repository/{answer['repository']}, version {answer['version']}"
    if not answer["held"]:
        yield f"  does not hold `{answer['subject']}`"
    for unit in answer["held"]:
        yield f"  holds `{unit['key']}` of {unit['source']}{_since(unit['since'])}"
    for group in answer["groups"]:
        if group["owner"]:
            yield f"  `{group['name']}` belongs to {group['owner']}: other sources do not count for it"
    for source in answer["sources"]:
        yield f"{source['source']}{': ' if source['message'] else ''}{source['message']}"
        for group in source["groups"]:
            yield from _group(group)


def _since(version: dict[str, Any] | None) -> str:
    if version is None:
        return ""
    made = version["provenance"]
    by = made.get("principal") or (f"commit {made['commit']}" if made.get("commit") else "")
    return f" since version {version['number']}, {version['createdAt']}" + (f", by {by}" if by else "")


def _group(group: dict[str, Any]) -> Iterator[str]:
    said = {"answered": "", "gone": "is gone: ", "failed": "cannot be read: ", "unknown": "unknown: "}[group["result"]]
    number = len(group["units"]) + group["others"]
    yield f"  `{group['name']}` {said}{group['message']}" if said else f"  `{group['name']}` holds {number} unit{'s' if number != 1 else ''}"
    if not group["units"] and group["others"]:
        yield "    none of them is meant: ask for the group to see them all"
    for unit in group["units"]:
        sign, words = ("+", "in") if unit["accepted"] else ("!", f"refused: {unit['reason']}")
        until = f", until {unit['reconsiderAt']}" if unit["reconsiderAt"] else ""
        yield f"    {sign} {unit['key']}   {words}{until}"
