"""Requirements, specifiers and markers (PEP 440, 508), as strangers write them.

`packaging` follows parentheses by recursion, and converts numbers only when it compares them: a
text that it accepts may fail where it is used. What is read here does not.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

LONGEST: Final = 8 * 1024  # characters of a requirement: no honest one comes near
_DEEPEST: Final = 50  # parentheses within each other


def read_requirement(text: str) -> Requirement:
    """Return a requirement (PEP 508). Raises ValueError."""
    _check_length(text)
    _check_depth(text)
    requirement = Requirement(text)
    _check_numbers(requirement.specifier)
    return requirement


def read_specifiers(text: str) -> SpecifierSet:
    """Return a version specifier (PEP 440). Raises ValueError."""
    _check_length(text)
    specifiers = SpecifierSet(text)
    _check_numbers(specifiers)
    return specifiers


def read_marker(text: str) -> Marker:
    """Return an environment marker (PEP 508). Raises ValueError."""
    _check_depth(text)
    return Marker(text)


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST:,} characters")


def _check_depth(text: str) -> None:
    """Raise ValueError for a marker whose parentheses are nested too deeply."""
    if text.count("(") > _DEEPEST and _depth(text) > _DEEPEST:
        raise ValueError("it is nested too deeply")


def _depth(text: str) -> int:
    return max(accumulate((letter == "(") - (letter == ")") for letter in text))


def _check_numbers(specifiers: SpecifierSet) -> None:
    """Raise ValueError for a number of thousands of digits, which is converted when compared."""
    for specifier in specifiers:
        specifier.contains("1")
