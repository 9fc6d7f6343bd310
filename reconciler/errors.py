"""What can go wrong, sorted by what the loop must do about it.

ReconcilerError             message: what, where, what now; `hint` goes on a line of its own
|-- Temporary               the same call may succeed later: retry with backoff
|   |-- Unreachable         no answer, a broken answer, or an answer that says "later" (5xx, 429)
|   |-- Stale               an answer older than what was announced (a lagging CDN)
|   `-- Conflict            somebody else changed what this call was based on: plan again
|-- Permanent               the same call will fail again until the other side changes
|   |-- Gone                upstream says that it does not exist (404, 410): an answer, not a failure
|   |   `-- Withdrawn       upstream has it, and offers nothing of it now (quarantined): its name stays taken
|   |-- Refused             upstream answers, and says no (401, 403, other 4xx)
|   |   `-- Denied          a filter says no to what somebody sends
|   |-- Malformed           an answer that cannot be understood, or must not be trusted
|   |-- DigestMismatch      bytes that are not the promised bytes
|   `-- NotCached           an offline run needs a page that no earlier run has read
`-- NeedsHuman              nobody but a person can go on
    |-- ManifestFaults      every fault of the manifests, each with its place
    |-- GuardRefusal        the plan removes more than the guards let pass
    |-- LeaseHeld           another run works on the same repository
    |-- PluginFault         a plugin broke the contract of `reconciler.plugin`
    |-- StateFault          the recorded state cannot be used (newer schema, missing bytes)
    `-- UsageFault          the command line or the settings ask for something impossible
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Origin(msgspec.Struct, frozen=True, order=True):
    """A place in a file: line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong with the manifests: where, what, and what to do about it."""

    origin: Origin
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")


class ReconcilerError(Exception):
    """Root of everything that this project raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class Temporary(ReconcilerError):
    """The same call may succeed later. `retry_after`: seconds that the other side asked for."""

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(Temporary):
    """No answer, a broken answer, or an answer that says "later"."""


class Stale(Temporary):
    """An answer older than what the index announced."""


class Conflict(Temporary):
    """Somebody else changed what this call was based on."""


class Permanent(ReconcilerError):
    """The same call will fail again until the other side changes."""


class Gone(Permanent):
    """Upstream says that it does not exist (404, 410)."""


class Withdrawn(Gone):
    """Upstream has it, and offers nothing of it now, as a project in quarantine (PEP 792): what it
    was called is not free for others.
    """


class Refused(Permanent):
    """Upstream answers, and says no."""


class Denied(Refused):
    """A filter says no to what somebody sends."""


class Malformed(Permanent):
    """An answer that cannot be understood, or must not be trusted."""


class DigestMismatch(Permanent):
    """Bytes that are not the promised bytes."""


class NotCached(Permanent):
    """An offline run needs a page that no earlier run has read."""


class NeedsHuman(ReconcilerError):
    """Nobody but a person can go on."""


class ManifestFaults(NeedsHuman):
    """Every fault of the manifests, each with its place, in the order of the files."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class GuardRefusal(NeedsHuman):
    """The plan removes more than the guards let pass."""


class LeaseHeld(NeedsHuman):
    """Another run works on the same repository."""


class PluginFault(NeedsHuman):
    """A plugin broke the contract of `reconciler.plugin`."""


class StateFault(NeedsHuman):
    """The recorded state cannot be used as it is."""


class UsageFault(NeedsHuman):
    """The command line or the settings ask for something impossible."""
