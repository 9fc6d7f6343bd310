"""Files that a plan would send to an index elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.plan.failure import Failure


@dataclass(frozen=True, slots=True)
class PlannedPush:
    """Files of a publication that an index elsewhere lacks.

    Attributes:
        index: The index, as messages call it.
        where: Its place in the manifest of the publication: `exports[1]`.
        files: Number of files to send.
        size: Their bytes, as far as they are known.
        first: The first ones as (group, key).
        groups: Names of the groups that an apply has to look at again; None: all.
        different: Files that the index has with other bytes.
        left_out: Number of units that cannot be sent, by reason.
        unproven: Number of files there of which the index gives no digest.
        unknown: Number of groups of which an offline plan has no page.
        failures: Groups, or all of it, of which the index could not be asked.
    """

    index: str
    where: str
    files: int = 0
    size: int = 0
    first: tuple[tuple[str, str], ...] = ()
    groups: frozenset[str] | None = frozenset()
    different: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    unproven: int = 0
    unknown: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.different or self.failures)

    @property
    def is_whole(self) -> bool:
        """True if the index is known to have everything."""
        return self.groups is not None and not self.groups
