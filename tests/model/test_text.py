"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from reconciler.model import pluralize


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 files"), (1, "1 file"), (2, "2 files"), (21, "21 files"), (1200, "1,200 files")],
)
def test_one_is_singular_and_every_other_number_plural(number: int, expected: str) -> None:
    assert pluralize(number, "file") == expected


def test_a_plural_of_its_own_is_used_for_all_but_one() -> None:
    assert pluralize(1, "entry", "entries") == "1 entry"
    assert pluralize(3, "entry", "entries") == "3 entries"
