"""Parts of a draft: remarks as they are collected, and resources of this plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from reconciler.plugin import DraftResource, Remark, sanitize
from reconciler_python.constants import constant

TYPE = "python"
_OTHERS = re.compile(r"[^a-z0-9._-]+")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_LONGEST_PATH = 200
_NO_VARIABLE = re.compile(r"[^A-Z0-9]+")


class Remarks:
    """Remarks in the order in which they come up."""

    def __init__(self) -> None:
        self.all: list[Remark] = []

    def lose(self, option: str, text: str, place: str = "") -> None:
        """Remember that nothing stands for an option."""
        self.all.append(Remark(sanitize(option, 200), sanitize(text, 500), place))

    def differ(self, option: str, text: str, place: str = "") -> None:
        """Remember that something nearly equal stands for it."""
        self.all.append(Remark(sanitize(option, 200), sanitize(text, 500), place, lost=False))


def resource_name(text: str, used: Sequence[str] = ()) -> str:
    """Return a name of a resource that is made of a foreign one, and is not `used`."""
    name = _OTHERS.sub("-", text.lower()).strip("-._")[:60] or "unnamed"
    number, free = 1, name
    while free in used:
        number += 1
        free = f"{name}-{number}"
    return free


def location(url: str) -> dict[str, str]:
    """Return `index` for the well-known index, `url` for any other."""
    known = urlsplit(constant("pypi_simple", "PYPI_SIMPLE_ENDPOINT"))
    parts = urlsplit(url)
    if parts.hostname == known.hostname and parts.path.strip("/") in ("", "simple", "pypi"):
        return {"index": "pypi"}
    return {"url": url}


def remote(name: str, keys: Mapping[str, Any], comment: str = "") -> DraftResource:
    return DraftResource("Remote", name, {"type": TYPE, **keys}, comment)


def repository(name: str, sources: Sequence[Mapping[str, Any]], comment: str = "") -> DraftResource:
    return DraftResource("Repository", name, {"type": TYPE, "sources": list(sources)}, comment)


def publication(name: str, path: str, keys: Mapping[str, Any] = {}) -> DraftResource:
    """Return the publication of the repository of the same name."""
    return DraftResource("Publication", name, {"repository": name, "path": path, **keys})


def served_path(text: str, instead: str) -> str:
    """Return a path that a publication can have: the foreign one where it is usable."""
    return text if _PATH.fullmatch(text) and len(text) <= _LONGEST_PATH else instead


def password(owner: str, what: str = "PASSWORD") -> dict[str, str]:
    """Return a reference to a secret in a variable that is named for its owner."""
    return {"env": f"{_NO_VARIABLE.sub('_', owner.upper()).strip('_') or 'USER'}_{what}"}
