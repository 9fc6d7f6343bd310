"""Versions and environments as people mean them: what a CPython can install, as pip decides it."""

from __future__ import annotations

from itertools import product

import pytest
from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging.tags import Tag
from pydantic import ValidationError

from reconciler_python.matching.interpreter_tags import Environment, InterpreterTarget
from reconciler_python.matching.wheel_tags import WheelTags
from reconciler_python.options.filter_options import FilterOptions
from tests.support.selecting import decide, house_rules, unit

VERSIONS = ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
PYTHONS = ["py2", "py3", "py2.py3", "py27", "py311", "py312", "pp311", "cp3"]
PYTHONS += [f"cp{version.replace('.', '')}" for version in VERSIONS]
ABIS = ["none", "abi3", "cp27mu", "cp36m", "cp37m", "cp38", "cp311", "cp312", "cp313t", "pp73"]
# a word of ours, and what pip is asked for
MACHINES = {
    "win_amd64": ["win_amd64"],
    "windows_amd64": ["win_amd64"],
    "macosx_12_0_arm64": ["macosx_12_0_arm64"],
    "macosx_11_0_x86_64": ["macosx_11_0_x86_64"],
    "manylinux2014_x86_64": ["manylinux2014_x86_64", "manylinux_2_5_x86_64", "linux_x86_64"],
    "linux_x86_64": ["manylinux_2_28_x86_64", "manylinux2014_x86_64", "musllinux_1_2_x86_64"],
}
PLATFORMS = ["any", "win_amd64", "win32", "macosx_11_0_arm64", "macosx_13_0_arm64"]
PLATFORMS += ["macosx_10_9_universal2", "macosx_10_9_x86_64", "manylinux1_x86_64"]
PLATFORMS += ["manylinux2014_x86_64", "manylinux_2_17_aarch64", "linux_x86_64"]


def single_tags(tags: WheelTags) -> set[Tag]:
    return {Tag(*triple) for triple in product(*(part.split(".") for part in tags))}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_keeps_what_pip_installs_with_that_python(version: str) -> None:
    """Kind: a word read by its letters where people mean what it stands for."""
    supported = set(get_supported(version.replace(".", ""), platforms=["here"], impl="cp"))
    target = InterpreterTarget(version)
    for python, abi in product(PYTHONS, ABIS):
        tags = [Tag(single, abi, "here") for single in python.split(".")]
        assert target.accepts_any(f"{python}-{abi}") == (not supported.isdisjoint(tags)), (
            python,
            abi,
        )


@pytest.mark.parametrize("version", ["3.7", "3.9", "3.12"])
@pytest.mark.parametrize("machine", MACHINES)
def test_an_environment_keeps_what_pip_installs_there(version: str, machine: str) -> None:
    supported = set(get_supported(version.replace(".", ""), platforms=MACHINES[machine], impl="cp"))
    environment = Environment(version, machine)
    for combination in product(PYTHONS, ABIS, PLATFORMS):
        tags = WheelTags(*combination)
        if machine == "linux_x86_64" and tags.platforms in ("linux_x86_64", "manylinux1_x86_64"):
            continue  # of a family every tag is meant, of which pip was told some
        assert environment.accepts(tags) == (not supported.isdisjoint(single_tags(tags))), tags


@pytest.mark.parametrize(
    ("machine", "usable", "unusable"),
    [
        ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_31_x86_64"),
        ("manylinux_2_28_x86_64", "manylinux_2_28_x86_64", "manylinux_2_28_aarch64"),
        ("manylinux2014_x86_64", "manylinux1_x86_64", "manylinux_2_28_x86_64"),
        ("musllinux_1_2_aarch64", "musllinux_1_1_aarch64", "manylinux2014_aarch64"),
        ("macosx_12_0_arm64", "macosx_11_0_universal2", "macosx_13_0_arm64"),
        ("android_24_arm64_v8a", "android_21_arm64_v8a", "android_27_arm64_v8a"),
    ],
)
def test_the_newest_tag_of_a_machine_stands_for_the_machine(
    machine: str, usable: str, unusable: str
) -> None:
    environment = Environment("3.12", machine)
    assert environment.accepts(WheelTags("cp312", "cp312", usable))
    assert not environment.accepts(WheelTags("cp312", "cp312", unusable))
    assert environment.accepts(WheelTags("py3", "none", "any"))
    assert not environment.accepts(WheelTags("cp312", "cp312", "any")), "as pip decides"


