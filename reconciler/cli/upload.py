"""`reconciler upload`: add local files to a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import manifests, output, settings
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine.service import Service
    from reconciler.plugin import UploadedFile

NAME = "upload"


def command(
    repository: Annotated[
        str,
        typer.Argument(metavar="REPOSITORY", help="Name of a repository with an `upload` source."),
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What to upload.")],
    *,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", help="NAME=TEXT for the plugin; may come several times."),
    ] = None,
    override: manifests.OverrideOption = None,
    home: settings.HomeOption = None,
) -> int:
    """Add local files to a repository, as its plugin understands them.

    Its publications show them.
    """
    import asyncio

    from reconciler.engine.service import Service, uploaded_file
    from reconciler.manifest import read_recorded

    fields = dict(_field(text) for text in field or [])
    service = Service(
        settings.existing_home(home), settings.registry(), read_recorded, overrides=override or ()
    )
    return asyncio.run(
        _upload(service, repository, [uploaded_file(path) for path in files], fields=fields)
    )


async def _upload(
    service: Service, repository: str, files: list[UploadedFile], *, fields: dict[str, str]
) -> int:
    """Upload the files one by one; return 1 if one is stored but not published.

    Files before a refused one stay in the repository.
    """
    from reconciler.cli.serve_adapter import upload_message

    delayed = False
    try:
        for file in files:
            result = await service.upload(repository, file, fields, principal=settings.principal())
            output.line(f"{file.name}: {upload_message(result)}")
            delayed = delayed or bool(result.delayed)
    finally:
        await service.close()
    return 1 if delayed else 0


def _field(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageFault(f"`--field {text}` is not NAME=TEXT")
    return name, value
