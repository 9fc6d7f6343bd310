"""Numbers in messages."""

from __future__ import annotations


def pluralize(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 file`, `2 files`, `1,200 files`.

    `plural`: where adding an `s` would be wrong, as in `entries`.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def counted_noun(number: int, plural: str) -> str:
    """Return the form of a noun that goes with a number: `file` for 1, else `files`."""
    if number != 1:
        return plural
    return f"{plural[:-3]}y" if plural.endswith("ies") else plural.removesuffix("s")


def size_text(size: int) -> str:
    """Return bytes in binary units: `48.1 MiB`."""
    number, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
