"""Changes of uploads by commands: each leaves a line in the audit log, as requests do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import settings
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from reconciler.audit import AuditedFile
    from reconciler.engine.uploads.decided_changes import UploadResult

LOCAL = "local"  # in the place of an address


class Audited:
    """The audit log of a command. Raises UsageFault where it cannot be written.

    event: the command.
    """

    def __init__(self, home: Path | None, event: str) -> None:
        from reconciler.audit import AuditLog

        self._event = event
        self._log = AuditLog(settings.audit_log(home))
        self._log.check()

    async def run(
        self,
        repository: str,
        change: Callable[[], Awaitable[UploadResult]],
        *,
        files: tuple[AuditedFile, ...] = (),
        keys: tuple[str, ...] = (),
    ) -> UploadResult:
        """Return the result of a change, once it stands in the log. `keys`: asked for."""
        try:
            result = await change()
        except ReconcilerError as error:
            self._write(repository, files, keys, error=error)
            raise
        self._write(repository, files, result.names, version=result.version)
        return result

    def _write(
        self,
        repository: str,
        files: tuple[AuditedFile, ...],
        keys: tuple[str, ...],
        *,
        error: ReconcilerError | None = None,
        version: int | None = None,
    ) -> None:
        from reconciler.audit import ACCEPTED, REFUSED, AuditEvent

        self._log.write(
            AuditEvent(
                event=self._event,
                outcome=ACCEPTED if error is None else REFUSED,
                reason="" if error is None else error.code,
                principal=settings.principal(),
                client=LOCAL,
                repository=repository,
                files=files,
                keys=keys,
                version=version,
            )
        )
