"""Which paths overlap, and which export directories a publication leaves behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.publishing.export_paths import (
    orphaned_exports,
    overlap,
    removed_exports,
    replaces,
)
from tests.support.engine_states import a_publication

paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


@given(paths, paths)
def test_paths_overlap_where_one_lies_below_the_other(path: str, other: str) -> None:
    below = f"{other}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other}/")
    assert overlap(path, other) is below
    assert overlap(other, path) is below
    assert overlap(f"/{path}/", other) is below


@pytest.mark.parametrize(
    ("path", "other", "expected"),
    [("team", "teams", False), ("team", "team/simple", True), ("a/b", "a/c", False)],
)
def test_overlap_compares_whole_segments(path: str, other: str, expected: bool) -> None:
    assert overlap(path, other) is expected


def test_a_publication_replaces_one_whose_path_or_directory_it_needs() -> None:
    old = a_publication("old", path="old", written=["/srv/out", "relative"]).spec
    assert not replaces(a_publication("new", path="new"), old)
    assert replaces(a_publication("new", path="old/part"), old)
    assert replaces(a_publication("new", path="new", written=["/srv/out/below"]), old)
    assert replaces(a_publication("new", path="new", written=["relative"], folder="/etc"), old)
    assert not replaces(a_publication("new", path="new", written=["/srv/other"]), old)


def test_removed_exports_are_those_that_nothing_declared_uses() -> None:
    before = a_publication("team", written=["out", "/srv/a", "/srv/b"], folder="/etc").spec
    now = a_publication("team", written=["/srv/b"], folder="/etc")
    other = a_publication("other", written=["/srv/a/below"])
    assert removed_exports(now, before, [now]) == ["/etc/out", "/srv/a"]
    assert removed_exports(now, before, [now, other]) == ["/etc/out"]


def test_orphaned_exports_with_a_relative_path_stay() -> None:
    gone = a_publication("gone", written=["out", "/srv/a", "/srv/b", "/srv/c"]).spec
    taken = a_publication("taken", written=["/srv/a"])
    above = a_publication("above", written=["/srv/b/below"])
    orphans = orphaned_exports(gone, [taken, above])
    assert orphans.removable == ["/srv/c"]
    assert orphans.kept == ["out", "/srv/b"]
    assert orphaned_exports(gone, [a_publication("same", written=["out"], folder="/x")]).kept == []
