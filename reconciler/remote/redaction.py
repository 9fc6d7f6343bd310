"""Texts without secrets: whatever this process has revealed becomes `***`, in every form that a
message is likely to hold it in.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator

SHORTEST = 4  # a shorter value would tear ordinary words apart, and guards nothing
_LINE = (
    8  # of a value of several lines (a key), each line that is no shorter than this is a secret too
)
_MASK = "***"
_SCHEME = re.compile(r"(?:basic|bearer|token)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_UNRESERVED = re.compile(r"[A-Za-z0-9]")


class Redaction:
    """Values that no text may show. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._compiled: tuple[frozenset[str], re.Pattern[str] | None] = (self._values, None)

    def add(self, value: str) -> None:
        """From now on `value` is concealed: as it is, percent-encoded, escaped as in JSON or
        `repr`, and within base64 (as in RFC 7617).
        """
        if len(value.strip()) < SHORTEST or value in self._values:
            return
        parts = {value, *(line for line in value.splitlines() if len(line) >= _LINE)}
        if scheme := _SCHEME.fullmatch(value):
            parts |= {scheme[1]} if len(scheme[1]) >= SHORTEST else set()
        with self._lock:
            self._values |= parts

    def redact(self, text: str) -> str:
        """The text with `***` in the place of every secret. Costs nothing while there are none."""
        values = self._values
        if not values:
            return text
        pattern = self._pattern(values)
        while (shorter := pattern.sub(_MASK, text)) != text:
            # what remains on both sides may, with the mask or without it, be a secret again; every
            # round shortens the text
            text = shorter
        return text

    def _pattern(self, values: frozenset[str]) -> re.Pattern[str]:
        known, pattern = self._compiled
        if pattern is None or known is not values:
            pattern = _compiled(values)
            self._compiled = (values, pattern)
        return pattern


def _compiled(values: frozenset[str]) -> re.Pattern[str]:
    """Longest first: a secret that is part of another must not leave the rest of that one behind."""
    literals = {form for value in values for form in (*_escaped(value), *_base64(value))} - values
    patterns = [
        *((len(value), _quotable(value)) for value in values),
        *((len(form), re.escape(form)) for form in literals),
    ]
    return re.compile("|".join(pattern for _, pattern in sorted(patterns, reverse=True)))


def _quotable(value: str) -> str:
    """Every client leaves other characters unquoted in a URL, and some write the hex digits small."""
    return "".join(
        char if _UNRESERVED.fullmatch(char) else f"(?:{re.escape(char)}|{_percent(char)})"
        for char in value
    )


def _percent(char: str) -> str:
    encoded = "".join(f"%{byte:02X}" for byte in char.encode(errors="surrogateescape"))
    pattern = "".join(
        f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in encoded
    )
    return rf"{pattern}|\+" if char == " " else pattern


def _escaped(value: str) -> Iterator[str]:
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield repr(value.encode(errors="surrogateescape"))[2:-1]


def _base64(value: str) -> Iterator[str]:
    """What base64 makes of the value within any longer text: three ways, by where the value begins;
    its outermost digits hang on its neighbours.
    """
    data = value.encode(errors="surrogateescape")
    for before in range(3):
        digits = b64encode(bytes(before) + data).decode("ascii")
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield digits[first:last]
        yield digits[first:last].translate(str.maketrans("+/", "-_"))


_REVEALED = Redaction()


def remember(value: str) -> None:
    """Conceal `value` in every text from now on, for as long as this process lives."""
    _REVEALED.add(value)


def redact(text: str) -> str:
    """The text with `***` in the place of every secret that this process has revealed."""
    return _REVEALED.redact(text)
