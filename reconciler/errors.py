"""Errors, sorted by what a run does about them.

ReconcilerError             message: what, where, what now; `hint` goes on a line of its own
|-- Temporary               the same call may succeed later: retry with backoff
|   |-- Unreachable         no response, a broken one, or one that asks to wait (5xx, 429)
|   |-- Stale               a response older than what was announced (a lagging CDN)
|   `-- Conflict            another writer changed what this call was based on: plan again
|-- Permanent               the same call fails until the other side changes
|   |-- Gone                upstream says that it does not exist (404, 410): an answer, no failure
|   |   `-- Withdrawn       upstream has it and offers nothing of it now: its name stays taken
|   |-- Refused             upstream refuses the request (401, 403, other 4xx)
|   |   |-- Denied          a filter denies an upload
|   |   |   `-- OutOfScope  the credentials of a client are not for this name
|   |   |-- NameReused      an upload has other bytes under a name that was removed
|   |-- QuotaExceeded   an upload does not fit into what is left of a quota
|   |   |-- ForeignOrigin   another host than the remote's own would answer
|   |   `-- NotAcceptable   upstream has no media type of those that were asked for (406)
|   |-- Malformed           a response that cannot be parsed or must not be trusted
|   |-- DigestMismatch      bytes that are not the promised bytes
|   `-- NotCached           an offline run needs a page that no earlier run has read
`-- NeedsHuman              a person has to decide or to repair
    |-- ManifestFaults      every fault of the manifests, each with its place
    |-- GuardRefusal        the plan removes more than the guards let pass
    |-- LeaseHeld           another run works on the same repository
    |-- PluginFault         a plugin broke the contract of `reconciler.plugin`
    |-- StateFault          the recorded state cannot be used (newer schema, missing bytes)
    `-- UsageFault          the command line or the settings ask for something impossible
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Origin(NamedTuple):
    """A place in a file: line and column count from 1. Line 0: the file as a whole."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


class Fault(NamedTuple):
    """One thing that is wrong with the manifests: where, what, and what to do about it."""

    origin: Origin
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")


class ReconcilerError(Exception):
    """Root of all errors that this project raises on purpose.

    `code`: lasting, for programs; lower-case words with hyphens.
    """

    code: str = "refused"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class Temporary(ReconcilerError):
    """The same call may succeed later. `retry_after`: seconds that the other side asked for."""

    code = "try-again"

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(Temporary):
    """No response, a broken one, or one that asks to wait."""


class Stale(Temporary):
    """A response older than what the index announced."""


class Conflict(Temporary):
    """Another writer changed what this call was based on."""

    code = "conflict"


class Permanent(ReconcilerError):
    """The same call fails until the other side changes."""


class Gone(Permanent):
    """Upstream says that it does not exist (404, 410)."""

    code = "not-found"


class Withdrawn(Gone):
    """Upstream has it and offers nothing of it now, as a project in quarantine (PEP 792).

    Its name stays taken.
    """


class Refused(Permanent):
    """Upstream refuses the request."""


class Denied(Refused):
    """A filter denies an upload."""

    code = "denied-by-filter"


class OutOfScope(Denied):
    """The credentials of a client are not for this name."""

    code = "outside-scope"


class NameReused(Refused):
    """An upload brings other bytes under a name that was removed.

    Not a conflict: clients that skip what exists would pass over it in silence.
    """

    code = "name-reused"


class QuotaExceeded(Refused):
    """An upload does not fit into what is left of a quota."""

    code = "quota-exceeded"


class ForeignOrigin(Refused):
    """Another host than the remote's own would answer, and no declared digest verifies it."""


class NotAcceptable(Refused):
    """Upstream has no media type of those that were asked for (406)."""


class Malformed(Permanent):
    """A response that cannot be parsed or must not be trusted."""

    code = "invalid-form"


class DigestMismatch(Permanent):
    """Bytes with another digest than the declared one."""

    code = "digest-mismatch"


class NotCached(Permanent):
    """An offline run needs a page that no earlier run has read."""


class NeedsHuman(ReconcilerError):
    """A person has to decide or to repair."""

    code = "server-fault"


class ManifestFaults(NeedsHuman):
    """Every fault of the manifests, each with its location, in the order of the files."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class GuardRefusal(NeedsHuman):
    """The plan removes more than the guards allow."""


class LeaseHeld(NeedsHuman):
    """Another run works on the same repository."""

    code = "try-again"


class PluginFault(NeedsHuman):
    """A plugin broke the contract of `reconciler.plugin`."""


class StateFault(NeedsHuman):
    """The recorded state cannot be used as it is."""


class UsageFault(NeedsHuman):
    """The command line or the settings ask for something impossible."""

    code = "invalid-request"
