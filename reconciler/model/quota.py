"""Quotas: how much may be uploaded to a repository, and how much is."""

from __future__ import annotations

import msgspec

from reconciler.errors import QuotaExceeded
from reconciler.model.text import size_text


class UploadTotals(msgspec.Struct, frozen=True):
    """Units of the latest version that uploads brought, and the bytes of all their artifacts."""

    files: int = 0
    size: int = 0


class Quota(msgspec.Struct, frozen=True):
    """Limits of the uploads of a repository; None for none."""

    size: int | None = None
    files: int | None = None

    def check(self, held: UploadTotals, growth: UploadTotals) -> None:
        """Raise QuotaExceeded for a change that makes `held` grow too much, with the numbers.

        What does not grow is never too much: a quota that was lowered stops no removal.
        """
        problem = self._excess(held, growth)
        if problem is not None:
            raise QuotaExceeded(
                f"the quota of the repository is used up: {problem}",
                hint="remove what is not needed any more, or raise `quota` of the repository",
            )

    def _excess(self, held: UploadTotals, growth: UploadTotals) -> str | None:
        if self.files is not None and 0 < growth.files > self.files - held.files:
            return (
                f"{held.files:,} of {self.files:,} files are uploaded,"
                f" {growth.files:,} more would be too many"
            )
        if self.size is not None and 0 < growth.size > self.size - held.size:
            return (
                f"{size_text(held.size)} of {size_text(self.size)} are uploaded,"
                f" {size_text(growth.size)} more would be too much"
            )
        return None
