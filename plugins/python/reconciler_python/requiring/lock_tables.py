"""TOML as lock files are written: tens of thousands of short tables, one a line.

The standard library's parser takes seconds for them. What every tool writes in one shape, a list of
tables of plain values with one table a line, is read here and stands in the text as one string
while the parser sees it; whatever has another shape is left to the parser. The result is what
`tomllib` makes of the whole text.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
_KEY = r"[A-Za-z0-9_-]++"
_FIELD = re.compile(
    rf"({_KEY}) ?= ?(?:\"([^\"]*+)\"|({_TIME})|([0-9]++)|\{{ ?({_KEY}) ?= ?\"([^\"]*+)\" ?\}})"
)
_GROUPS: Final = (
    7  # what `split` gives for each field: its six groups, and what stands before the next
)
_CONTROL: Final = bytes([*range(9), *range(11, 32), 127])
# `wheels = [` and `sdist = {`: at the beginning of a line, and nothing else on it.
_BLOCK = re.compile(
    r"^([A-Za-z0-9_\".-]+ = )(?:\[\n((?:[ \t]*+\{[^\n]*+\n)++)[ \t]*+\][ \t]*+$|(\{[^\n]*+)$)",
    re.MULTILINE,
)
_ENDS: Final = frozenset({"}", "},"})
_DEEPEST: Final = 64
_LONGEST: Final = 18  # digits of a number


def parse(text: str) -> dict[str, Any]:
    """Raises ValueError where `tomllib` does, and for tables within tables without end."""
    bare = text.encode(errors="surrogatepass")
    if len(bare.translate(None, _CONTROL)) != len(
        bare
    ):  # only the parser knows where they are allowed
        return _parsed(text)
    found, skeleton, mark = _lifted(text)
    try:
        document = _parsed(skeleton)
    except ValueError:
        return _parsed(
            text
            # a list within a text of many lines, perhaps: the parser knows, or says where it is wrong
        )
    restored: dict[str, Any] = _restored(document, found, mark, 0)
    return restored


def package_lines(text: str, header: str, count: int) -> list[int]:
    """In which line each `[[header]]` begins; nothing where they cannot be told from look-alikes
    within texts.
    """
    wanted, found = f"\n[[{header}]]\n", []
    if text.startswith(wanted[1:]):
        found.append(1)
    line, start = 1, 0
    at = text.find(wanted)
    while at >= 0:
        line += text.count("\n", start, at + 1)
        start = at + 1
        found.append(line)
        at = text.find(wanted, start)
    return found if len(found) == count else []


def _parsed(text: str) -> dict[str, Any]:
    import tomllib  # only who has such a file pays for it

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _lifted(text: str) -> tuple[list[Any], str, str]:
    """The lists that could be read, the text with a marked number in the place of each, and the
    mark.
    """
    mark = f"{os.urandom(16).hex()}:"  # no text of the document can be taken for it
    found: list[Any] = []

    def lift(block: re.Match[str]) -> str:
        head, lines, single = block.groups()
        value = (
            _tables(lines) if lines else None if single.rstrip().endswith(",") else _table(single)
        )
        if value is None:
            return block[0]
        found.append(value)
        return f'{head}"{mark}{len(found) - 1}"'

    return found, _BLOCK.sub(lift, text), mark


def _tables(text: str) -> list[dict[str, Any]] | None:
    """A list, a table a line. As a rule all have the shape of the first, and one expression reads
    them all.
    """
    lines = text.split("\n")[:-1]
    first = _table(lines[0])
    if first is None:
        return None
    shape = _shape(
        tuple((key, type(value)) for key, value in first.items() if not isinstance(value, dict))
    )
    rows = shape.findall(text) if len(first) == shape.groups - 1 and "\\" not in text else []
    if len(rows) != len(
        lines
    ):  # each covers a line at least, and no two the same: as many of them as lines, so one of each
        tables = [_table(line) for line in lines]
        return None if None in tables else tables  # type: ignore[return-value]  # mypy does not see that none is None
    found: list[dict[str, Any]] = [dict(zip(first, row, strict=False)) for row in rows]
    for key, value in first.items():
        if not isinstance(value, str):
            for table in found:
                table[key] = int(table[key]) if isinstance(value, int) else _moment(table[key])
                if table[key] is None:
                    return None
    return found


@lru_cache(maxsize=64)
def _shape(fields: tuple[tuple[str, type], ...]) -> re.Pattern[str]:
    """A line with these fields. One group for each and an empty one at the end, so that several are
    found in any case.
    """
    values = {str: '"([^"]*+)"', int: r"(0|[1-9][0-9]{0,17}+)", datetime: f"({_TIME})"}
    pairs = ", ?".join(f"{re.escape(key)} ?= ?{values[kind]}" for key, kind in fields)
    return re.compile(rf"^[ \t]*+\{{ ?{pairs} ?\}},?[ \t]*+$()", re.MULTILINE)


def _table(line: str) -> dict[str, Any] | None:
    """One line as a table; None where it is another TOML than the plainest, or none."""
    parts = _FIELD.split(line)
    if (
        "\\" in line
        or parts[0].strip() != "{"
        or parts[-1].strip() not in _ENDS
        or any(part.strip() != "," for part in parts[_GROUPS:-1:_GROUPS])
    ):
        return None
    table: dict[str, Any] = {}
    for at in range(1, len(parts) - 1, _GROUPS):
        key, text, time, number, inner, value = parts[at : at + _GROUPS - 1]
        if key in table:
            return None
        if text is not None:
            table[key] = text
        elif inner is not None:
            table[key] = {inner: value}
        elif number is None:
            table[key] = _moment(time)
        elif len(number) > _LONGEST or (number[0] == "0" and number != "0"):
            return None
        else:
            table[key] = int(number)
    return None if None in table.values() else table


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _restored(value: Any, found: list[Any], mark: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        return found[int(value[len(mark) :])] if value.startswith(mark) else value
    if isinstance(value, dict):
        return {key: _restored(inner, found, mark, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_restored(inner, found, mark, depth + 1) for inner in value]
    return value
