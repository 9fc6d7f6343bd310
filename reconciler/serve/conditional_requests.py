"""Conditional and partial requests (RFC 9110, 13 and 14): pure functions over header texts.

The validators of a publication are digests. Dates are compared for clients that send nothing else;
in the place of `If-Range` they never match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum

RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE | re.ASCII)
MAX_DIGITS = 19  # a position of more digits lies beyond any file; it also keeps int() cheap


class ConditionResult(Enum):
    """Result of the validators of a request, as the status of the response."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


@dataclass(frozen=True, slots=True)
class ConditionalHeaders:
    """Headers that make a request conditional or partial; empty where they are absent."""

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    if_unmodified_since: str = ""
    if_range: str = ""
    range_header: str = ""

    def evaluate(self, etag: str, modified: int | None = None) -> ConditionResult:
        """Compare with the validators of the representation, in the order of RFC 9110, 13.2.2.

        `modified`: seconds since 1970; None where no date is known, which ignores dates.
        """
        if self.if_match:
            if not _lists(self.if_match, etag, weak=False):
                return ConditionResult.FAILED
        elif _is_before(self.if_unmodified_since, modified):
            return ConditionResult.FAILED
        if self.if_none_match:
            if _lists(self.if_none_match, etag, weak=True):
                return ConditionResult.NOT_MODIFIED
        elif _is_before(self.if_modified_since, modified) is False:
            return ConditionResult.NOT_MODIFIED
        return ConditionResult.SEND

    def byte_range(self, etag: str, size: int) -> range | None:
        """Return the bytes of a body of `size` bytes that are asked for, or None for all of it.

        An empty range lies outside of the body (416). `If-Range` compares strongly: a weak tag or a
        date never matches, and the whole body is sent.
        """
        if not self.range_header or (self.if_range and self.if_range.strip() != etag):
            return None
        return byte_range(self.range_header, size)


def byte_range(header: str, size: int) -> range | None:
    """Parse a `Range` header; None where it is ignored (other units, several ranges, nonsense)."""
    match = RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        return range(size - min(_position(last), size), size)
    start = _position(first)
    if not last:
        return range(min(start, size), size)
    stop = _position(last) + 1
    if stop <= start:
        return None
    return range(min(start, size), min(stop, size))


def _position(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    """Return True where a list of entity tags names `etag`, which has no comma. `*` matches any."""
    if header.strip() == "*":
        return True
    tags = (tag.strip() for tag in header.split(","))
    return any((tag.removeprefix("W/") if weak else tag) == etag for tag in tags)


def _is_before(header: str, modified: int | None) -> bool | None:
    """Return True where a date lies before `modified`; None where none can be compared."""
    if not header or modified is None:
        return None
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # a year or a zone of twenty digits
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp() < modified
