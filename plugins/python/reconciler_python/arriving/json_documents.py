"""JSON of other tools: bounded, with the line of what cannot be read."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from reconciler.plugin import Description, Malformed, sanitize

T = TypeVar("T")
_BYTE = re.compile(r"\(byte (\d{1,12})\)")


def decode(description: Description, name: str, type: type[T]) -> T:
    """Return the document of a file. Raises Malformed with its line."""
    body = description.read(name)
    try:
        return msgspec.json.decode(body, type=type, strict=False)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        match = _BYTE.search(str(error))
        line = body.count(b"\n", 0, int(match[1])) + 1 if match else 0
        raise Malformed(f"{description.place(name, line)}: {sanitize(str(error), 200)}") from None


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, of one object, or of an answer with `results` or `items`."""
    if isinstance(value, dict):
        listed = next((value[key] for key in ("results", "items") if key in value), [value])
        value = listed if isinstance(listed, list) else []
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """Return the texts of a list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def number(value: Any) -> int:
    """Return a positive number; 0 for anything else."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**6
    return int(value) if usable else 0
