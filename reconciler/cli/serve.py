"""`reconciler serve`: serve publications over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import output, settings

NAME = "serve"


def command(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    lock_timeout: settings.LockTimeoutOption = "0",
    home: settings.HomeOption = None,
) -> int:
    """Serve every publication at its path until interrupted.

    New publications appear by themselves.
    """
    import asyncio
    from functools import partial

    from reconciler.cli.serve_adapter import application
    from reconciler.serve import serve

    # opened once for writing: a server that starts before the first apply has a database to watch
    service = settings.service(home, lock_timeout)
    for problem in service.unauthenticated_uploaders():
        output.warning(problem, "the server sees the environment that it was started in")
    for fault in service.unusable_resources():
        output.warning(fault.message, fault.hint)
    asyncio.run(service.close())
    serve(
        partial(
            application, settings.home(home), settings.plugins(), settings.patience(lock_timeout)
        ),
        host=host,
        port=port,
        workers=workers,
        on_ready=lambda url: output.note(f"serving on {url}/"),
    )
    return 0
