"""Warnings about files that were fetched all the same: one line for each source and kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.redaction import sanitize

NAMED = 3  # files that a warning names


class WarningKind(StrEnum):
    """Kind of a warning; the value introduces the list of the files."""

    OTHER_SIZE = "another size than was declared, with the right digest"
    MIRROR = "mirror left out for the rest of the run, files come from elsewhere"
    NOT_BESIDE = "declared and not to be had; what the file beside it holds is used"


@dataclass(slots=True)
class TransferWarnings:
    """Files to warn of, by source and kind."""

    _files: dict[tuple[str, WarningKind], dict[str, str]] = field(default_factory=dict)

    def add(self, source: str, kind: WarningKind, path: str, *, detail: str = "") -> None:
        """Note a file once. `detail`: in words, of this file alone."""
        self._files.setdefault((source, kind), {}).setdefault(path, sanitize(detail, 300))

    def lines(self) -> Iterator[str]:
        """Yield one warning for each source and kind."""
        for (source, kind), files in sorted(self._files.items()):
            named = [
                f"`{sanitize(path, 200)}`" + (f" ({detail})" if detail else "")
                for path, detail in sorted(files.items())[:NAMED]
            ]
            more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
            yield f"warning: {source}: {kind}: {', '.join(named)}{more}"
