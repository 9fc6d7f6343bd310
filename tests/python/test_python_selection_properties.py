"""Selection as algebra.

Order never matters, a second time changes nothing, a stricter rule never lets more in, an
explanation agrees.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from reconciler.plugin import ActiveFilter, Unit
from reconciler_python.content import Distribution
from reconciler_python.options.source_options import SelectionOptions
from tests.support.selecting import NOW, decide, house_rules, unit, versions_in

VERSIONS = ["4.2", "5.0rc1", "5.0", "5.0.0", "5.1.dev1", "6.0a1", "6.0", "odd-version"]
RULES = st.sampled_from(
    [
        "django",
        "dj*",
        "django>=5",
        "django<5",
        "django==5.0.*",
        "django!=5.0",
        "django==6.0a1",
        "requests",
        "*",
    ]
)
FILENAMES = st.sampled_from(["django-5.0-py3-none-any.whl", "django-6.0.tar.gz"])
ENDINGS = [
    "-py3-none-any.whl",
    "-cp311-cp311-win_amd64.whl",
    "-cp38-abi3-manylinux_2_17_x86_64.whl",
    "-py3-none-linux_x86_64.macosx_11_0_arm64.whl",
]


def some(values: Any, most: int = 3, *, least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=least, max_size=most, unique_by=str)


PER_FILE: dict[str, st.SearchStrategy[Any]] = {
    "allow": some(RULES | FILENAMES, least=1),
    "deny": some(RULES | FILENAMES, 2),
    "minAge": st.sampled_from(["0s", "1d", "30d"]),
    "minAgeExempt": st.sampled_from([["django"], ["requests"]]),
    "packageTypes": some(st.sampled_from(["wheel", "sdist"]), least=1),
    "platforms": some(st.sampled_from(["any", "linux", "macos_arm64", "win_amd64"]), least=1),
    "pythons": some(st.sampled_from(["py3", "cp311", "cp3"]), least=1),
    "abis": some(st.sampled_from(["none", "abi3", "cp311"]), least=1),
    "requiresPython": some(st.sampled_from(["3.11", ">=3.12", "2.7"]), least=1),
    "devReleases": st.sampled_from(["allow", "deny"]),
    "yanked": st.sampled_from(["keep", "drop"]),
    "maxSize": st.sampled_from(["1kB", "1MB"]),
    "attestations": st.just("required"),
}
COLLECTIVE: dict[str, st.SearchStrategy[Any]] = {
    "prereleases": st.sampled_from(["allow", "deny", "if-nothing-else"]),
    "latest": st.integers(1, 4),
}
LONE_FILTER = st.fixed_dictionaries({}, optional=PER_FILE)
FILTER = st.fixed_dictionaries({}, optional={**PER_FILE, **COLLECTIVE})
SELECTED: dict[str, st.SearchStrategy[Any]] = {
    "include": some(RULES, least=1),
    "exclude": some(RULES, 2),
    "files": some(
        FILENAMES
        | st.sampled_from(
            [{"name": "django", "version": "5"}, {"name": "django", "platform": "any"}]
        ),
        2,
        least=1,
    ),
}
LONE_SOURCE = st.fixed_dictionaries({}, optional={**SELECTED, "filter": LONE_FILTER})
SOURCE = st.fixed_dictionaries({}, optional={**SELECTED, "filter": FILTER})
UNITS = st.lists(
    st.builds(
        lambda version, ending, size, metadata: unit(
            version,
            ending,
            package_type="wheel" if ending.endswith(".whl") else "sdist",
            size=size,
            **metadata,
        ),
        st.sampled_from(VERSIONS),
        st.sampled_from([*ENDINGS, ".tar.gz"]),
        st.sampled_from([10, 10**5, 10**7, None]),
        st.fixed_dictionaries(
            {},
            optional={
                "uploadTime": st.sampled_from(
                    ["2026-11-21T00:00:00Z", "2026-11-01T00:00:00Z", "someday"]
                ),
                "requiresPython": st.sampled_from([">=3.8", ">=3.12", "<3", "what"]),
                "yanked": st.sampled_from([True, "broken"]),
                "_pulledBy": st.just(["foo 1.0 requires it"]),
                "_attestation": st.just(
                    {"publishers": [{"kind": "GitHub", "repository": "foo/foo"}]}
                ),
            },
        ),
    ),
    max_size=8,
    unique_by=lambda build: build.key,
)
PATIENT = settings(deadline=None, max_examples=60)
CHANCE = st.randoms(use_true_random=False)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(item, chance) for key, item in value.items()}
    return chance.sample(value, len(value)) if isinstance(value, list) else value


def rules_of(filters: list[dict[str, Any]]) -> list[ActiveFilter]:
    return [house_rules(f"filter-{number}", **keys) for number, keys in enumerate(filters)]


def keys_in(units: list[Unit], filters: list[dict[str, Any]], source: dict[str, Any]) -> set[str]:
    return {
        answer.unit.key for answer in decide(units, *rules_of(filters), **source) if answer.accepted
    }


@PATIENT
@given(UNITS, SOURCE, st.lists(FILTER, max_size=3), CHANCE)
def test_order_never_matters(
    units: list[Unit], source: dict[str, Any], filters: list[dict[str, Any]], chance: random.Random
) -> None:
    straight = decide(units, *rules_of(filters), **source)
    mixed = rules_of([shuffled(keys, chance) for keys in filters])
    again = decide(
        chance.sample(units, len(units)),
        *chance.sample(mixed, len(mixed)),
        **shuffled(source, chance),
    )
    assert {answer.unit.key: answer for answer in straight} == {
        answer.unit.key: answer for answer in again
    }


@PATIENT
@given(UNITS, SOURCE, st.lists(FILTER, max_size=2))
def test_what_was_let_in_is_let_in_again(
    units: list[Unit], source: dict[str, Any], filters: list[dict[str, Any]]
) -> None:
    once = [
        answer.unit for answer in decide(units, *rules_of(filters), **source) if answer.accepted
    ]
    assert all(answer.accepted for answer in decide(once, *rules_of(filters), **source))


@PATIENT
@given(UNITS, LONE_SOURCE, LONE_FILTER)
def test_without_collective_keys_one_file_is_decided_alone_as_in_company(
    units: list[Unit], source: dict[str, Any], rules: dict[str, Any]
) -> None:
    for answer in decide(units, house_rules(**rules), **source):
        assert decide([answer.unit], house_rules(**rules), **source) == [answer]


@PATIENT
@given(UNITS, LONE_SOURCE, st.lists(LONE_FILTER, max_size=2), LONE_FILTER, RULES)
def test_a_stricter_rule_never_lets_more_in(
    units: list[Unit],
    source: dict[str, Any],
    filters: list[dict[str, Any]],
    further: dict[str, Any],
    rule: str,
) -> None:
    before = keys_in(units, filters, source)
    assert keys_in(units, [*filters, further], source) <= before, "a further filter"
    assert keys_in(units, [*filters, {"prereleases": "deny"}], source) <= before
    assert (
        keys_in(units, filters, {**source, "exclude": [*source.get("exclude", []), rule]}) <= before
    )
    for number, keys in enumerate(filters):
        for stricter in constrain(keys, rule):
            assert (
                keys_in(units, [*filters[:number], stricter, *filters[number + 1 :]], source)
                <= before
            ), stricter


def constrain(keys: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    """The same filter with one key made stricter, for each key that can be."""
    stricter: list[dict[str, Any]] = [
        {"deny": [*keys.get("deny", []), rule]},
        {"minAge": "60d"},
        {"maxSize": "1B"},
        {"yanked": "drop"},
        {"minAgeExempt": []},
    ]
    for key in ("allow", "packageTypes", "platforms", "pythons", "abis", "requiresPython"):
        stricter += [{key: keys[key][:-1]}] if len(keys.get(key, [])) > 1 else []
    return [{**keys, **one} for one in stricter]


@PATIENT
@given(UNITS, SOURCE, st.lists(FILTER, max_size=2))
def test_an_explanation_agrees_with_the_decision(
    units: list[Unit], source: dict[str, Any], filters: list[dict[str, Any]]
) -> None:
    options = SelectionOptions.model_validate(source)
    rules = rules_of(filters)
    answers = list(Distribution.select("django", units, options, rules, NOW))
    chains = Distribution.trace(
        "django", units, [answer.unit for answer in answers], options, rules, NOW
    )
    for answer, chain in zip(answers, chains, strict=True):
        steps = list(chain)
        against = [step.text for step in steps if not step.passed]
        assert answer.accepted == (not against)
        assert answer.reason == (against[0] if against else "")
        for step in steps:
            assert step.text
            assert written_at(
                source if not step.filter else filters[int(step.filter.removeprefix("filter-"))],
                step.key,
            ), step


def written_at(keys: dict[str, Any], path: tuple[str | int, ...]) -> bool:
    """Return True if a value is written there; defaults and dependencies have no place."""
    value: Any = keys
    for step in path:
        if step == "dependencies":
            return True
        if (isinstance(step, int) and step >= len(value)) or (
            isinstance(step, str) and step not in value
        ):
            return False
        value = value[step]
    return True


@PATIENT
@given(
    st.lists(
        st.from_regex(
            r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?",
            fullmatch=True,
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(
        [
            ">=5",
            "<5",
            "~=5.0",
            "==5.*",
            "!=5.0",
            ">5",
            "<=5.0",
            ">=5.0rc1",
            "==5.0a1",
            ">=4,<6,!=5.0",
            "===5.0",
        ]
    ),
)
def test_specifiers_mean_what_packaging_says(texts: list[str], specifier: str) -> None:
    versions = sorted({str(Version(text)) for text in texts})
    specifiers = SpecifierSet(specifier)
    named = bool(specifiers.prereleases)
    assert versions_in(versions, include=[f"django{specifier}"]) == [
        version for version in versions if specifiers.contains(version, prereleases=named)
    ]
    assert versions_in(versions, exclude=[f"django{specifier}"]) == [
        version for version in versions if not specifiers.contains(version, prereleases=True)
    ]
    newest = max(SpecifierSet("").filter(map(Version, versions)))  # as installers choose
    assert {
        Version(one)
        for one in versions_in(versions, house_rules(latest=1, prereleases="if-nothing-else"))
    } == {newest}
