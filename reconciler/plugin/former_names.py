"""Names of plugin API 1, for plugins that still use them: what each is called since.

A plugin of API 1 fails where it imports such a name, and a method under such a name would never be
called: both are told by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

GUIDE: Final = "docs/how-to/plugins-from-api-1.md"

EXPORTS: Final[Mapping[str, str]] = {
    "GroupOutput": "Output",
    "ImporterCall": "ReadConduit",
    "Members": "RepositoryContent",
    "MissingCall": "MissingConduit",
    "Placed": "GroupedUnit",
    "ReadingCall": "UpstreamConduit",
    "Step": "TraceStep",
    "UploadForm": "ReceivedRequest",
}

ATTRIBUTES: Final[Mapping[str, Mapping[str, str]]] = {
    "importer": {},
    "publisher": {"undated": "needs_first_seen"},
    "content-type": {
        "beside": "kept_with",
        "derivable": "extractable",
        "meant": "matches",
        "pins": "pinning_options",
        "recall": "load_metadata",
        "refusal": "refuse_replacement",
        "removal": "removal_reason",
        "undated": "needs_first_seen",
    },
}

_PACKAGE = "reconciler.plugin"
_MISSED = re.compile(r"cannot import name '(\w+)'|has no attribute '(\w+)'")


def missing_export(error: BaseException, version: str) -> str | None:
    """Return what is wrong where code uses a name that `reconciler.plugin` does not have, or None.

    `version`: that of the plugin API.
    """
    if not (
        (isinstance(error, ImportError) and error.name == _PACKAGE)
        or (isinstance(error, AttributeError) and getattr(error.obj, "__name__", None) == _PACKAGE)
    ):
        return None
    match = _MISSED.search(str(error))
    if match is None:
        return None
    name = match[1] or match[2]
    called = f", where it is called `{EXPORTS[name]}`" if name in EXPORTS else ""
    return (
        f"it was written for another plugin API: `{_PACKAGE}` {version} has no `{name}`{called}"
        f" ({GUIDE})"
    )


def former_attribute(cls: type, kind: str) -> str | None:
    """Return what is wrong with a class that has a method under its name of API 1, or None."""
    for former, name in ATTRIBUTES[kind].items():
        if hasattr(cls, former):
            return f"its `{former}` would never be called: plugin API 2 calls it `{name}` ({GUIDE})"
    return None
