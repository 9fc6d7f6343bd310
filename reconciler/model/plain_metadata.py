"""Metadata of units is plain JSON without floats: nothing whose text differs between machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.errors import PluginFault

# lists and dictionaries within each other: what is written at one depth of the stack must be
# readable at any
MAX_DEPTH = 64


def check_plain(values: Iterable[Any], key: str, depth: int = 1) -> None:
    """Raise PluginFault for metadata that is not plain JSON, floats included.

    The text of a float differs between machines, and enters a digest.
    """
    if depth > MAX_DEPTH:
        raise PluginFault(
            f"unit `{key}` has metadata that is nested deeper than {MAX_DEPTH} levels",
            hint="keep what the plugin needs, and make the rest an artifact",
        )
    for value in values:
        if isinstance(value, str) or value is None:
            continue
        if isinstance(value, int):
            if not -(2**63) <= value < 2**64:
                raise PluginFault(
                    f"unit `{key}` has a number in its metadata that does not fit 64 bits",
                    hint="write it as a text",
                )
        elif isinstance(value, dict):
            if not all(isinstance(name, str) for name in value):
                raise PluginFault(
                    f"unit `{key}` has metadata under a key that is no text",
                    hint="keys of JSON are texts: str(key)",
                )
            check_plain(value.values(), key, depth + 1)
        elif isinstance(value, (list, tuple)):
            check_plain(value, key, depth + 1)
        else:
            raise PluginFault(
                f"unit `{key}` has metadata that is not plain JSON without floats:"
                f" {type(value).__name__}",
                hint="write a float as a text: its digits differ between machines"
                if isinstance(value, float)
                else "texts, whole numbers, booleans, None, lists and mappings",
            )
