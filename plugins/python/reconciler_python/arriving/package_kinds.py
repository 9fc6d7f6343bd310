"""Package types and platforms, as other tools name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reconciler_python.matching.wheel_tags import PLATFORM_FAMILIES

PACKAGE_TYPES: Final = {
    "bdist_wheel": "wheel",
    "sdist": "sdist",
    "bdist_egg": "egg",
    "bdist_wininst": "wininst",
    "bdist_msi": "msi",
    "bdist_dmg": "dmg",
    "bdist_rpm": "rpm",
    "bdist_dumb": "dumb",
}
FAMILIES: Final = {
    "windows": "windows",
    "win": "windows",
    "macos": "macos",
    "macosx": "macos",
    "linux": "linux",
}
_INSTALLERS: Final = {
    "windows": ("msi", "wininst"),
    "macos": ("dmg",),
    "linux": ("rpm",),
}
_KEPT: Final = (
    "any",
    *(name for name in PLATFORM_FAMILIES if name == "linux" or not name.endswith("linux")),
)


def kept_keys(families: Sequence[str], types: Sequence[str]) -> dict[str, Any]:
    """Return the keys of a filter that leaves out families of platforms, and takes types.

    `types`: none for every one.
    """
    keys: dict[str, Any] = {}
    if families:
        keys["platforms"] = [name for name in _KEPT if name not in families]
        left = [name for family in families for name in _INSTALLERS.get(family, ())]
        types = [name for name in types or PACKAGE_TYPES.values() if name not in left]
    return keys | {"packageTypes": list(types)} if types else keys
