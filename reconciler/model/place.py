"""Where something stands in a manifest, and what is wrong there."""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True, order=True):
    """A place in a file: line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing wrong with the manifests: place, message, and what to do about it."""

    origin: Origin
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")
