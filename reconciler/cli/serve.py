"""`reconciler serve`: serve publications over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import output, settings
from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.serve import TlsFiles

NAME = "serve"


def command(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK",
            help="Address or network of a proxy: its `X-Forwarded-Host`, `-Proto` and `-Prefix` are"
            " believed for pages that say where they are served, its `X-Forwarded-For` for the"
            " audit log. May be repeated.",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve HTTPS with this certificate chain (PEM), read again on SIGHUP.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")
    ] = None,
    lock_timeout: settings.LockTimeoutOption = "0",
    home: settings.HomeOption = None,
) -> int:
    """Serve every publication at its path until interrupted.

    New publications appear by themselves.
    """
    import asyncio
    from datetime import UTC, datetime
    from functools import partial

    from reconciler.audit import AuditLog
    from reconciler.engine.access.authentication import locked_out
    from reconciler.serve import serve
    from reconciler.serve_adapter import application

    proxies, tls = _networks(trusted_proxy or []), _tls_files(tls_cert, tls_key)
    # opened once for writing: a server that starts before the first apply has a database to watch
    service = settings.service(home, lock_timeout)
    publications = service.desired().publications.values()
    for problem in locked_out(publications, datetime.now(UTC)):
        output.warning(problem, "the server sees the environment that it was started in")
    names = sorted(each.meta.name for each in publications if each.readers is None)
    if names and not _is_loopback(host):
        output.note(f"every client of {host} may read: {', '.join(names)}")
    for fault in service.unusable_resources():
        output.warning(fault.message, fault.hint)
    asyncio.run(service.close())
    audit_log = settings.audit_log(home)
    AuditLog(audit_log).check()
    serve(
        partial(
            application,
            settings.home(home),
            settings.plugins(),
            settings.patience(lock_timeout),
            trusted_proxies=proxies,
            audit_log=audit_log,
        ),
        host=host,
        port=port,
        workers=workers,
        tls=tls,
        on_ready=lambda url: output.note(f"serving on {url}/"),
    )
    return 0


def _tls_files(certificate: Path | None, key: Path | None) -> TlsFiles | None:
    """Return the files, checked. Raises UsageFault."""
    from reconciler.serve.tls_files import CERTIFICATE, KEY, TlsFiles

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = (KEY, CERTIFICATE) if certificate is None else (CERTIFICATE, KEY)
        raise UsageFault(
            f"`{given}` is given without `{missing}`",
            hint="HTTPS takes both; one file may hold the certificate and the key",
        )
    tls = TlsFiles(certificate, key)
    tls.check()
    return tls


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _networks(texts: list[str]) -> tuple[str, ...]:
    from ipaddress import ip_network

    for text in texts:
        try:
            ip_network(text)
        except ValueError:
            raise UsageFault(
                f"`--trusted-proxy {text}` is no address and no network",
                hint="`127.0.0.1`, `10.0.0.0/8` or `fd00::/8`",
            ) from None
    return tuple(texts)
