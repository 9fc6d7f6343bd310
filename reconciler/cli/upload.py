"""`reconciler upload`: add local files to a repository."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import manifests, output, settings
from reconciler.cli.audit import Audited
from reconciler.cli.names import completer, take_repository
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine.service import Service
    from reconciler.plugin import UploadedFile

NAME = "upload"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME FILE...",
            help="A repository with an `upload` source, and files to upload.",
            autocompletion=completer("repository"),
        ),
    ],
    *,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", metavar="NAME=TEXT", help="A text for the plugin; may come several times."
        ),
    ] = None,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    override: manifests.OverrideOption = None,
    home: settings.HomeOption = None,
) -> int:
    """Add local files to a repository, as its plugin understands them.

    Its publications show them.
    """
    from reconciler.cli.termination import run_to_end
    from reconciler.engine.service import uploaded_file

    repository, files = take_repository(words, more=1, usage="upload NAME FILE...")
    fields = dict(_field(text) for text in field or [])
    service = settings.service(home, lock_timeout, override or ())
    audited = Audited(home, "upload")
    uploads = [uploaded_file(Path(file)) for file in files]
    results: list[dict[str, Any]] = []
    try:
        return run_to_end(
            _upload(service, repository, uploads, fields=fields, results=results, audited=audited)
        )
    finally:
        texts = [f"{each['file']}: {each['message']}" for each in results]
        if results:
            output.answer(layout, results, lambda: texts)


async def _upload(
    service: Service,
    repository: str,
    files: list[UploadedFile],
    *,
    fields: dict[str, str],
    results: list[dict[str, Any]],
    audited: Audited,
) -> int:
    """Upload the files one by one; return 1 if one is stored but not published.

    Files before a refused one stay in the repository.
    """
    from reconciler.audit import AuditedFile
    from reconciler.serve_adapter import upload_message

    delayed = False
    try:
        for file in files:
            send = partial(service.upload, repository, file, fields, principal=settings.principal())
            sent = AuditedFile(file.name, file.size, file.sha256)
            result = await audited.run(repository, send, files=(sent,))
            results.append(
                {"file": file.name, "version": result.version, "message": upload_message(result)}
            )
            delayed = delayed or bool(result.delayed)
    finally:
        await service.close()
    return 1 if delayed else 0


def _field(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageFault(f"`--field {text}` is not NAME=TEXT")
    return name, value
