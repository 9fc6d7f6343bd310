"""Packuments that npm reads: the full one, and the short one that it installs by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from reconciler.plugin import StoredUnit
from reconciler_npm.names import file_name
from reconciler_npm.ranges import version_key

__all__ = ["FULL", "SHORT", "dist_tags", "full_packument", "short_packument", "tarball_path"]

FULL = "application/json"
SHORT = "application/vnd.npm.install-v1+json"
# What is no help to resolve with.
LONG = frozenset(
    [
        "author",
        "bugs",
        "contributors",
        "description",
        "exports",
        "homepage",
        "keywords",
        "license",
        "main",
        "module",
        "repository",
        "type",
        "types",
    ]
)


def tarball_path(name: str, version: str) -> str:
    return f"{name}/-/{file_name(name, version)}"


def full_packument(name: str, units: Sequence[StoredUnit], base_url: str) -> bytes:
    """Return the document of a package with everything that is known of it."""
    versions = {
        unit.metadata["version"]: _manifest(name, unit, base_url) for unit in _ordered(units)
    }
    tags = dist_tags(units)
    shown = versions[tags["latest"]]
    document: dict[str, Any] = {
        "_id": name,
        "name": name,
        **{key: shown[key] for key in sorted(LONG & shown.keys())},
        "dist-tags": tags,
        "versions": versions,
        "time": _times(units),
        "readme": "",
    }
    document["_rev"] = f"1-{sha256(_dumped(document)).hexdigest()[:32]}"
    return _dumped(document)


def short_packument(name: str, units: Sequence[StoredUnit], base_url: str) -> bytes:
    """Return the document of a package with what it takes to install it."""
    versions = {
        unit.metadata["version"]: {
            key: value for key, value in _manifest(name, unit, base_url).items() if key not in LONG
        }
        for unit in _ordered(units)
    }
    modified = _times(units)["modified"]
    return _dumped(
        {"name": name, "modified": modified, "dist-tags": dist_tags(units), "versions": versions}
    )


def dist_tags(units: Sequence[StoredUnit]) -> dict[str, str]:
    """Return the version of each tag; `latest` is always one of those that are here.

    Where several have a tag, since they came from clients that did not know of each other, the
    newest has it.
    """
    tags = {
        tag: unit.metadata["version"] for unit in _ordered(units) for tag in unit.metadata["tags"]
    }
    versions = [unit.metadata["version"] for unit in _ordered(units)]
    stable = [version for version in versions if "-" not in version.partition("+")[0]]
    return dict(sorted({"latest": (stable or versions)[-1], **tags}.items()))


def _manifest(name: str, unit: StoredUnit, base_url: str) -> dict[str, Any]:
    said = unit.metadata
    tarball = f"{base_url}{tarball_path(name, said['version'])}"
    return {
        "name": name,
        "version": said["version"],
        "_id": unit.key,
        **said["manifest"],
        "dist": {**said["dist"], "tarball": tarball},
    }


def _times(units: Sequence[StoredUnit]) -> dict[str, str]:
    times = {
        unit.metadata["version"]: unit.metadata.get("published") or unit.metadata["_firstSeen"]
        for unit in _ordered(units)
    }
    return {"created": min(times.values()), "modified": max(times.values()), **times}


def _ordered(units: Sequence[StoredUnit]) -> list[StoredUnit]:
    return sorted(units, key=lambda unit: version_key(unit.metadata["version"]))


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
