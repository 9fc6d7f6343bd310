"""Choice of the reader of a description: by its kind, else by what it looks like."""

from __future__ import annotations

from typing import Any, Final

from reconciler.plugin import Description, Draft, Malformed
from reconciler_python.arriving import bandersnatch, devpi, nexus, pulp, pypiserver
from reconciler_python.arriving.json_documents import decode

_CONFIGURATION: Final = "bandersnatch.conf"
_MOST_LISTINGS: Final = 100


def translate(description: Description) -> Draft | None:
    """Return the draft of a description; None for one of a kind that is not known."""
    kind = description.kind or _guessed(description)
    if kind == bandersnatch.KIND:
        return bandersnatch.translate(description, _within(description, _CONFIGURATION))
    if kind == devpi.KIND:
        return devpi.translate(description, _within(description, devpi.FILE))
    if kind == pypiserver.KIND:
        return pypiserver.translate(description)
    if kind == pulp.KIND:
        return pulp.translate(description, _listings(description))
    if kind == nexus.KIND:
        return nexus.translate(description, _only_listing(description))
    return None


def _within(description: Description, name: str) -> str:
    return name if description.is_folder else ""


def _listings(description: Description) -> list[str]:
    """Return the JSON files of a folder, or the description itself. Raises Malformed."""
    if not description.is_folder:
        return [""]
    names = [name for name in description.names() if name.endswith(".json")][:_MOST_LISTINGS]
    if not names:
        raise Malformed(f"`{description.shown()}` holds no `.json`")
    return names


def _only_listing(description: Description) -> str:
    return _listings(description)[0]


def _guessed(description: Description) -> str | None:
    """Return the kind of a description where it is clear."""
    if description.is_folder:
        if description.has(_CONFIGURATION):
            return bandersnatch.KIND
        if description.has(devpi.FILE):
            return devpi.KIND
        if pypiserver.holds_distributions(description):
            return pypiserver.KIND
        names = [name for name in description.names() if name.endswith(".json")]
        return _listed_kind(description, names[0]) if names else None
    if description.path.name == devpi.FILE:
        return devpi.KIND
    if description.path.suffix == ".json":
        return _listed_kind(description, "")
    head = description.read()[: pypiserver.LARGEST]
    if description.path.suffix == ".conf" and b"[mirror]" in head:
        return bandersnatch.KIND
    return pypiserver.KIND if pypiserver.PROGRAM.encode() in head else None


def _listed_kind(description: Description, name: str) -> str | None:
    value: Any = decode(description, name, object)
    if pulp.is_listing(value):
        return pulp.KIND
    if isinstance(value, dict) and "indexes" in value and "dumpversion" in value:
        return devpi.KIND
    return nexus.KIND if nexus.is_listing(value) else None
