"""Rows come in the order that people expect, and nouns agree with their numbers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Digest, Kind, Ref, counted_noun
from reconciler.plan import ADD, ChangeLine, Plan, natural_sort_key, render_text, version_sort_key
from reconciler.plan.changes import Action, Counts, GroupChange, GroupLine, ResourceChange
from reconciler.plan.text import counts_text
from tests.support.plans import content

VERSIONS = ["1.0.dev1", "1.0a2", "1.0a10", "1.0rc1", "1.0", "1.0+local", "1.0.post1", "1.9", "1.10"]


def test_versions_are_ordered_by_pep_440_newest_last() -> None:
    shuffled = random.Random(7).sample(VERSIONS, len(VERSIONS))
    assert sorted(shuffled, key=version_sort_key) == VERSIONS
    assert sorted(["1.0", "weird", "0-old10", "0-old9"], key=version_sort_key) == [
        "0-old9",
        "0-old10",
        "weird",
        "1.0",
    ]


@given(st.lists(st.text(max_size=12)))
def test_any_texts_can_be_ordered(texts: list[str]) -> None:
    sorted(texts, key=version_sort_key)
    sorted(texts, key=natural_sort_key)


def test_numbers_of_thousands_of_digits_can_be_ordered() -> None:
    """A stranger's name must not stop a plan: Python reads no such number."""
    huge = "9" * 5_000
    for text in (huge, f"1.{huge}", f"name-{huge}.tar.gz"):
        assert sorted([text, "1.0"], key=version_sort_key) == [text, "1.0"]
        assert len(sorted([text, "1.0"], key=natural_sort_key)) == 2


def rows(changes: list[GroupChange], *, buckets: bool, verbose: bool) -> list[str]:
    held = replace(content(changes), buckets=buckets)
    change = ResourceChange(Action.UPDATE, Ref(Kind.REPOSITORY, "team"), content=held)
    plan = Plan(Digest.of(b""), (change,))
    lines = list(render_text(plan, verbose=verbose))
    return [line.split(maxsplit=1)[1].strip() for line in lines if line.startswith("    + ")]


def group(name: str, *lines: ChangeLine) -> GroupChange:
    return GroupChange(GroupLine(name, "remote:up"), list(lines))


@pytest.mark.parametrize("verbose", [False, True])
def test_projects_are_in_natural_order_and_their_versions_newest_last(verbose: bool) -> None:
    def release(version: str) -> ChangeLine:
        return ChangeLine(ADD, "test.file", f"file-{version}", Digest.of(b""), version=version)

    changes = [group("lib10", release("1")), group("lib2", *map(release, reversed(VERSIONS)))]
    assert rows(changes, buckets=False, verbose=verbose) == [
        *(f"lib2 {version}" for version in VERSIONS),
        "lib10 1",
    ]


@pytest.mark.parametrize("verbose", [False, True])
def test_paths_are_in_natural_order_across_their_buckets(verbose: bool) -> None:
    """Also where only the first rows are shown."""
    paths = [f"disk-{number}.iso" for number in range(1, 61)]
    changes = [
        group(f"{number % 7:02}", ChangeLine(ADD, "test.file", path, Digest.of(b"")))
        for number, path in enumerate(random.Random(3).sample(paths, 60))
    ]
    shown = rows(
        sorted(changes, key=lambda change: change.head.name), buckets=True, verbose=verbose
    )
    assert shown == (paths if verbose else paths[:40])


def test_nouns_agree_with_their_numbers() -> None:
    assert counts_text(Counts(added=1), "distributions") == "+1 distribution"
    assert counts_text(Counts(added=1, removed=1), "files") == "+1 -1 files"
    assert [counted_noun(number, "entries") for number in (0, 1, 2)] == [
        "entries",
        "entry",
        "entries",
    ]
