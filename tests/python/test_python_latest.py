"""`latest`: how many releases of what, what is never dropped, and what a plan says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from reconciler.plugin import ActiveFilter
from reconciler_python.content import Distribution
from reconciler_python.evidence.licences import LICENCE_FACTS
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from tests.support.selecting import NOW, decide, house_rules, kept, unit, versions_in

VERSIONS = ["3.9", "3.10", "4.0", "4.1", "4.2rc1", "5.0.0", "5.0.1"]


def rules(releases: int, per: str, **more: Any) -> ActiveFilter:
    return house_rules(latest={"releases": releases, "per": per}, **more)


@pytest.mark.parametrize(
    ("per", "releases", "left"),
    [
        ("project", 2, ["5.0.0", "5.0.1"]),
        ("major", 1, ["3.10", "4.1", "5.0.1"]),
        ("minor", 1, ["3.9", "3.10", "4.0", "4.1", "4.2rc1", "5.0.1"]),
    ],
)
def test_the_newest_of_each_are_kept(per: str, releases: int, left: list[str]) -> None:
    assert versions_in(VERSIONS, rules(releases, per)) == left


def test_the_newest_for_each_target_is_kept() -> None:
    """A release that only one platform has does not take the other's away."""
    units = [unit(version, f"-cp311-cp311-{platform}.whl") for version, platform in RELEASES]
    targets = [
        {"python": "3.11", "platform": platform} for platform in ("win_amd64", "linux_x86_64")
    ]
    assert kept(units, rules(1, "target", targets=targets)) == [
        "django-2.0-cp311-cp311-win_amd64.whl",
        "django-1.0-cp311-cp311-manylinux_2_17_x86_64.whl",
    ]
    with pytest.raises(ValidationError, match="without `targets`"):
        FilterOptions.model_validate({"latest": {"releases": 1, "per": "target"}})


RELEASES = [
    ("2.0", "win_amd64"),
    ("1.0", "win_amd64"),
    ("1.0", "manylinux_2_17_x86_64"),
    ("0.9", "manylinux_2_17_x86_64"),
]


def test_of_several_each_counts_in_any_order() -> None:
    filters = [rules(1, "major"), house_rules("second", latest=2)]
    assert versions_in(VERSIONS, *filters) == ["5.0.1"]
    assert versions_in(VERSIONS, *reversed(filters)) == ["5.0.1"]


@pytest.mark.parametrize(
    "source",
    [
        {"include": ["django", "django==3.9"]},
        {"include": ["django"], "files": [{"name": "django", "version": "3.9"}]},
        {"include": ["django"], "files": ["django-3.9-py3-none-any.whl"]},
    ],
    ids=["include", "version", "file"],
)
def test_what_a_pin_names_is_never_dropped(source: dict[str, Any]) -> None:
    """Kind: a rule about many that undoes what was asked for by name."""
    units = [unit(version, "-py3-none-any.whl") for version in VERSIONS]
    assert kept(units, house_rules(latest=1), **source) == [
        "django-3.9-py3-none-any.whl",
        "django-5.0.1-py3-none-any.whl",
    ]


def test_a_range_is_no_pin() -> None:
    assert versions_in(VERSIONS, house_rules(latest=1), include=["django<5", "django==3.*"]) == [
        "4.1"
    ]


def test_what_a_lock_names_is_never_dropped(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("django==3.10\n", encoding="utf-8")
    options: dict[str, Any] = {"include": ["django"], "requirements": [str(lock)]}
    assert versions_in(VERSIONS, house_rules(latest=1), **options) == ["3.10", "5.0.1"]


def test_what_a_pin_names_is_known_without_the_options_of_the_source(tmp_path: Path) -> None:
    """Kind: a rule that decides again, elsewhere, without what the source asked for."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("django==3.10\ndjango>=4\n", encoding="utf-8")
    options = SelectionOptions.model_validate(
        {
            "include": ["django", "django==3.9"],
            "files": [{"name": "django", "version": "4.0"}, {"name": "django"}],
            "requirements": [str(lock)],
        }
    )
    pins = Distribution.pinning_options(options)
    units = [unit(version, "-py3-none-any.whl") for version in VERSIONS]
    pinned = [decision.accepted for decision in Distribution.select("django", units, pins, [], NOW)]
    assert pinned == [True, True, True, False, False, False, False]
    noted = [
        msgspec.structs.replace(unit, metadata={**unit.metadata, "_pinned": True}) if pin else unit
        for unit, pin in zip(units, pinned, strict=True)
    ]
    by_default = Distribution.select(
        "django", noted, SelectionOptions(), [house_rules(latest=1)], NOW
    )
    assert [decision.unit.metadata["version"] for decision in by_default if decision.accepted] == [
        "3.9",
        "3.10",
        "4.0",
        "5.0.1",
    ]


def test_a_source_without_pins_has_none(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("django>=4\n", encoding="utf-8")
    for keys in ({}, {"include": ["django", "flask==2.*"]}, {"requirements": [str(lock)]}):
        assert Distribution.pinning_options(SelectionOptions.model_validate(keys)) is None


def facts(licence: str) -> dict[str, Any]:
    return {LICENCE_FACTS: {"expression": licence}}


def test_landing_on_old_releases_because_of_a_filter_is_said() -> None:
    """Kind: a rule that quietly replaces what a reader expects by something old."""
    licences = house_rules(latest=1, licenses=["MIT"])
    units = [
        unit(version, **facts(licence))
        for version, licence in (("4.67.1", "MPL-2.0"), ("4.4.1", "MIT"), ("4.4.0", "MIT"))
    ]
    decisions = decide(units, licences)
    assert [decision.accepted for decision in decisions] == [False, True, False]
    assert decisions[1].reason == "newest 4.67.1 refused (licence), 4.4.1 kept"


@pytest.mark.parametrize(
    "keys", [{"yanked": "drop"}, {"minAge": "7d"}, {"prereleases": "deny"}, {}], ids=str
)
def test_what_a_key_is_for_is_no_surprise(keys: dict[str, Any]) -> None:
    young: dict[str, Any] = {"uploadTime": "2026-11-20T00:00:00Z", "yanked": True}
    units = [
        unit("2.0rc1", uploadTime="2025-01-01T00:00:00Z"),
        unit("2.0", **young),
        unit("1.0", uploadTime="2025-01-01T00:00:00Z"),
    ]
    assert not any(
        decision.reason
        for decision in decide(units, house_rules(latest=1, **keys))
        if decision.accepted
    )
