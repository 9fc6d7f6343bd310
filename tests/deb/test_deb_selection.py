"""Selection and dependencies: what of an archive comes in, and why the rest does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.plugin import ActiveFilter, OptionFault, Unit
from reconciler_deb.content import Package
from reconciler_deb.dependencies.closure import Closure
from reconciler_deb.options.filter_options import FilterOptions
from reconciler_deb.options.patterns import Patterns, parse_pattern
from reconciler_deb.options.source_options import RemoteOptions, SourceOptions
from reconciler_deb.reading.listings import Listing
from reconciler_deb.reading.units import listed_units
from reconciler_deb.selecting.selection import PackageSelection
from tests.support.apt import control, paragraph

NOW = datetime(2026, 1, 10, tzinfo=UTC)
BASE = "https://deb.example.org/"


def listing(*controls: str, suites: Sequence[str] = ("stable",)) -> Listing:
    texts = [paragraph(text, b"deb", f"pool/{number}.deb") for number, text in enumerate(controls)]
    made = Listing()
    for suite in suites:
        made.add(suite, "main", "amd64", body="\n".join(texts).encode())
    return made


def units(*controls: str) -> list[Unit]:
    return [
        unit
        for name, entries in listing(*controls).groups(lambda name: True)
        for unit in listed_units(name, entries, BASE, refuse=lambda key, reason: None)
    ]


def options(**keys: Any) -> RemoteOptions:
    trust = {} if "keys" in keys or "trusted" in keys else {"trusted": True}
    return RemoteOptions.model_validate({"suites": ["stable"], **trust, **keys})


def house(**keys: Any) -> ActiveFilter[FilterOptions]:
    return ActiveFilter("house", FilterOptions.model_validate(keys), "site.yaml:1")


def reasons(
    made: Iterable[Unit], source: SourceOptions | None = None, *filters: ActiveFilter[FilterOptions]
) -> dict[str, str]:
    """Reasons of what is refused, by `name version`."""
    decisions = PackageSelection(source, filters, NOW).decide(list(made))
    return {
        decision.unit.key.removeprefix("stable/").removesuffix("_amd64"): decision.reason
        for decision in decisions
        if not decision.accepted
    }


WEB = control("nginx", "1.22-1", Section="web", Priority="optional")
NEWER = control("nginx", "1.24~rc1-1", Section="non-free/web", Priority="extra")


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({}, {}),
        ({"include": ["nginx (>= 1.24~)"]}, {"nginx_1.22-1": "matches no include"}),
        ({"include": ["ngin?"], "exclude": ["nginx (<< 1.23)"]},
         {"nginx_1.22-1": 'excluded by "nginx (<< 1.23)"'}),
        ({"sections": ["web"]}, {}),
        ({"sections": ["non-free/web"]}, {"nginx_1.22-1": "section `web` is not asked for"}),
        ({"priorities": ["optional"]}, {"nginx_1.24~rc1-1": "priority `extra` is not asked for"}),
        ({"latest": 1}, {"nginx_1.22-1": "not among the latest 1"}),
        ({"latest": 1, "exclude": ["nginx (>> 1.23)"]},
         {"nginx_1.24~rc1-1": 'excluded by "nginx (>> 1.23)"'}),
    ],
)  # fmt: skip
def test_the_keys_of_a_source_select(keys: dict[str, Any], refused: dict[str, str]) -> None:
    assert reasons(units(WEB, NEWER), options(**keys)) == refused


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"deny": ["ng*"], "allow": ["nginx"]}, 'denied by "ng*" (house.deny)'),
        ({"allow": ["apache2"]}, "matches nothing that is allowed (house.allow)"),
        ({"denySections": ["web"]}, "section `web` is denied (house.denySections)"),
        ({"denyPriorities": ["optional"]}, "priority `optional` is denied (house.denyPriorities)"),
        ({"maxSize": "2B"}, "3 bytes, more than 2 (house.maxSize)"),
    ],
)
def test_a_filter_says_which_of_its_keys_refuses(keys: dict[str, Any], refused: str) -> None:
    assert reasons(units(WEB), None, house(**keys)) == {"nginx_1.22-1": refused}


def test_the_place_of_a_rule_is_named() -> None:
    made = units(WEB)
    [[step]] = Package.trace("nginx", made, made, None, [house(denySections=["web"])], NOW)
    assert (step.passed, step.filter, step.key) == (False, "house", ("denySections",))
    [step] = Package.trace_group("apache2", options(include=["nginx"]), [])
    assert (step.passed, step.key) == (False, ("include",))


def test_an_age_counts_from_the_first_sight_and_is_judged_again() -> None:
    [unit] = units(WEB)
    seen = NOW - timedelta(days=1)
    unit.metadata["_firstSeen"] = seen.isoformat()
    [decision] = PackageSelection(None, [house(minAge="7d")], NOW).decide([unit])
    assert decision.reconsider_at == seen + timedelta(days=7)
    assert list(Package.needs_first_seen([unit], None, [house(minAge="7d")])) == [unit]
    assert list(Package.needs_first_seen([unit], None, [house()])) == []


def test_latest_counts_packages_for_all_with_those_of_each_architecture() -> None:
    made = units(control("x", "1"), control("x", "2", "all"))
    assert reasons(made, options(latest=1)) == {"x_1": "not among the latest 1"}


@pytest.mark.parametrize("text", ["", "nginx (~> 1)", "nginx (>= a b)", "a b", "nginx (>= é)"])
def test_a_pattern_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(OptionFault):
        parse_pattern(text)


@pytest.mark.parametrize(
    "keys",
    [
        {"include": []},
        {"suites": ["../x"]},
        {"architectures": ["x/y"]},
        {"keys": ["a.asc"], "trusted": True},
        {"trusted": False},
        {"recommends": True},
        {"latest": 0},
    ],
)
def test_keys_of_a_source_that_make_no_sense_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**keys)


def test_patterns_match_names_and_versions() -> None:
    patterns = Patterns(["lib*", "nginx (>= 1.22)"])
    assert patterns.find("libc6", "1") == "lib*"
    assert patterns.find("nginx", "1.22~") is None
    assert patterns.concern("nginx")
    assert not patterns.concern("apache2")


ARCHIVE = (
    control("app", "1.0", Depends="libfoo1 (>= 1.0), mta | postfix, web [armel]", Recommends="doc"),
    control("libfoo1", "0.9"),
    control("libfoo1", "1.0", Pre_Depends="base"),
    control("libfoo1", "1.1", Pre_Depends="base"),
    control("exim", "4", Provides="mta"),
    control("courier", "1", Provides="mta"),
    control("postfix", "3"),
    control("base", "1", "all", Depends="app"),
    control("doc", "1"),
    control("web", "1"),
)


def closure(*, filters: Sequence[ActiveFilter[FilterOptions]] = (), **keys: Any) -> dict[str, str]:
    """Reasons by key of what a closure requires; warnings under the key and `!`."""
    source = options(dependencies=True, **keys)
    taken = Closure(
        listing(*ARCHIVE), source, PackageSelection(source, filters, NOW), base=BASE
    ).taken()
    notes = {key: text for each in taken.values() for key, text in each.required.items()}
    notes |= {f"{key}!": text for each in taken.values() for key, text in each.unmet.items()}
    return {key.removeprefix("stable/").removesuffix("_amd64"): notes[key] for key in sorted(notes)}


def test_a_closure_takes_what_is_needed_and_no_more() -> None:
    assert closure(include=["app"]) == {
        "app_1.0": "base (Depends)",
        "base_1_all": "libfoo1 (Pre-Depends)",
        "courier_1": "app (Depends)",
        "libfoo1_1.1": "app (Depends)",
    }


def test_recommended_packages_come_in_where_asked_for() -> None:
    assert closure(include=["app"], recommends=True)["doc_1"] == "app (Recommends)"


def test_a_filter_keeps_a_dependency_out_and_another_one_meets_it() -> None:
    """Kind: a denied package that comes in, because something depends on it."""
    required = closure(include=["app"], filters=[house(deny=["courier", "libfoo1 (>= 1.1)"])])
    assert {"exim_4", "libfoo1_1.0"} <= required.keys()
    assert not {"courier_1", "libfoo1_1.1"} & required.keys()


def test_what_nothing_meets_is_a_warning() -> None:
    required = closure(include=["app"], exclude=["libfoo1", "exim", "courier", "postfix"])
    text = "nothing meets `libfoo1 (>= 1.0)`, `mta | postfix`"
    assert required == {"stable/app_1.0_amd64!": text} or required == {"app_1.0_amd64!": text}
    source = options(dependencies=True, include=["app"], exclude=["libfoo1"])
    selection = PackageSelection(source, (), NOW)
    taken = Closure(listing(*ARCHIVE), source, selection, base=BASE).taken()
    [unit] = taken["app"].annotated(units(ARCHIVE[0]))
    [decision] = selection.decide([unit])
    assert decision.accepted
    assert decision.reason == "nothing meets `libfoo1 (>= 1.0)`"


def test_a_closure_depends_on_no_order() -> None:
    source = options(dependencies=True, include=["app"])
    selection = PackageSelection(source, (), NOW)
    digests = set()
    for archive in (ARCHIVE, ARCHIVE[::-1]):
        taken = Closure(listing(*archive), source, selection, base=BASE).taken()
        digests.add(tuple((name, taken[name].digest) for name in sorted(taken)))
    assert len(digests) == 1


def test_what_is_needed_is_selected_whatever_include_says_but_not_what_is_excluded() -> None:
    made = units(control("libfoo1", "1.0"))
    made[0].metadata["_requiredBy"] = "app (Depends)"
    assert reasons(made, options(include=["app"], latest=1)) == {}
    assert reasons(made, options(include=["app"], exclude=["libfoo1"])) != {}


def test_the_source_of_a_package_comes_in_where_sources_are_read() -> None:
    made = listing(control("libfoo1", "1.0-1+b1", Source="foo (1.0-1)"), control("other"))
    sources = (
        f"Package: foo\nVersion: {version}\nDirectory: pool\nChecksums-Sha256:\n {'a' * 64} 1 x.dsc"
        for version in ("1.0-1", "1.1-1")
    )
    made.add("stable", "main", "source", body="\n\n".join(sources).encode())
    for architectures, required in ((["amd64"], {}), (["amd64", "source"], {"foo"})):
        source = options(dependencies=True, include=["libfoo1"], architectures=architectures)
        taken = Closure(made, source, PackageSelection(source, (), NOW), base=BASE).taken()
        assert {name for name, each in taken.items() if each.required} == set(required)
    assert taken["foo"].required == {"stable/foo_1.0-1_source": "libfoo1 (Source)"}
