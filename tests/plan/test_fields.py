"""Differences of specifications by path and item: no list is ever printed whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.plan.changes import ADD, MASKED, MOVE, REMOVE, FieldChange
from reconciler.plan.fields import differences, field_lines


def remote(name: str, **keys: Any) -> dict[str, Any]:
    return {"remote": {"name": name, **keys}}


def lines(before: Any, after: Any) -> list[str]:
    return [line for field in differences("spec", before, after) for line in field_lines(field)]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            {"sources": [remote("up", include=["attrs<24", "idna"])]},
            {"sources": [remote("up", include=["idna", "six"])]},
            [
                'sources[0].remote.include: - "attrs<24"',
                'sources[0].remote.include: + "six"',
            ],
        ),
        (
            {"sources": [remote("a"), remote("b"), remote("c")]},
            {"sources": [remote("c"), remote("a"), remote("b")]},
            ["sources: remote `c` moved from 3 to 1"],
        ),
        (
            {"sources": [remote("a")]},
            {"sources": [{"upload": {}}, remote("a", exclude=["x"])]},
            ["sources[0]: + upload", 'sources[1].remote.exclude: + "x"'],
        ),
        (
            {"sources": [remote("a")]},
            {"sources": [remote("a"), remote("b", include=["x", "y"], dependencies=True)]},
            [
                "sources[1]: + remote `b`",
                "sources[1].remote.dependencies: (none) -> true",
                'sources[1].remote.include: + "x"',
                'sources[1].remote.include: + "y"',
            ],
        ),
        (
            {"sources": [remote("a", include=["x", "y"]), remote("b")]},
            {"sources": [remote("b")]},
            ["sources[0]: - remote `a`"],
        ),
        (
            {"sources": [{"repository": {"name": "base", "version": 7}}]},
            {"sources": [{"repository": {"name": "base", "version": 8}}]},
            ["sources[0].repository.version: 7 -> 8"],
        ),
        (
            {"exports": [{"directory": {"path": "/srv/a"}}]},
            {"exports": [{"directory": {"path": "/srv/b"}}]},
            ["exports[0].directory.path: /srv/a -> /srv/b"],
        ),
        (
            {"access": {"upload": [{"token": {"env": "OLD"}}]}},
            {"access": {"upload": [{"token": {"env": "NEW"}}]}},
            ["access.upload[0].token.env: OLD -> NEW"],
        ),
        ({}, {"guard": {"maxRemovals": "10%"}}, ["guard.maxRemovals: (none) -> 10%"]),
        ({"deny": ["a", "b"]}, {"deny": ["b", "a"]}, ['deny: "b" moved from 2 to 1']),
        ({"deny": ["a", "b"]}, {}, ['deny: - "a"', 'deny: - "b"']),
    ],
)
def test_each_item_is_said_at_its_path(
    before: dict[str, Any], after: dict[str, Any], said: list[str]
) -> None:
    assert lines(before, after) == said


def test_a_rotated_secret_has_no_value_before_or_after() -> None:
    said = list(field_lines(FieldChange("spec.auth.password", None, MASKED)))
    assert said == ["auth.password: secret changed"]


SCALARS = st.lists(st.sampled_from("abcdef"), max_size=8)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.sampled_from(["a", "b"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "x"]), inner)
    ),
    max_leaves=8,
)


@given(SCALARS, SCALARS)
def test_what_is_said_of_a_list_leads_from_one_to_the_other(
    before: list[str], after: list[str]
) -> None:
    fields = list(differences("spec.deny", before, after))
    gone = Counter(field.before for field in fields if field.op == REMOVE)
    new = Counter(field.after for field in fields if field.op == ADD)
    assert Counter(before) - gone + new == Counter(after)
    moved = [field for field in fields if field.op == MOVE]
    assert all(after[field.after] == before[field.before] for field in moved)
    stay_before = [
        item for index, item in enumerate(before) if index not in {field.before for field in moved}
    ]
    stay_after = [
        item for index, item in enumerate(after) if index not in {field.after for field in moved}
    ]
    common = Counter(stay_before) & Counter(stay_after)
    assert sum(common.values()) == len(stay_before) - sum(gone.values())


@given(VALUES, VALUES)
def test_something_is_said_if_and_only_if_something_differs(before: Any, after: Any) -> None:
    wrapped: tuple[Any, Any] = ({"key": before}, {"key": after})
    assert bool(list(differences("spec", *wrapped))) == (before != after)
    for line in lines(*wrapped):
        assert "\n" not in line
