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

    A number is reviewed content: the version must be recorded when a plan is made. A digest names
    its content, so that the same plan may make the version.

    Attributes:
        value: `latest`, a number from 1, or a digest (`sha256:...`).
    """

    value: str | int

    @property
    def is_latest(self) -> bool:
        return self.value == LATEST

    def covers(self, number: int) -> bool:
        """Return True if the recorded version `number`, the latest, is the one referred to."""
        return self.is_latest or self.value == number

    def means_planned(self, digest: Digest | None) -> bool:
        """Return True if the version that a plan makes is referred to; `digest`: of its content."""
        if self.is_latest:
            return True
        return (
            digest is not None
            and isinstance(self.value, str)
            and Digest.parse(self.value) == digest
        )

    def missing(
        self, repository: str, *, number: int | None = None, digest: Digest | None = None
    ) -> tuple[str, str]:
        """Return what is wrong where a repository has no such version, and a hint.

        `number`, `digest`: of the version that this plan makes, if it makes one.
        """
        if number is not None and digest is not None and self.value == number:
            return (
                f"repository `{repository}` has no version `{number}` yet: this plan makes it, and"
                " a number refers to reviewed content",
                f"apply first and pin then, or write `version: {digest}`, the content that this"
                " plan makes",
            )
        return (
            f"repository `{repository}` has no version `{self.value}`",
            f"`reconciler history repository/{repository}` lists the versions; `version:"
            " sha256:...` names content, which the same run may make",
        )

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
