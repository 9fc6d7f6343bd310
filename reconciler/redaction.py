"""Text that is fit to be shown: registered secrets, and foreign text on one line.

`register_secret` adds a value, `redact` replaces every registered value by `***` in any form that a
message is likely to hold it in, `sanitize` also keeps a foreign text to one printable line of
limited length. Imports nothing of the project, so that every room can use it.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator

LONGEST = 2_000  # characters of a line that a plugin or an upstream may fill
SHORTEST = 4  # a shorter value would tear ordinary words apart, and guards nothing
_SHORTEST_LINE = 8  # lines of a longer value (a key) from this length on are secrets by themselves
_LONGEST_MESSAGE = 64 * 1024  # far more than LONGEST: no secret is cut before it is redacted
_MASK = "***"
_SCHEME = re.compile(r"(?:basic|bearer|token)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
# scheme, user info, host and path, query; punctuation behind a query belongs to the sentence
_URL = re.compile(
    r"(https?://)(?:[^\s/?#`'\"<>]*@)?([^\s?`'\"<>]*)(\?[^\s`'\"<>]*(?<![:;,.)]))?",
    re.IGNORECASE,
)
_UNRESERVED = re.compile(r"[A-Za-z0-9]")


class SecretRegister:
    """Values that no text may show. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._compiled: tuple[frozenset[str], re.Pattern[str] | None] = (self._values, None)

    def add(self, value: str) -> None:
        """Redact `value` from now on.

        Verbatim, percent-encoded, escaped as in JSON or `repr`, and within base64 (RFC 7617). A
        value shorter than `SHORTEST` is ignored; each longer line of a value is a secret too.
        """
        if len(value.strip()) < SHORTEST or value in self._values:
            return
        parts = {value, *(line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)}
        if scheme := _SCHEME.fullmatch(value):
            parts |= {scheme[1]} if len(scheme[1]) >= SHORTEST else set()
        with self._lock:
            self._values |= parts

    def redact(self, text: str) -> str:
        """Return `text` with `***` in place of every secret; free of cost while there are none."""
        values = self._values
        if not values:
            return text
        pattern = self._pattern(values)
        while (shorter := pattern.sub(_MASK, text)) != text:
            # The remains on both sides may form a secret again, with or without the mask; each
            # round shortens the text, so this ends.
            text = shorter
        return text

    def _pattern(self, values: frozenset[str]) -> re.Pattern[str]:
        compiled_for, pattern = self._compiled
        if pattern is None or compiled_for is not values:
            pattern = _compile(values)
            self._compiled = (values, pattern)
        return pattern


def _compile(values: frozenset[str]) -> re.Pattern[str]:
    """Return one pattern for all values, longest first: no part of a longer secret stays behind."""
    literals = {form for value in values for form in (*_escaped(value), *_base64(value))} - values
    patterns = [
        *((len(value), _url_pattern(value)) for value in values),
        *((len(form), re.escape(form)) for form in literals),
    ]
    return re.compile("|".join(pattern for _, pattern in sorted(patterns, reverse=True)))


def _url_pattern(value: str) -> str:
    """Return a pattern for `value` in a URL: clients differ in what they quote, and in hex case."""
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
    """Yield the base64 forms of `value` inside a longer text, one per alignment to three bytes.

    The outermost digits depend on the neighbouring bytes and are left out.
    """
    data = value.encode(errors="surrogateescape")
    for before in range(3):
        digits = b64encode(bytes(before) + data).decode("ascii")
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield digits[first:last]
        yield digits[first:last].translate(str.maketrans("+/", "-_"))


_REGISTER = SecretRegister()


def register_secret(value: str) -> None:
    """Redact `value` in every text from now on, for as long as this process lives."""
    _REGISTER.add(value)


def redact(text: str) -> str:
    """Return `text` with `***` in place of every secret that this process has registered."""
    return _REGISTER.redact(text)


def sanitize(text: str, longest: int = LONGEST) -> str:
    """Return foreign text as one printable line without secrets, at most `longest` characters.

    A character that does not print becomes its escape (`\\n`, `\\x1b`); what is cut ends in `...`.
    """
    if not text:
        return text
    line = redact(text)[: longest + 1]  # redacted before it is cut: half a secret is one too
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    return line if len(line) <= longest else f"{line[:longest]}..."


def without_queries(text: str) -> str:
    """Return a message whose URLs show no user info, and `...` for a query.

    Messages are recorded, and both may be secret (a signature, a token).
    """
    return _URL.sub(_bare, text) if "://" in text else text


def _bare(match: re.Match[str]) -> str:
    query = match[3] or ""
    return f"{match[1]}{match[2]}{'?...' if len(query) > 1 else query}"


def exception_message(error: BaseException) -> str:
    """Return the sanitized message of an exception, white space joined to single blanks.

    Its `__str__` may be foreign code: a message that cannot be read is replaced by saying so.
    """
    try:
        text = str(error)
    except Exception:
        return "its message cannot be read"
    letters = (letter if letter.isprintable() else " " for letter in text[:_LONGEST_MESSAGE])
    return sanitize(without_queries(" ".join("".join(letters).split())))


def exception_summary(error: BaseException) -> str:
    """Return the type and the message of an exception: `ValueError: not a number`."""
    message, name = exception_message(error), sanitize(type(error).__name__, 200)
    return sanitize(f"{name}: {message}") if message else name
