"""Tags (PEP 425) and their families: which wheels a word means."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging import tags
from packaging.utils import parse_wheel_filename

from reconciler.plugin import OptionFault
from reconciler_python.matching.wheel_tags import (
    Targets,
    WheelTags,
    abi_target,
    platform_target,
    python_target,
    wheel_tags,
)

PLATFORMS = [
    "any",
    "linux_x86_64",
    "manylinux1_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_17_aarch64",
    "manylinux_2_99_x86_64",
    "musllinux_1_2_x86_64",
    "musllinux_1_1_i686",
    "macosx_10_9_x86_64",
    "macosx_11_0_arm64",
    "macosx_10_9_universal2",
    "macosx_10_6_intel",
    "win32",
    "win_amd64",
    "win_arm64",
    "android_24_arm64_v8a",
    "ios_13_0_arm64_iphoneos",
]


@pytest.mark.parametrize(
    ("word", "matches"),
    [
        ("any", ["any"]),
        (
            "linux",
            [
                "linux_x86_64",
                "manylinux1_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_17_aarch64",
                "manylinux_2_99_x86_64",
                "musllinux_1_2_x86_64",
                "musllinux_1_1_i686",
            ],
        ),
        (
            "linux_x86_64",
            [
                "linux_x86_64",
                "manylinux1_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_99_x86_64",
                "musllinux_1_2_x86_64",
            ],
        ),
        ("linux_aarch64", ["manylinux_2_17_aarch64"]),
        (
            "manylinux",
            [
                "manylinux1_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_17_aarch64",
                "manylinux_2_99_x86_64",
            ],
        ),
        (
            "manylinux_x86_64",
            ["manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_99_x86_64"],
        ),
        ("musllinux", ["musllinux_1_2_x86_64", "musllinux_1_1_i686"]),
        ("musllinux_i686", ["musllinux_1_1_i686"]),
        (
            "macos",
            [
                "macosx_10_9_x86_64",
                "macosx_11_0_arm64",
                "macosx_10_9_universal2",
                "macosx_10_6_intel",
            ],
        ),
        ("macos_arm64", ["macosx_11_0_arm64", "macosx_10_9_universal2"]),
        ("macos_x86_64", ["macosx_10_9_x86_64", "macosx_10_9_universal2", "macosx_10_6_intel"]),
        ("windows", ["win32", "win_amd64", "win_arm64"]),
        ("windows_amd64", ["win_amd64"]),
        ("windows_x86", ["win32"]),
        ("win_amd64", ["win_amd64"]),
        ("win32", ["win32"]),
        ("android", ["android_24_arm64_v8a"]),
        ("ios", ["ios_13_0_arm64_iphoneos"]),
        ("manylinux2014_x86_64", ["manylinux2014_x86_64"]),
        ("manylinux_2_99_x86_64", ["manylinux_2_99_x86_64"]),
        ("macosx_11_0_arm64", ["macosx_11_0_arm64"]),
    ],
)
def test_a_platform_is_a_tag_or_a_family(word: str, matches: list[str]) -> None:
    assert [tag for tag in PLATFORMS if platform_target(word).accepts(tag)] == matches


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("linux-x86_64", "`linux_x86_64`"),
        ("Windows", "`windows`"),
        ("linux_amd64", "`linux_x86_64`"),
        ("manylinux_arm64", "`manylinux_aarch64`"),
        ("macos_aarch64", "`macos_arm64`"),
        ("macosx", "`macosx_11_0_arm64`"),
        ("macosx_11_0", "`macosx_11_0_arm64`"),
        ("macosx_arm64", "`macos_arm64`"),
        ("macos_11_0_arm64", "`macosx_11_0_arm64`"),
        ("manylinux2014", "`manylinux_2_28_x86_64`"),
        ("manylinux_2_28", "`manylinux_2_28_x86_64`"),
        ("musllinux_1_2", "`musllinux_1_2_x86_64`"),
        ("osx", "`macos`"),
        ("win", "`windows`"),
        ("win64", "`windows_amd64`"),
        ("x86_64", "`linux_x86_64`"),
        ("windows_ia64", "`windows_amd64`"),
        ("solaris", "`any`, `linux`, `macos`"),
        ("", "`any`"),
        ("*", "`any`"),
    ],
)
def test_a_platform_that_no_wheel_could_have_is_a_fault_with_a_hint(word: str, hint: str) -> None:
    with pytest.raises(OptionFault) as fault:
        platform_target(word)
    assert f"`{word}`" in str(fault.value)
    assert hint in (fault.value.hint or "")


@pytest.mark.parametrize(
    ("word", "matches"),
    [
        ("cp311", ["cp311"]),
        ("cp3", ["cp311", "cp38"]),
        ("py3", ["py3", "py38"]),
        ("py38", ["py38"]),
        ("pp310", ["pp310"]),
        ("graalpy311", []),
    ],
)
def test_a_python_is_a_tag_or_a_major_version(word: str, matches: list[str]) -> None:
    assert [
        tag
        for tag in ("cp311", "cp38", "cp27", "py3", "py38", "py2", "pp310")
        if python_target(word).accepts(tag)
    ] == matches


@pytest.mark.parametrize(
    "word", ["3.11", "311", "python3", "cpython311", "pypy310", "cp", "CP311", "cp-311", ""]
)
def test_what_is_no_python_tag_is_a_fault(word: str) -> None:
    with pytest.raises(OptionFault, match="is no python tag"):
        python_target(word)


@pytest.mark.parametrize(
    ("word", "matches"),
    [
        ("none", ["none"]),
        ("abi3", ["abi3"]),
        ("cp311", ["cp311"]),
        ("pypy310_pp73", ["pypy310_pp73"]),
    ],
)
def test_an_abi_is_a_tag(word: str, matches: list[str]) -> None:
    assert [
        tag
        for tag in ("none", "abi3", "abi3t", "cp311", "cp311d", "pypy310_pp73")
        if abi_target(word).accepts(tag)
    ] == matches


@pytest.mark.parametrize("word", ["any", "stable", "ABI3", "abi.3", ""])
def test_what_is_no_abi_tag_is_a_fault(word: str) -> None:
    with pytest.raises(OptionFault, match="is no ABI tag"):
        abi_target(word)


def test_the_first_word_that_means_one_of_the_tags_is_found() -> None:
    targets = Targets(["macos", "manylinux2014_x86_64", "linux"], platform_target)
    assert targets.find("manylinux_2_17_x86_64.manylinux2014_x86_64") == 1
    assert targets.find("manylinux_2_17_x86_64") == 2
    assert targets.find("win_amd64") is None


@pytest.mark.parametrize(
    ("filename", "found"),
    [
        ("foo-1.0-1-CP311-abi3-Linux_x86_64.whl", ("cp311", "abi3", "linux_x86_64")),
        ("foo-1.0-py3-none-any-x86_64_v3.whl", ("py3", "none", "any")),  # PEP 825: a variant
        ("foo-1.0-1-py3-none-any-x86_64_v3.whl", ("py3", "none", "any")),
        ("foo-1.0-py3-any.whl", None),
        ("foo.whl", None),
        ("foo-1.0-py3--any.whl", None),
    ],
)
def test_tags_are_read_from_odd_names_too(
    filename: str, found: tuple[str, str, str] | None
) -> None:
    assert wheel_tags(filename) == (None if found is None else WheelTags(*found))


PART = st.lists(
    st.sampled_from(["py3", "py2", "cp311", "cp38", "pp310"]), min_size=1, max_size=3, unique=True
).map(".".join)
ABIS = st.lists(
    st.sampled_from(["none", "abi3", "cp311", "cp38m"]), min_size=1, max_size=2, unique=True
).map(".".join)
SYSTEMS = st.lists(st.sampled_from(PLATFORMS), min_size=1, max_size=3, unique=True).map(".".join)


@given(PART, ABIS, SYSTEMS, st.sampled_from(["", "-1", "-2abc"]))
def test_tags_are_those_that_packaging_reads(
    pythons: str, abis: str, platforms: str, build: str
) -> None:
    filename = f"foo-1.0{build}-{pythons}-{abis}-{platforms}.whl"
    found = wheel_tags(filename)
    assert found is not None
    product = {
        tags.Tag(python, abi, platform)
        for python in found[0].split(".")
        for abi in found[1].split(".")
        for platform in found[2].split(".")
    }
    assert product == parse_wheel_filename(filename)[3]


@pytest.mark.parametrize("arch", ["arm64", "x86_64"])
def test_macos_families_hold_every_tag_that_installers_try_there(arch: str) -> None:
    target = platform_target(f"macos_{arch}")
    assert [tag for tag in tags.mac_platforms((14, 0), arch) if not target.accepts(tag)] == []


@pytest.mark.parametrize(
    ("word", "multiarch"), [("ios", "arm64_iphoneos"), ("ios", "x86_64_iphonesimulator")]
)
def test_ios_too(word: str, multiarch: str) -> None:
    assert [
        tag
        for tag in tags.ios_platforms((17, 0), multiarch)
        if not platform_target(word).accepts(tag)
    ] == []


def test_android_too() -> None:
    assert [
        tag
        for tag in tags.android_platforms(30, "arm64_v8a")
        if not platform_target("android").accepts(tag)
    ] == []


@given(st.text(max_size=40))
def test_hostile_filenames_never_crash(name: str) -> None:
    wheel_tags(f"{name}.whl")


@given(st.text(alphabet="abcdefghilmnopuswxy0123456789_.-", max_size=25))
def test_a_word_is_read_or_a_fault(word: str) -> None:
    for parse in (platform_target, python_target, abi_target):
        with suppress(OptionFault):
            assert parse(word).word == word
