"""Names: of packages, versions, tags and files. Nothing else of upstream gets into a path."""

from __future__ import annotations

import re

__all__ = ["file_name", "is_name", "is_tag", "is_version", "unit_key"]

_PART = r"[A-Za-z0-9~][A-Za-z0-9._~-]*"
_NAME = re.compile(rf"(?:@{_PART}/)?{_PART}")
_NUMBER = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._~-]{0,99}")


def is_name(text: str) -> bool:
    """Return True for a name, of a scope (`@scope/name`) or of none; old ones have capitals."""
    return len(text) <= 214 and _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Return True for a version of semver 2.0, as npm writes it."""
    return len(text) <= 128 and _VERSION.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def unit_key(name: str, version: str) -> str:
    return f"{name}@{version}"


def file_name(name: str, version: str) -> str:
    """Return how registries call the tarball; the scope is in the folder."""
    return f"{name.rpartition('/')[2]}-{version}.tgz"
