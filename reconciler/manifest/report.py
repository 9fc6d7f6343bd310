"""Faults as workflow annotations and as JSON."""

from collections.abc import Iterable
from typing import Any

from reconciler.errors import Fault


def annotations(faults: Iterable[Fault]) -> str:
    """Return workflow commands, one per line, which a forge shows beside the lines of a change."""
    return "\n".join(map(_annotation, faults))


def as_json(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """Return `{file, line, column, message, hint?}` for each fault.

    Line and column are None where the file as a whole is meant.
    """
    return [
        {
            "file": fault.origin.file,
            "line": fault.origin.line or None,
            "column": fault.origin.column if fault.origin.line else None,
            "message": fault.message,
        }
        | ({"hint": fault.hint} if fault.hint else {})
        for fault in faults
    ]


def _annotation(fault: Fault) -> str:
    origin = fault.origin
    place = f"file={_property(origin.file)}"
    if origin.line:
        place += f",line={origin.line},col={origin.column}"
    return f"::error {place}::{_data(_whole(fault))}"


def _whole(fault: Fault) -> str:
    return f"{fault.message}\nhint: {fault.hint}" if fault.hint else fault.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
