"""Relations between packages: `nginx (>= 1.22)`, `a | b`, `c:any [amd64]`.

Debian Policy 7.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from reconciler.plugin import Malformed
from reconciler_deb.control.versions import is_version, satisfies

PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]{0,199}")
_RELATION = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9+.-]*)(?::(?P<qualifier>[a-z0-9-]+))?\s*"
    r"(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\)\s*)?"
    r"(?:\[(?P<architectures>[^\[\]]*)\]\s*)?(?:<[^<>]*>\s*)*"
)
_LONGEST: Final = 64 * 1024  # characters of one field; the longest of Debian have some thousands


class Relation(msgspec.Struct, frozen=True):
    """One package that would do. `operator` and `version` are empty where any version does."""

    name: str
    operator: str = ""
    version: str = ""
    architectures: Sequence[str] = ()

    def allows(self, version: str) -> bool:
        """Return True if a package of this version would do."""
        return not self.operator or satisfies(version, self.operator, self.version)

    def concerns(self, architecture: str) -> bool:
        """Return True if the relation counts on this architecture (`[amd64 arm64]`, `[!armel]`)."""
        if not self.architectures:
            return True
        negated = self.architectures[0].startswith("!")
        return negated != (architecture in {name.lstrip("!") for name in self.architectures})

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


def parse_relation(text: str) -> Relation:
    """Return one relation. Raises Malformed."""
    match = _RELATION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not PACKAGE_NAME.fullmatch(match["name"]):
        raise Malformed(f"{text.strip()[:80]!r} is no relation to a package")
    version = match["version"] or ""
    if version and not is_version(version):
        raise Malformed(f"`{version[:80]}` is no Debian version")
    return Relation(
        match["name"],
        match["operator"] or "",
        version,
        tuple((match["architectures"] or "").split()),
    )


def parse_relations(text: str) -> list[list[Relation]]:
    """Return what a field asks for: of each list of alternatives, one has to be there."""
    if len(text) > _LONGEST:
        raise Malformed(f"a relation field of {len(text):,} characters")
    clauses = (clause for clause in text.replace("\n", " ").split(",") if clause.strip())
    return [
        [parse_relation(alternative) for alternative in clause.split("|")] for clause in clauses
    ]


def provided(text: str) -> list[Relation]:
    """Return the names that a `Provides` field offers; what cannot be read is left out."""
    names = []
    for clause in text.replace("\n", " ").split(","):
        try:
            names.append(parse_relation(clause))
        except Malformed:
            continue
    return names
