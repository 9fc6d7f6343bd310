"""Interface that pages for people need: documents about publications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from reconciler.model import Grant

Document = Mapping[str, Any]


class Instruction(Protocol):
    """Text to copy."""

    @property
    def title(self) -> str: ...

    @property
    def text(self) -> str: ...


class Browser(Protocol):
    """Answers questions about publications by name. Called in worker threads, several at once.

    None stands for what does not exist. May raise ReconcilerError where it cannot answer now.
    """

    def publication(self, name: str) -> Document | None:
        """Return what is published."""
        ...

    def instructions(
        self, name: str, base_url: str, *, group: str = "", private: bool = False
    ) -> Sequence[Instruction]:
        """Return what people copy to set clients up."""
        ...

    def groups(
        self, name: str, query: str, *, start: int, limit: int, grant: Grant
    ) -> Document | None:
        """Return the groups of a grant whose names contain `query`, from `start` on."""
        ...

    def group(self, name: str, group: str) -> Document | None:
        """Return the units of a group, by version."""
        ...

    def history(self, name: str) -> Sequence[Document] | None:
        """Return versions up to the published one, newest first."""
        ...

    def difference(self, name: str, a: str, b: str) -> Document | None:
        """Return what differs between two versions."""
        ...

    def why(self, name: str, subject: str) -> Document | None:
        """Return why something is there or not."""
        ...
