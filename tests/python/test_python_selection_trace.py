"""The trace for `explain`: every rule in force with its result and its place."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plugin import ActiveFilter, TraceStep, Unit
from reconciler_python.content import Distribution
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.selecting.selection import ProjectSelection, trace_project
from tests.support.selecting import NOW, house_rules, unit


def trace(
    one: Unit, *filters: ActiveFilter, among: list[Unit] | None = None, **keys: Any
) -> list[TraceStep]:
    units = [one, *(among or [])]
    [steps] = Distribution.trace(
        "django", units, [one], SelectionOptions.model_validate(keys), filters, NOW
    )
    return list(steps)


def test_whatever_lets_it_in_is_told_with_its_place() -> None:
    pulled = unit("5.0", _pulledBy=["foo 1.0 requires django>=5"])
    steps = trace(
        pulled,
        include=["requests", "django>=5", "dj*"],
        files=["a-1.tar.gz", {"name": "django", "version": "5.0"}],
        exclude=["x", "django==6"],
    )
    assert steps == [
        TraceStep(True, "excluded by no rule", "", ("exclude",)),
        TraceStep(True, 'included by "dj*"', "", ("include", 2)),
        TraceStep(True, 'included by "django>=5"', "", ("include", 1)),
        TraceStep(True, 'one of the files: "django, 5.0"', "", ("files", 1)),
        TraceStep(True, "depended on: foo 1.0 requires django>=5", "", ("dependencies",)),
    ]


def test_every_rule_that_keeps_it_out_is_told_with_its_place() -> None:
    rules = house_rules(
        deny=["evil", "django==5.*", "django-5.0-py3-none-any.whl"],
        platforms=["linux"],
        yanked="drop",
        maxSize="1kB",
    )
    steps = trace(
        unit("5.0", size=5000), rules, include=["requests"], filter={"packageTypes": ["wheel"]}
    )
    assert steps == [
        TraceStep(False, "matches no include", "", ("include",)),
        TraceStep(True, "package type wheel (filter.packageTypes)", "", ("filter", "packageTypes")),
        TraceStep(
            False,
            'denied by "django-5.0-py3-none-any.whl" (house-rules.deny)',
            "house-rules",
            ("deny", 2),
        ),
        TraceStep(False, 'denied by "django==5.*" (house-rules.deny)', "house-rules", ("deny", 1)),
        TraceStep(False, "platform any (house-rules.platforms)", "house-rules", ("platforms",)),
        TraceStep(True, "not yanked (house-rules.yanked)", "house-rules", ("yanked",)),
        TraceStep(False, "too large (house-rules.maxSize 1kB)", "house-rules", ("maxSize",)),
    ]


def test_what_passes_is_told_in_what_respect() -> None:
    rules = house_rules(
        allow=["dj*"],
        platforms=["linux", "any"],
        pythons=["py3"],
        abis=["none"],
        requiresPython=["3.11"],
        prereleases="deny",
        maxSize="1MiB",
    )
    steps = trace(unit("5.0", size=5000, requiresPython=">=3.8"), rules)
    assert all(step.passed for step in steps)
    assert [(step.text, step.key) for step in steps] == [
        ('allowed by "dj*" (house-rules.allow)', ("allow", 0)),
        ("platform any (house-rules.platforms)", ("platforms", 1)),
        ("python py3 (house-rules.pythons)", ("pythons", 0)),
        ("ABI none (house-rules.abis)", ("abis", 0)),
        ("requires Python >=3.8 (house-rules.requiresPython)", ("requiresPython",)),
        ("no pre-release (house-rules.prereleases)", ("prereleases",)),
        ("5,000 bytes (house-rules.maxSize 1MiB)", ("maxSize",)),
    ]
    [sdist] = trace(unit("5.0", package_type="sdist"), house_rules(platforms=["linux"]))
    assert (sdist.passed, sdist.text) == (
        True,
        "sdist: only wheels have tags (house-rules.platforms)",
    )


def test_every_cooldown_speaks_the_longest_first() -> None:
    young = unit("5.0", uploadTime="2026-11-18T00:00:00Z")
    steps = trace(
        young,
        house_rules("a", minAge="1d"),
        house_rules("b", minAge="7d"),
        house_rules("c", minAge="30d", minAgeExempt=["x", "dj*"]),
    )
    assert steps == [
        TraceStep(True, 'exempt from minAge by "dj*" (c.minAgeExempt)', "c", ("minAgeExempt", 1)),
        TraceStep(
            False, "uploaded 2026-11-18, eligible 2026-11-25 (b.minAge 7d)", "b", ("minAge",)
        ),
        TraceStep(True, "uploaded 2026-11-18 (a.minAge 1d)", "a", ("minAge",)),
    ]
    [uploaded] = Distribution.trace(
        "django", [young], [young], None, [house_rules(minAge="7d", deny=["x"])], NOW
    )
    assert [step.text for step in uploaded] == ["denied by no rule (house-rules.deny)"]


def test_the_collective_keys_speak_last_and_only_of_what_passes_the_others() -> None:
    rules = house_rules(prereleases="if-nothing-else", latest=1, deny=["django==4.*"])
    among = [unit("5.0"), unit("4.2")]

    def last(version: str) -> list[tuple[bool, str]]:
        return [
            (step.passed, step.text.removesuffix(f" (house-rules.{step.key[0]})"))
            for step in trace(unit(version), rules, among=among)[-2:]
        ]

    assert last("6.0") == [
        (True, "a final release, or there is none"),
        (True, "among the latest 1"),
    ]
    assert last("3.0") == [
        (True, "a final release, or there is none"),
        (False, "not among the latest 1"),
    ]
    assert last("6.0a1") == [
        (False, "pre-release, and there are final releases"),
        (True, "latest counts only what passes everything else"),
    ]
    assert last("4.1") == [
        (True, "if-nothing-else counts only what passes everything else"),
        (True, "latest counts only what passes everything else"),
    ]


@pytest.mark.parametrize(
    ("keys", "words", "place"),
    [
        ({"files": ["a-1.tar.gz"]}, "matches no file", "files"),
        ({"files": ["a-1.tar.gz"], "include": ["a"]}, "matches no include or file", "include"),
        ({"files": ["a-1.tar.gz"], "dependencies": True}, "matches no file or dependency", "files"),
    ],
)
def test_what_nothing_means_is_told_with_the_key_that_selects(
    keys: dict[str, Any], words: str, place: str
) -> None:
    assert trace(unit("5.0"), **keys) == [TraceStep(False, words, "", (place,))]
    if "dependencies" not in keys:
        assert list(trace_project("django", SelectionOptions.model_validate(keys), [])) == [
            TraceStep(False, words, "", (place,))
        ]


def test_many_units_are_traced_by_one_look_at_their_group() -> None:
    units = [unit(f"{number}.0") for number in range(4)]
    selection = ProjectSelection("django", SelectionOptions(), [house_rules(latest=2)], now=NOW)
    chains = list(
        selection.trace(iter(units), units[::-1])
    )  # an iterator: a second pass sees nothing
    assert [step.passed for chain in chains for step in chain] == [True, True, False, False]


def test_rules_that_mean_a_whole_project_are_told_without_its_files() -> None:
    options = SelectionOptions.model_validate(
        {"exclude": ["x", "dj*"], "filter": {"deny": ["a", "django"]}, "include": ["y"]}
    )
    assert list(trace_project("django", options, [house_rules(deny=["django<5", "*"])])) == [
        TraceStep(False, 'excluded by "dj*"', "", ("exclude", 1)),
        TraceStep(False, "matches no include", "", ("include",)),
        TraceStep(False, 'denied by "django" (filter.deny)', "", ("filter", "deny", 1)),
        TraceStep(False, 'denied by "*" (house-rules.deny)', "house-rules", ("deny", 1)),
    ]
