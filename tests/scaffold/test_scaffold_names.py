"""Names of plugins, and what is derived from them."""

from __future__ import annotations

from keyword import iskeyword

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from reconciler.errors import UsageFault
from reconciler.scaffold import Names
from reconciler.scaffold.names import MAX_LENGTH


def test_a_name_becomes_a_distribution_and_a_package() -> None:
    names = Names.parse("Json_-Schemas")
    assert (names.id, names.distribution, names.package) == (
        "json-schemas",
        "reconciler-json-schemas",
        "reconciler_json_schemas",
    )


def test_a_name_of_the_greatest_length_is_accepted() -> None:
    assert Names.parse("x" * MAX_LENGTH).id == "x" * MAX_LENGTH


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,38}[A-Za-z0-9])?", fullmatch=True))
def test_names_are_normalised_as_indexes_do_it_and_once(text: str) -> None:
    id = canonicalize_name(text)
    assume(not iskeyword(id) and not id.startswith("reconciler-"))
    names = Names.parse(text)
    assert names.id == id
    assert Names.parse(names.id) == names
    assert names.package.isidentifier()


@pytest.mark.parametrize(
    "text", ["", "-", "a-", "_a", "a b", "a.b", "a/b", "../a", "ä", "a\n", "x" * 41]
)
def test_what_cannot_be_a_name_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageFault, match="cannot be a plugin's name") as refused:
        Names.parse(text)
    assert "json-schemas" in (refused.value.hint or "")


def test_a_word_of_python_is_refused() -> None:
    with pytest.raises(UsageFault, match="`class` is a word of the Python language"):
        Names.parse("Class")


def test_a_name_does_not_repeat_the_prefix() -> None:
    with pytest.raises(UsageFault) as refused:
        Names.parse("reconciler_maps")
    assert refused.value.hint == "write `maps`; the prefix comes by itself"
