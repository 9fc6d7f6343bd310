"""Comparison of what a publication shows of a group with what an index lists of it. By digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from reconciler.errors import StateFault
from reconciler.model import Digest, StoredArtifact, StoredUnit
from reconciler.redaction import sanitize

Listing = Mapping[str, Mapping[str, str]]
"""Digests in hex by algorithm, by key."""

_BLOCK = 1024 * 1024
_SHA256 = "sha256"
_LONGEST = 128  # characters of a digest that an index gives: sha512 in hex


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is there under the name of another one."""

    group: str
    key: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.key}: the index has {self.theirs}, and this publication {self.ours}"


@dataclass(slots=True)
class Comparison:
    """Outcome for any number of groups.

    Attributes:
        missing: Units that the index lacks.
        different: Files that it has with other bytes.
        unproven: Number of files of which it gives no digest that could be compared.
        left_out: Number of units that cannot be sent, by reason.
        present: Number of units that it has.
    """

    missing: list[StoredUnit] = field(default_factory=list)
    different: list[Difference] = field(default_factory=list)
    unproven: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    present: int = 0

    def add(self, other: Comparison) -> None:
        """Add the outcome for another group."""
        self.missing += other.missing
        self.different += other.different
        self.unproven += other.unproven
        self.present += other.present
        for reason, number in other.left_out.items():
            self.left_out[reason] = self.left_out.get(reason, 0) + number


def compared(
    units: Iterable[StoredUnit],
    listing: Listing,
    *,
    file_of: Callable[[StoredUnit], StoredArtifact],
    open_bytes: Callable[[Digest], BinaryIO],
) -> Comparison:
    """Compare units with the files that an index lists under their keys.

    Args:
        file_of: Returns the artifact that is sent of a unit.
        open_bytes: Opens a stored artifact, for indexes that give another digest than sha256.
    """
    result = Comparison()
    for unit in units:
        theirs = listing.get(unit.key)
        if theirs is None:
            result.missing.append(unit)
            continue
        file = file_of(unit)
        pair = _digest_pair(file, theirs, open_bytes)
        if pair is None:
            result.unproven += 1
        elif pair[0] != pair[1]:
            result.different.append(Difference(unit.group, unit.key, *pair))
        else:
            result.present += 1
    return result


def _digest_pair(
    file: StoredArtifact, theirs: Mapping[str, str], open_bytes: Callable[[Digest], BinaryIO]
) -> tuple[str, str] | None:
    """Return our digest and theirs in one algorithm; None where there is none to compare."""
    if _SHA256 in theirs:
        return f"sha256:{file.sha256}", _shown(_SHA256, theirs)
    for algorithm in sorted(theirs.keys() & hashlib.algorithms_guaranteed, reverse=True):
        if algorithm.startswith("shake"):
            continue
        try:
            with open_bytes(Digest.parse(file.sha256)) as stream:
                ours = _hexdigest(stream, algorithm)
        except StateFault:  # not stored yet
            return None
        return f"{algorithm}:{ours}", _shown(algorithm, theirs)
    return None


def _shown(algorithm: str, digests: Mapping[str, str]) -> str:
    """Return a digest of the index as messages show it, which may be any text."""
    return f"{algorithm}:{sanitize(digests[algorithm].lower(), _LONGEST)}"


def _hexdigest(stream: BinaryIO, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
