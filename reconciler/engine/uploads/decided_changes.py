"""Changes between their decision and their commit, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.run.lease import PATIENCE, STEP
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict
from reconciler.model import CheckedTree
from reconciler.plan import REMOVE
from reconciler.plugin import Answer
from reconciler.retrying import RetryPolicy


class OvertakenError(Conflict):
    """Another change of the same group was committed first: this one has to be decided again."""


def _moved(error: Exception) -> bool:
    """Return True for a group that another process changed meanwhile."""
    return (
        isinstance(error, Conflict)
        and error.retry_after is not None
        and not isinstance(error, OvertakenError)
    )


COMMITTING = RetryPolicy(
    seconds=PATIENCE,
    first_delay=STEP,
    longest_delay=STEP,
    longest_request=0,  # the other writer is done already
    retry_if=_moved,
)


@dataclass(frozen=True, slots=True)
class UploadResult:
    """Outcome of an upload or a removal.

    Attributes:
        version: The repository's version afterwards.
        keys: The units that changed.
        names: The same for people: `group/key`, or the key alone where groups are no names.
        shown: Paths of the publications that show it.
        delayed: Publications that do not show it yet, and why.
        answer: The publisher's own answer to its client.
        removes: Nothing came in, only out.
    """

    version: int
    keys: tuple[str, ...]
    names: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    answer: Answer | None = None
    removes: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided change of one repository, whose bytes are stored, before its commit.

    Attributes:
        target: As it was when the change was decided.
        tree: What a check of names has seen.
        answer: The publisher's own answer to its client.
    """

    target: UploadTarget
    groups: Sequence[GroupChanges]
    scratchpads: ScratchpadSession
    principal: str
    tree: CheckedTree | None = None
    answer: Answer | None = None

    @property
    def changes_content(self) -> bool:
        return any(group.lines for group in self.groups) or bool(self.scratchpads.written)

    def result(self, version: int, shown: Iterable[str], delayed: Iterable[str]) -> UploadResult:
        """Return the outcome of the change, which `version` holds."""
        named = not self.target.importer_class.shared_groups
        lines = [(group.name, line) for group in self.groups for line in group.lines]
        return UploadResult(
            version,
            tuple(line.key for _, line in lines),
            tuple(f"{group}/{line.key}" if named else line.key for group, line in lines),
            tuple(shown),
            tuple(delayed),
            self.answer,
            removes=bool(lines) and all(line.op == REMOVE for _, line in lines),
        )
