"""Events for the audit log: requests that change a publication, and reads that are denied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.audit import (
    ACCEPTED,
    DENIED,
    FAILED,
    REFUSED,
    AuditedFile,
    AuditEvent,
    AuditLog,
)
from reconciler.errors import OutOfScope, ReconcilerError
from reconciler.model import MANAGE_PATH, Grant
from reconciler.serve.client_addresses import TrustedProxies
from reconciler.serve.ports import ReceivedFile, UploadReceipt
from reconciler.threads import in_thread

NO_CREDENTIALS, WRONG_CREDENTIALS = "no-credentials", "wrong-credentials"
OUTSIDE_SCOPE = OutOfScope.code
CROSS_SITE = "cross-site"
# of responses that come of no error with a code of its own
REASONS: Mapping[int, str] = {
    400: "invalid-form",
    408: "timeout",
    413: "too-large",
    415: "not-a-form",
    500: "server-fault",
}


class AuditTrail:
    """Writes events of requests, with the addresses of their clients."""

    def __init__(self, log: AuditLog, proxies: TrustedProxies) -> None:
        self._log = log
        self._proxies = proxies

    async def write(self, scope: Mapping[str, Any], **fields: Any) -> None:
        """Write one line about a request. `fields`: of the event."""
        address = self._proxies.client_of(scope)
        event = AuditEvent(
            client=address.client,
            proxy=address.proxy,
            method=scope["method"],
            path=scope["path"],
            **fields,
        )
        await in_thread(self._log.write, event)

    async def deny_read(
        self, scope: Mapping[str, Any], publication: str, status: int, **fields: Any
    ) -> None:
        """Write that a client may not see what it asked for. `fields`: reason and principal.

        publication: its name; empty for no one in particular.
        """
        await self.write(
            scope,
            event="read",
            outcome=DENIED,
            status=status,
            publication=publication,
            **fields,
        )


class UploadTrace:
    """Facts on one request that changes a publication, gathered while it is answered."""

    def __init__(self, method: str, path: str) -> None:
        self.reason = ""
        self._action = path.removeprefix(MANAGE_PATH) if path.startswith(MANAGE_PATH) else ""
        self._method = method
        self._denied = False
        self._grant: Grant | None = None
        self._files: Sequence[ReceivedFile] = ()
        self._receipt: UploadReceipt | None = None

    def deny(self, reason: str) -> None:
        """Take note that the client may not do this."""
        self.reason, self._denied = reason, True

    def admit(self, grant: Grant) -> None:
        """Take note of the client."""
        self._grant = grant

    def arrive(self, files: Sequence[ReceivedFile]) -> None:
        """Take note of what was sent."""
        self._files = files

    def fail(self, error: ReconcilerError) -> None:
        """Take note of why it is not taken."""
        self.reason = error.code
        self._denied = isinstance(error, OutOfScope)

    def take(self, receipt: UploadReceipt) -> None:
        """Take note of what was taken."""
        self._receipt = receipt

    def event(self, status: int) -> dict[str, Any]:
        """Return the fields of the event, once the status of the response is known."""
        receipt = self._receipt
        removes = receipt.removes if receipt is not None else self._method == "DELETE"
        return {
            "event": self._action or ("remove" if removes else "upload"),
            "outcome": self._outcome(status),
            "reason": "" if status < 400 else self.reason or REASONS.get(status, "refused"),
            "status": status,
            "principal": self._grant.principal if self._grant is not None else "",
            "files": tuple(AuditedFile(file.name, file.size, file.sha256) for file in self._files),
            "keys": tuple(receipt.keys) if receipt is not None else (),
            "version": receipt.version if receipt is not None else None,
        }

    def _outcome(self, status: int) -> str:
        if status < 400:
            return ACCEPTED
        if self._denied:
            return DENIED
        return FAILED if status >= 500 else REFUSED
