"""The HTTP server around the application: granian, with one process per worker."""

from __future__ import annotations

import errno
import http.client
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import sleep
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from reconciler import logs
from reconciler.errors import UsageFault
from reconciler.serve.application import Application
from reconciler.serve.tls_files import TlsFiles

logger = logging.getLogger(__name__)

BACKLOG = 1024
LOGGING: dict[str, Any] = {  # errors belong to stderr; stdout is for what a command was asked for
    "formatters": {"line": {"format": "%(levelname)s: %(message)s"}},
    "handlers": {
        "stderr": {
            "formatter": "line",
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {
        **{
            name: {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
            for name in ("_granian", "reconciler.serve")
        },
        # it warns of each broken form, of which the client learns
        "python_multipart": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
    },
}
LOGGED = {"handlers": [], "level": "NOTSET", "propagate": True}  # what `reconciler.logs` set up
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
PARENT_EVERY = 0.5  # seconds between two looks of a worker whether its parent still runs
ORPHAN_TIMEOUT = 3  # seconds that requests in flight have to finish where the parent was killed
OVERLAP = 10.0  # more than a worker takes to start on a busy machine
STOP_TIMEOUT = 25  # seconds that requests in flight have to finish after SIGTERM or SIGINT


def serve(
    build: Callable[[], Application],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    workers: int = 1,
    on_ready: Callable[[str], None] | None = None,
    tls: TlsFiles | None = None,
    overlap: float = OVERLAP,
) -> None:
    """Serve until SIGTERM or SIGINT; call it from the main thread.

    build: makes the application in each worker process; picklable: a function, or a
        `functools.partial` of plain values.
    port: 0 picks a free one.
    on_ready: called with the URL once the server responds, in a thread of its own.
    tls: for HTTPS.
    overlap: seconds for which an old worker goes on beside the one that replaces it.

    On SIGHUP each worker is replaced, one after the other: the new one reads everything again, also
    the certificate, and takes connections before the old one stops and ends what it has begun.

    Raises UsageFault where the address cannot be bound, or `tls` cannot be used; SystemExit(1) when
    a worker cannot start.
    """
    if tls is not None:
        tls.check()
    with _reserve(host, port) as reserved:
        port = reserved.getsockname()[1]
        server = _Server(build, host, port, workers=workers, on_ready=on_ready, tls=tls)
        server.respawn_interval = overlap
        server.serve(
            target_loader=partial(_build_in_worker, build, os.getpid(), log=logs.current()),
            wrap_loader=False,
        )


class _Server(Granian):  # type: ignore[misc, valid-type]  # granian picks its class by the interpreter's kind
    """Granian, with a call when it responds, and with signals that no worker misses."""

    def __init__(
        self,
        build: Callable[[], Application],
        host: str,
        port: int,
        *,
        workers: int,
        on_ready: Callable[[str], None] | None,
        tls: TlsFiles | None,
    ) -> None:
        super().__init__(
            target="reconciler",
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(max_buffer_size=64 * 1024),
            websockets=False,
            backlog=BACKLOG,
            log_level=LogLevels.warning,
            log_dictconfig=_logging(),
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=STOP_TIMEOUT,
        )
        self._tls = tls
        self._read_tls_files()
        self._on_ready = on_ready

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        """Start the workers, then watch for the first response."""
        super().startup(spawn_target, target_loader)
        if self._on_ready is not None:  # only now: a process that has threads should not be forked
            threading.Thread(target=self._announce, args=(self._on_ready,), daemon=True).start()

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        with _signals_blocked():
            super()._spawn_workers(spawn_target, target_loader)

    def _respawn_workers(
        self, workers: Any, spawn_target: Any, target_loader: Any, *, delay: float = 0
    ) -> None:
        with _signals_blocked():
            super()._respawn_workers(workers, spawn_target, target_loader, delay=delay)

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:
        """Replace the workers, unless the new ones could not start."""
        try:
            self._read_tls_files()
        except UsageFault as fault:
            logger.error("the workers go on as they are: %s", fault)
            self.reload_signal = False
            self.main_loop_interrupt.clear()
            return
        super()._reload(spawn_target, target_loader)

    def _read_tls_files(self) -> None:
        """Check the files; granian remembers where they are, after links that renewals move."""
        if self._tls is not None:
            self._tls.check()
            self.build_ssl_context(
                self._tls.certificate, self._tls.key, None, SSLProtocols.tls12, None, [], False
            )

    def _announce(self, on_ready: Callable[[str], None]) -> None:
        while not self.main_loop_interrupt.is_set():
            if _responds(self.bind_addr, self.bind_port, secure=self._tls is not None):
                scheme = "http" if self._tls is None else "https"
                on_ready(f"{scheme}://{_in_url(self.bind_addr)}:{self.bind_port}")
                return
            sleep(0.02)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that stop a server while workers are forked.

    They stay blocked in a new worker until `_build_in_worker`: a handler that it inherited would
    swallow them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _logging() -> dict[str, Any]:
    """Return granian's logging; configured logging takes our own records."""
    if logs.current() is None:
        return LOGGING
    return {**LOGGING, "loggers": {**LOGGING["loggers"], "reconciler.serve": LOGGED}}


def _build_in_worker(
    build: Callable[[], Application], parent: int, *, log: logs.LogSettings | None = None
) -> Application:
    """Build the application in a new worker: until it handles SIGTERM in peace, SIGTERM ends it.

    parent: the process that serves, with which the worker ends. log: of that process, which a
    worker that was not forked lacks.
    """
    if log is not None:
        logs.configure(log.level, json=log.json)
    logger.info("worker process %d starts", os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    return build()


def _end_with(parent: int) -> None:
    """Stop this worker in peace once its parent is gone, however that ended (kill -9, no memory).

    Else it would keep the port from the next server, and nothing would stop it.
    """
    while os.getppid() == parent:
        sleep(PARENT_EVERY)
    logger.warning("the server's main process is gone: worker process %d ends", os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(ORPHAN_TIMEOUT)
    os._exit(1)


def _reserve(host: str, port: int) -> socket.socket:
    """Return a bound socket that does not listen.

    No other process can take the port while the workers start and share it.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if port and sys.platform == "linux":
            # SO_REUSEPORT would let two servers share a port unnoticed
            with socket.socket(family, socket.SOCK_STREAM) as exclusive:
                exclusive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                exclusive.bind(address)
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind(address)
        except OSError:
            reserved.close()
            raise
    except OSError as error:
        hint = (
            "choose another with `--port`; `--port 0` picks a free one"
            if error.errno == errno.EADDRINUSE
            else None
        )
        raise UsageFault(
            f"cannot serve on `{host}` port {port}: {error.strerror or error}", hint=hint
        ) from None
    return reserved


def _responds(host: str, port: int, *, secure: bool) -> bool:
    """Return True where the server responds, with any status."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    if secure:  # the certificate is for clients to verify, under the names that they use
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    try:
        connection.request("HEAD", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
