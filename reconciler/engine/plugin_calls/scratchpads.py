"""Scratchpad access for one operation: recorded values overlaid with uncommitted writes.

Nothing is recorded here. The operation commits `written` together with its other changes, or drops
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from reconciler.database import scratchpad_digest
from reconciler.errors import PluginFault
from reconciler.model import Digest
from reconciler.redaction import exception_message

REPOSITORY = "repository"
"""Whose pad it is that all plugins of a repository share. A plugin's own is `importer:<id>` or
`publisher:<id>`.
"""

LIMIT = 1024 * 1024  # bytes of JSON
MAX_DEPTH = 64  # lists and dictionaries within each other

RecordedScratchpads = Callable[[str], Any]
"""The recorded pad by its owner, or None."""


def no_scratchpads(owner: str) -> Any:
    """Return None: a repository that does not exist yet has no scratchpads."""
    return None


class ScratchpadSession:
    """Scratchpads of one repository in one operation.

    `written` maps owners to values to record. `seen` maps the same owners to digests of what was
    recorded before: the commit compares them, so that no other operation's write is lost.
    """

    def __init__(self, recorded: RecordedScratchpads) -> None:
        self._recorded = recorded
        self._first: dict[str, Digest | None] = {}
        self.written: dict[str, Any] = {}

    @property
    def seen(self) -> dict[str, Digest | None]:
        """Digests of the recorded values that `written` is going to replace."""
        return {owner: self._first[owner] for owner in self.written}

    def get(self, owner: str) -> Any:
        """Return a copy of the owner's scratchpad, None if it has none."""
        if owner in self.written:
            return msgspec.json.decode(msgspec.json.encode(self.written[owner]))
        return self._look(owner)

    def set(self, owner: str, value: Any) -> None:
        """Write the owner's scratchpad. Raises PluginFault for what is not JSON, or too large."""
        try:
            _check(value, "", 0)
            text = msgspec.json.encode(value)
        except (
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
        ) as error:  # a lone surrogate, a subclass of a text, a number without end
            raise PluginFault(
                f"the scratchpad of `{owner}` cannot be written as JSON:"
                f" {exception_message(error)}",
                hint=_PLAIN_HINT,
            ) from None
        if len(text) > LIMIT:
            raise PluginFault(
                f"the scratchpad of `{owner}` would be {len(text):,} bytes of JSON",
                hint=f"at most {LIMIT:,}: keep the rest in the working directory",
            )
        if owner not in self._first:
            self._look(owner)
        self.written[owner] = msgspec.json.decode(text)

    def _look(self, owner: str) -> Any:
        pad = self._recorded(owner)
        self._first.setdefault(owner, scratchpad_digest(pad))
        return pad


_PLAIN_HINT = "texts, whole numbers, finite floats, booleans, None, lists and dictionaries of these"


def _check(value: Any, where: str, depth: int) -> None:
    """Raise PluginFault unless the value survives a round trip through JSON unchanged."""
    if depth > MAX_DEPTH:
        raise PluginFault(
            f"a scratchpad is nested deeper than {MAX_DEPTH} levels",
            hint="what is written must be readable wherever it is read",
        )
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, float) and value - value == 0:  # neither infinite nor NaN
        return
    if type(value) is list:
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", depth + 1)
        return
    if type(value) is dict:
        for key, item in value.items():
            if not isinstance(key, str):
                raise PluginFault(
                    f"a scratchpad is plain JSON: the key {key!r} at `{where or '.'}` is no text",
                    hint="keys of JSON are texts: str(key)",
                )
            _check(item, f"{where}.{key}", depth + 1)
        return
    raise PluginFault(
        f"a scratchpad is plain JSON: `{where or '.'}` is of the type `{type(value).__name__}`",
        hint=_PLAIN_HINT,
    )
