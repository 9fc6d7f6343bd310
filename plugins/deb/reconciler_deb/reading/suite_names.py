"""Names of suites, and where each lies: below `dists/`, or in a folder of a flat archive.

As in a list of sources, a name that ends in a slash is the folder itself (`./`, `ubuntu/`). Such an
archive has no components, and one index for all architectures.
"""

from __future__ import annotations

from typing import Final

FLAT_SUITE: Final = "flat"
FLAT_COMPONENT: Final = "main"


def is_flat(suite: str) -> bool:
    """Return True for the name of a folder."""
    return suite.endswith("/")


def suite_folder(suite: str) -> str:
    """Return the folder of a suite below the archive, with a slash at its end; empty for `./`."""
    if is_flat(suite):
        return suite.removeprefix("./").removeprefix("/")
    return f"dists/{suite}/"


def unit_suite(suite: str) -> str:
    """Return the suite of what is read there: a flat one has no name that clients could use."""
    return suite_folder(suite).rstrip("/") or FLAT_SUITE if is_flat(suite) else suite
