"""The outcome of a run, resource by resource."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import msgspec

from reconciler.database import Outcome
from reconciler.model import Ref
from reconciler.redaction import redact

DONE, UNCHANGED, FAILED, BLOCKED = "done", "unchanged", "failed", "blocked"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """Outcome of each resource, without any secret.

    Attributes:
        outcomes: In the order in which they were reported.
        conflicts: Repositories whose content another run changed meanwhile: plan again.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(outcome.result in (FAILED, BLOCKED) for outcome in self.outcomes)

    def add(self, ref: Ref, result: str, message: str = "", *, cause: str = "") -> None:
        """Report the outcome of a resource."""
        outcome = Outcome(str(ref), result, redact(message), cause)
        self.outcomes.append(outcome)
        logger.info("%s: %s%s", ref, result, f": {outcome.message}" if message else "")

    def append(self, ref: Ref, message: str) -> None:
        """Add to the message of a resource; report it as unchanged if it has no outcome yet."""
        index = self._index(ref)
        if index is None:
            self.add(ref, UNCHANGED, message)
            return
        outcome = self.outcomes[index]
        messages = filter(None, (outcome.message, redact(message)))
        self.outcomes[index] = msgspec.structs.replace(outcome, message="; ".join(messages))
        logger.info("%s: %s", ref, redact(message))

    def amend(self, ref: Ref, result: str, message: str) -> None:
        """Replace the result of a resource and add to its message."""
        self.append(ref, message)
        index = self._index(ref)
        assert index is not None, "appended"
        self.outcomes[index] = msgspec.structs.replace(self.outcomes[index], result=result)

    def result(self, ref: Ref) -> str | None:
        """Return the result reported for a resource, or None."""
        index = self._index(ref)
        return None if index is None else self.outcomes[index].result

    def has_failed(self, ref: Ref) -> bool:
        """Return True if the resource did not become what was planned."""
        return self.result(ref) in (FAILED, BLOCKED)

    def _index(self, ref: Ref) -> int | None:
        text = str(ref)
        return next(
            (index for index, outcome in enumerate(self.outcomes) if outcome.ref == text), None
        )
