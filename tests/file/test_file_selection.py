"""Decisions on files, with their reasons."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.plugin import ActiveFilter, Artifact, Options, StoredArtifact, StoredUnit, Unit
from reconciler_file.content import File
from reconciler_file.globs import Globs
from reconciler_file.options import FilterOptions, SourceOptions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA = "a" * 64


def unit(path: str, size: int | None = 1, sha256: str = SHA) -> Unit:
    return Unit("file.file", path, {}, [Artifact(path, sha256, size)])


def reasons(
    *units: Unit, source: dict[str, Any] | None = None, **filters: dict[str, Any]
) -> dict[str, str]:
    """Return refused files and their reasons. `filters`: keys by the name of each Filter."""
    options = None if source is None else SourceOptions.model_validate(source)
    active = [
        ActiveFilter(name, FilterOptions.model_validate(keys), "here")
        for name, keys in filters.items()
    ]
    decisions = list(File.select("00", units, options, active, NOW))
    assert [decision.unit for decision in decisions] == list(units)
    assert all(decision.accepted == (not decision.reason) for decision in decisions)
    return {decision.unit.key: decision.reason for decision in decisions if not decision.accepted}


class TestGlobs:
    @pytest.mark.parametrize(
        ("glob", "path"),
        [
            ("*.iso", "a.iso"),
            ("*.iso", "deep/down/a.iso"),
            ("a.iso", "deep/a.iso"),
            ("docs/*.html", "docs/a.html"),
            ("docs/**", "docs/a/b/c"),
            ("docs/**/x", "docs/x"),
            ("docs/**/x", "docs/a/b/x"),
            ("**/old/*", "old/x"),
            ("**/old/*", "a/b/old/x"),
            ("**/a/**/b", "a/a/x/b/a/b"),
            ("**", "any/thing"),
            ("[ab]?/*", "a1/x"),
            ("[!a]*", "b"),
        ],
    )
    def test_it_matches(self, glob: str, path: str) -> None:
        assert Globs([glob]).find(path) == glob

    @pytest.mark.parametrize(
        ("glob", "path"),
        [
            ("*.iso", "a.ISO"),
            ("*.iso", "a.iso.txt"),
            ("docs/*.html", "docs/a/b.html"),
            ("docs/*", "more/docs/a"),
            ("docs/**/x", "docs/ax"),
            ("**/old/*", "bold/x"),
            ("**/old/*", "old/x/y"),
            ("[!a]*", "a"),
            ("a?b/c", "a/b/c"),
        ],
    )
    def test_it_does_not_match(self, glob: str, path: str) -> None:
        assert Globs([glob]).find(path) is None

    @pytest.mark.parametrize(
        "glob", ["", "/docs/*", "docs/", "../x", "a/./b", "a\\b", "docs**", "a/**b/c"]
    )
    def test_what_can_never_match_is_refused_where_it_is_written(self, glob: str) -> None:
        for model, key in (
            (SourceOptions, "include"),
            (SourceOptions, "exclude"),
            (FilterOptions, "deny"),
        ):
            with pytest.raises(ValidationError):
                model.model_validate({key: [glob]})

    def test_hostile_paths_cannot_make_a_glob_slow(self) -> None:
        globs = Globs(["**/a/**/a/**/a/**/b", "*-*-*-*-*-*-*.iso", "**/*-*-*-*-*-*x/y"])
        started = time.process_time()
        assert globs.find("a/" * 500 + "c") is None
        assert globs.find("-" * 1000) is None
        assert globs.find("-" * 500 + "/" + "-" * 500) is None
        assert time.process_time() - started < 60, "what backtracks here would take years"


class TestSelection:
    def test_without_rules_everything_is_in(self) -> None:
        assert reasons(unit("a"), unit("b/c", None), source={}) == {}

    def test_include_and_exclude_of_the_source(self) -> None:
        assert reasons(
            unit("a.iso"),
            unit("b.txt"),
            unit("old/c.iso"),
            source={"include": ["*.iso"], "exclude": ["old/**"]},
        ) == {
            "b.txt": "matches no include",
            "old/c.iso": 'excluded by "old/**"',
        }

    def test_a_publication_has_no_source_rules(self) -> None:
        assert reasons(unit("a"), house={"deny": ["b"]}) == {}

    def test_filters_name_themselves_and_the_first_by_name_speaks(self) -> None:
        assert reasons(unit("a.exe", 9), second={"maxSize": "8B"}, first={"deny": ["*.exe"]}) == {
            "a.exe": 'denied by "*.exe" (first.deny)'
        }

    def test_sizes(self) -> None:
        assert reasons(
            unit("a", 1000), unit("b", 1001), unit("c", None), house={"maxSize": "1kB"}
        ) == {
            "b": "1,001 bytes, more than 1,000 (house.maxSize)",
            "c": "size unknown (house.maxSize)",
        }

    def test_a_file_that_was_not_measured_yet_is_asked_about_again(self) -> None:
        assert reasons(unit("a", None, ""), house={"maxSize": "1kB"}) == {}
        assert list(reasons(unit("a", 2000, ""), house={"maxSize": "1kB"})) == ["a"]

    @pytest.mark.parametrize("path", ["PULP_MANIFEST", "#a", " a", "a "])
    def test_what_no_manifest_could_list_is_out(self, path: str) -> None:
        assert list(reasons(unit(path), source={})) == [path]

    def test_such_names_are_fine_below_a_folder(self) -> None:
        assert reasons(unit("a/PULP_MANIFEST"), unit("a/#b"), source={}) == {}


def test_a_change_says_what_changed() -> None:
    before = StoredUnit(
        artifacts=[StoredArtifact("a", SHA, 1)], group="00", key="a", metadata={}, type="file.file"
    )
    assert (
        File.describe_change(before, unit("a", 1, "b" * 64))
        == "sha256 aaaaaaaaaaaa -> bbbbbbbbbbbb"
    )
    assert File.describe_change(before, unit("a", 2)) == "size declared otherwise"


def test_models_are_strict() -> None:
    models: list[tuple[type[Options], dict[str, Any]]] = [
        (SourceOptions, {"format": "zip"}),
        (SourceOptions, {"inclde": []}),
        (SourceOptions, {"include": "a"}),
        (FilterOptions, {"maxSize": 5}),
    ]
    for model, keys in models:
        with pytest.raises(ValidationError):
            model.model_validate(keys)


def test_what_decides_about_a_file_has_its_place() -> None:
    """Kind: a reason without the line of the manifest that gives it."""
    options = SourceOptions.model_validate({"include": ["*.iso"], "exclude": ["old*"]})
    house = FilterOptions.model_validate({"deny": ["bad*"], "maxSize": "5B"})
    units = [unit("a.iso"), unit("old.iso"), unit("a.txt"), unit("bad.iso"), unit("big.iso", 9)]
    steps = File.trace("00", units, units, options, [ActiveFilter("house", house, "here")], NOW)
    assert [(step.passed, step.filter, step.key) for [step] in map(list, steps)] == [
        (True, "", ()),
        (False, "", ("exclude",)),
        (False, "", ("include",)),
        (False, "house", ("deny",)),
        (False, "house", ("maxSize",)),
    ]