def test_a_free_threaded_python_is_another_one() -> None:
    target = InterpreterTarget("3.13t")
    assert target.accepts_any("cp313-cp313t")
    assert target.accepts_any("py3-none")
    assert not target.accepts_any("cp313-cp313")
    assert not target.accepts_any("cp38-abi3"), "the stable ABI needs the lock"


KEPT = ["-cp311-cp311-macosx_11_0_arm64.whl", "-cp38-abi3-win_amd64.whl", "-py2.py3-none-any.whl"]
LEFT = ["-cp312-cp312-win_amd64.whl", "-cp312-abi3-win_amd64.whl", "-pp311-pypy311_pp73-win32.whl"]


def test_the_filter_of_a_version_keeps_wheels_of_the_stable_abi() -> None:
    """A stable ABI named for an older Python (`cp38-abi3`) is what a newer one installs."""
    units = [unit("1.0", ending, name="watchfiles") for ending in KEPT + LEFT]
    units.append(unit("1.0", "-py3-none-any.whl", name="watchfiles", requiresPython=">=3.12"))
    units.append(unit("1.0", ".tar.gz", name="watchfiles", package_type="sdist"))
    decisions = decide(units, house_rules(pythons=["3.11"]))
    assert [decision.accepted for decision in decisions] == [True] * 3 + [False] * 4 + [True]
    reasons = [decision.reason for decision in decisions if not decision.accepted]
    assert "python cp312 with ABI abi3 (" in reasons[1]
    assert "requires Python >=3.12 (" in reasons[3]


def test_tags_stay_exact_beside_versions() -> None:
    units = [unit("1.0", ending) for ending in (KEPT[0], KEPT[1], LEFT[0])]
    exact = decide(units, house_rules(pythons=["cp311"]))
    both = decide(units, house_rules(pythons=["cp312", "3.11"]))
    assert [decision.accepted for decision in exact] == [True, False, False]
    assert all(decision.accepted for decision in both)


def test_targets_keep_what_one_of_them_installs() -> None:
    units = [unit("1.0", ending) for ending in KEPT + LEFT]
    units.append(unit("1.0", ".tar.gz", package_type="sdist", requiresPython="<3"))
    targets = [
        {"python": "3.11", "platform": "macos_arm64"},
        {"python": "3.12", "platform": "windows"},
    ]
    decisions = decide(units, house_rules(targets=targets))
    assert [decision.accepted for decision in decisions] == [True] * 5 + [False] * 2
    assert "no target can install it: pp311-pypy311_pp73-win32" in decisions[5].reason
    assert "requires Python <3" in decisions[6].reason


@pytest.mark.parametrize("word", ["3", "3.11.4", "4.0", "3.", "3.x"])
def test_what_is_no_version_is_refused(word: str) -> None:
    with pytest.raises(ValidationError):
        FilterOptions.model_validate({"pythons": [word]})
    with pytest.raises(ValidationError):
        FilterOptions.model_validate({"targets": [{"python": word, "platform": "linux"}]})


@pytest.mark.parametrize(
    "word", ["linux", "manylinux", "manylinux_2_28_x86_64", "macosx_14_0_arm64"]
)
def test_families_and_tags_name_a_machine(word: str) -> None:
    FilterOptions.model_validate({"targets": [{"python": "3.11", "platform": word}]})


@pytest.mark.parametrize(
    "word",
    [
        "any",
        "pure",
        "x86_64",
        # of each older version there is a tag: a small word must not cost unbounded work
        "macosx_99999999_0_arm64",
        "ios_99999999_0_arm64_iphoneos",
        "android_99999999_x86_64",
        "manylinux_2_99999999_x86_64",
    ],
)
def test_what_is_no_machine_is_refused(word: str) -> None:
    with pytest.raises(ValidationError):
        FilterOptions.model_validate({"targets": [{"python": "3.11", "platform": word}]})
