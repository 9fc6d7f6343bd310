"""Values of unquoted YAML scalars, and texts of manifests in messages."""

from __future__ import annotations

import re
from functools import lru_cache

from reconciler.redaction import sanitize

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"~": None, "null": None, "Null": None, "NULL": None, "": None}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(
    ("false", "False", "FALSE"), False
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_MAX_DIGITS = 18


def scalar(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2, with fewer surprises.

    `yes`, `on`, `012`, `0x1F`, `1_000`, `1:30` and `2026-01-01` are texts: they mean different
    things to different readers.
    """
    return _scalar(text) if text == "" or text[0] in "0123456789-+.~nNtTfF" else text


def shown(text: str) -> str:
    """Return a text of a manifest for one line of a message."""
    return sanitize(text, 80)


@lru_cache(maxsize=4096)
def _scalar(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else text
    return text
