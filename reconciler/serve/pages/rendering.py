"""Templates, and how they write sizes, moments and addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from reconciler.serve.responses import without_paths

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
STEP = 1024


def render(template: str, **values: Any) -> bytes:
    """Return a page. `root`: relative reference to `/`, for links that work behind a prefix."""
    return _environment().get_template(template).render(values).encode(errors="replace")


@cache
def style_sheet() -> bytes:
    """Return the one style sheet."""
    return files(__package__).joinpath("templates/style.css").read_bytes()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": size,
        "moment": moment,
        "path": path,
        "count": count,
        "public": without_paths,
    }
    return environment


def size(number: int | None) -> str:
    """Return bytes as people read them."""
    if number is None:
        return "unknown"
    value, unit = float(number), 0
    while value >= STEP and unit < len(UNITS) - 1:
        value, unit = value / STEP, unit + 1
    return f"{number} B" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def moment(value: datetime | str | None) -> str:
    """Return a moment in UTC to the minute, empty for none."""
    if value is None:
        return ""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return ""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def path(text: str) -> str:
    """Return a path for a relative reference: nothing in it means more than a name."""
    return quote(text, safe="/")


def count(number: int) -> str:
    """Return a number with thousands apart."""
    return f"{number:,}"
