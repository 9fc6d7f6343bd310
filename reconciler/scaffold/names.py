"""Names made of a plugin's name: distribution, package, ID."""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword

from reconciler.errors import UsageFault

MAX_LENGTH = 40  # generated lines with the name fit in 100 columns

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_SEPARATORS = re.compile(r"[-_]+")
_PREFIX = "reconciler-"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a plugin. `id`: of importer and publisher, the `type` of manifests."""

    id: str

    @property
    def distribution(self) -> str:
        """Name for pip: `reconciler-json-schemas`."""
        return _PREFIX + self.id

    @property
    def package(self) -> str:
        """Name for Python's import: `reconciler_json_schemas`."""
        return self.distribution.replace("-", "_")

    @classmethod
    def parse(cls, text: str) -> Names:
        """Return the names of a plugin called `text`. Raises UsageFault.

        Normalised as in PEP 503: lower case, each run of `-` and `_` is one `-`.
        """
        if len(text) > MAX_LENGTH or _NAME.fullmatch(text) is None:
            raise UsageFault(
                f"{text[:80]!r} cannot be a plugin's name",
                hint=(
                    f"up to {MAX_LENGTH} letters, digits, `-` and `_`, a letter or digit at both"
                    " ends, as in `json-schemas`"
                ),
            )
        id = _SEPARATORS.sub("-", text).lower()
        if iskeyword(id):
            raise UsageFault(
                f"`{id}` is a word of the Python language",
                hint="name what the plugin stores, as in `json-schemas`",
            )
        if id.startswith(_PREFIX):
            raise UsageFault(
                f"`{id}` begins as its distribution will",
                hint=f"write `{id.removeprefix(_PREFIX)}`; the prefix comes by itself",
            )
        return cls(id)
