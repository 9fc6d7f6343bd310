"""Refusals are counted by rule: no value of a file makes two of what one rule refuses."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.sources.selection import counted_rule
from reconciler.plugin import Unit
from tests.support.selecting import decide, house_rules, unit

FILTERS: dict[str, tuple[dict[str, Any], list[Unit]]] = {
    "platforms": (
        {"platforms": ["win32"]},
        [unit("1.0", f"-py3-none-{name}.whl") for name in ("linux_x86_64", "linux_aarch64")],
    ),
    "pythons": (
        {"pythons": ["cp312"]},
        [unit("1.0", f"-{tag}-none-any.whl") for tag in ("cp38", "cp39")],
    ),
    "packageTypes": (
        {"packageTypes": ["wheel"]},
        [unit("1.0", package_type="sdist"), unit("1.0", package_type="egg")],
    ),
    "deny": ({"deny": ["django<2", "django==3.*"]}, [unit("1.0"), unit("3.1")]),
    "requiresPython": (
        {"requiresPython": ["3.12"]},
        [unit("1.0", requiresPython=">=3.13"), unit("2.0", requiresPython=">=3.14")],
    ),
    "maxSize": ({"maxSize": "1KiB"}, [unit("1.0", size=2000), unit("2.0")]),
    "yanked": ({"yanked": "drop"}, [unit("1.0", yanked="bad"), unit("2.0", yanked=True)]),
    "prereleases": ({"prereleases": "deny"}, [unit("1.0a1"), unit("2.0rc1")]),
    "latest": ({"latest": 1}, [unit("1.0"), unit("2.0")]),
}


@pytest.mark.parametrize("key", FILTERS)
def test_a_filter_is_one_rule_whatever_it_finds(key: str) -> None:
    keys, units = FILTERS[key]
    if key == "latest":
        units = [*units, unit("3.0")]
    by_house, by_source = decide(units, house_rules(**keys)), decide(units, filter=keys)
    for decisions, prefix in ((by_house, "house-rules"), (by_source, "filter")):
        refused = [answer for answer in decisions if not answer.accepted]
        rules = {counted_rule(answer.reason, answer.rule) for answer in refused}
        assert (len(refused), rules) == (2, {f"{prefix}.{key}"})


def test_keys_of_the_source_are_rules_too() -> None:
    units = [unit("1.0"), unit("2.0"), unit("3.0")]
    excluded = decide(units, exclude=["django==1.*", "django==2.*"])
    assert {answer.rule for answer in excluded if not answer.accepted} == {"exclude"}
    unmatched = decide(units, include=["django>9"])
    assert {counted_rule(answer.reason, answer.rule) for answer in unmatched} == {""}
    assert {answer.reason for answer in unmatched} == {"matches no include"}


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("not a PEP 440 version: `old`", "not a PEP 440 version"),
        ("the filename is unsafe", ""),
        ("no digest (`hashes: optional` would take it)", ""),
        ("its dependencies are unknown: no METADATA: broken", "its dependencies are unknown"),
    ],
)
def test_what_could_not_become_a_unit_is_counted_without_its_value(reason: str, rule: str) -> None:
    assert counted_rule(reason) == rule
