"""Faults for other readers than people at a terminal."""

from collections.abc import Iterable
from typing import Any

from reconciler.errors import Fault


def annotations(faults: Iterable[Fault]) -> str:
    """Workflow commands that a forge shows beside the lines of a pull request, one a line."""
    return "\n".join(
        "::error"
        f" file={_property(fault.origin.file)},line={fault.origin.line},col={fault.origin.column}::{_data(_whole(fault))}"
        for fault in faults
    )


def as_json(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """`{file, line, column, message, hint?}` each."""
    return [
        {
            "file": fault.origin.file,
            "line": fault.origin.line,
            "column": fault.origin.column,
            "message": fault.message,
        }
        | ({"hint": fault.hint} if fault.hint else {})
        for fault in faults
    ]


def _whole(fault: Fault) -> str:
    return f"{fault.message}\nhint: {fault.hint}" if fault.hint else fault.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
