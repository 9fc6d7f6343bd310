"""`reconciler remove`: remove uploaded content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings

if TYPE_CHECKING:
    from reconciler.engine import Home
    from reconciler.engine.uploads.receiving import UploadResult
    from reconciler.plugin.registry import Registry

NAME = "remove"


def command(
    repository: Annotated[
        str, typer.Argument(metavar="REPOSITORY", help="Name of the repository.")
    ],
    keys: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY...", help="What to remove, by the key under which versions hold it."
        ),
    ],
    home: settings.HomeOption = None,
) -> int:
    """Remove uploaded units from a repository; earlier versions keep them.

    Synchronised content is removed by filters instead.
    """
    import asyncio

    result = asyncio.run(
        _remove(settings.existing_home(home), settings.registry(), repository, keys=keys)
    )
    names = ", ".join(f"`{name}`" for name in result.names)
    output.line(f"version {result.version} no longer holds {names}")
    for text in result.delayed:
        output.line(text)
    return 1 if result.delayed else 0


async def _remove(
    home: Home, registry: Registry, repository: str, *, keys: list[str]
) -> UploadResult:
    from reconciler.engine.service import Service
    from reconciler.manifest import read_recorded

    service = Service(home, registry, read_recorded)
    try:
        return await service.remove(repository, keys, settings.principal())
    finally:
        await service.close()
