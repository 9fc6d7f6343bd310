"""The audit log: who changed what or was kept from it, when and from where, as JSON lines.

Uploads, removals and denied requests leave one line each; docs/reference/audit-log.md lists its
keys. Lines are only ever appended, each by one write under a lock of the file, so that several
processes share it and a full disk leaves no half of one. The file is opened again where it was
renamed or removed (rotation). Every text goes through one place, `_fit`: no secret and no letter
that a terminal obeys.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from reconciler.errors import UsageFault
from reconciler.redaction import redact

ACCEPTED = "accepted"
REFUSED = "refused"
DENIED = "denied"
FAILED = "failed"

LONGEST = 500  # characters of a text
MOST_FILES = 20  # of one request that are listed
MODE = 0o640

logger = logging.getLogger(__name__)


class AuditedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that came with a request. `name`: as its client called it."""

    name: str
    size: int
    sha256: str


class AuditEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the log; what is not known is left out.

    `event`: `upload`, `remove`, `read` or `audit`. `outcome`: `accepted`, `refused` for what was
    sent, `denied` for the client, `failed`. `reason`: a code, unless accepted. `client`: its
    address, behind `proxy` where that is one to be trusted. `keys`: what changed.
    """

    event: str
    outcome: str
    reason: str = ""
    status: int | None = None
    principal: str = ""
    client: str = ""
    proxy: str = ""
    publication: str = ""
    repository: str = ""
    method: str = ""
    path: str = ""
    files: tuple[AuditedFile, ...] = ()
    keys: tuple[str, ...] = ()
    version: int | None = None
    lost: int | None = None


class AuditLog:
    """The file of the log. Thread-safe.

    path: None where none is kept.
    """

    def __init__(
        self, path: Path | None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._lost = 0

    def check(self) -> None:
        """Raise UsageFault where no line could be written."""
        if self._path is None:
            return
        try:
            with self._lock:
                self._opened(self._path)
        except OSError as error:
            raise UsageFault(
                f"the audit log `{self._path}` cannot be written: {error.strerror or error}",
                hint="`RECONCILER_AUDIT_LOG`, or `file` of `[audit]` in the settings, names another"
                " file; `off` keeps none",
            ) from None

    def write(self, event: AuditEvent) -> None:
        """Append a line. Never raises: a log that cannot be written stops no request.

        That is said on the log of the server, and in the next line that can be written.
        """
        if self._path is None:
            return
        with self._lock:
            try:
                descriptor = self._opened(self._path)
                if self._lost:
                    lost = AuditEvent(
                        event="audit", outcome=FAILED, reason="lines-lost", lost=self._lost
                    )
                    _append(descriptor, self._line(lost))
                    self._lost = 0
                _append(descriptor, self._line(event))
            except OSError as error:
                self._note_loss(error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _line(self, event: AuditEvent) -> bytes:
        moment = self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": moment.replace("+00:00", "Z"),
            **_fit(msgspec.to_builtins(event)),
            "process": os.getpid(),
        }
        text = json.dumps(fields, separators=(",", ":"))
        return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"

    def _opened(self, path: Path) -> int:
        """Return the descriptor of the file that has the name now."""
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(self._descriptor)):
                    return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, MODE)
        return self._descriptor

    def _note_loss(self, error: OSError) -> None:
        self._lost += 1
        if self._lost == 1:
            problem = error.strerror or error
            logger.error("the audit log `%s` cannot be written: %s", self._path, problem)


NO_AUDIT = AuditLog(None)


def _append(descriptor: int, line: bytes) -> None:
    """Write a whole line, or nothing. Raises OSError."""
    with suppress(OSError):  # a file system without locks: each line is one write all the same
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise OSError(0, "the disk took half a line")
    finally:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _fit(value: Any) -> Any:
    """Return a value without secrets, its texts and lists within bounds."""
    if isinstance(value, str):
        text = redact(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if isinstance(value, dict):
        return {key: _fit(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fit(item) for item in value[:MOST_FILES]]
    return value
