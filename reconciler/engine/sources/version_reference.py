"""References to a version of a repository: `latest`, a number, or the digest of its content."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.database import Reader
from reconciler.model import LATEST, ActualRepository, Digest


@dataclass(frozen=True, slots=True)
class ResolvedVersion:
    """A recorded version: its number, and the digest of what it holds."""

    number: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class VersionReference:
    """A version as a manifest writes it. The one place that says what `latest` and a digest mean.

    Attributes:
        value: `latest`, a number from 1, or a digest (`sha256:...`).
    """

    value: str | int

    @property
    def is_latest(self) -> bool:
        return self.value == LATEST

    def covers(self, number: int) -> bool:
        """Return True if the version that becomes the latest as `number` is the one referred to."""
        return self.is_latest or self.value == number

    def resolve(
        self, reader: Reader, repository: ActualRepository | None
    ) -> ResolvedVersion | None:
        """Return the recorded version, or None where the repository has no such version.

        Of several versions with the same digest the newest is meant.
        """
        if repository is None:
            return None
        if self.covers(repository.number):
            return ResolvedVersion(repository.number, repository.digest)
        number = self._number(reader, repository)
        record = None if number is None else reader.version(repository.id, number)
        return None if record is None else ResolvedVersion(record.number, record.digest)

    def _number(self, reader: Reader, repository: ActualRepository) -> int | None:
        if isinstance(self.value, int):
            return self.value
        return reader.version_by_digest(repository.id, Digest.parse(self.value))
