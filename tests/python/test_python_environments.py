"""Markers in declared environments: exact for known variables, true for unknown ones.

Extras are always exact.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from pydantic import ValidationError

from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.requirements.environments import (
    marker_environments,
    marker_holds,
    python_texts,
)

LINUX = {"python_version": "3.12", "sys_platform": "linux"}
NONE: frozenset[str] = frozenset()

COMPARISONS = (
    'python_version < "3.8"',
    'python_full_version >= "3.12.0"',
    'sys_platform == "win32"',
    '"linux" in sys_platform',
    "os_name != 'nt'",
    'platform_machine == "x86_64"',
    'platform_python_implementation == "CPython"',
    'implementation_name not in "pypy graalpy"',
    'extra == "fast"',
    'extra == "Slow_er"',
    '"docs" == extra',
)


def environments(**declared: dict[str, str]) -> list[dict[str, str]]:
    return marker_environments(
        SelectionOptions.model_validate({"environments": declared}).environments
    )


class TestDerived:
    def test_what_follows_from_python_and_platform_is_there_and_nothing_of_this_machine(
        self,
    ) -> None:
        assert environments(one=LINUX) == [
            {
                "python_version": "3.12",
                "python_full_version": "3.12.0",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
                "implementation_name": "cpython",
                "implementation_version": "3.12.0",
                "platform_python_implementation": "CPython",
            }
        ]

    @pytest.mark.parametrize(
        ("said", "follows"),
        [
            ({"platform_system": "Windows"}, {"sys_platform": "win32", "os_name": "nt"}),
            ({"platform_system": "Darwin"}, {"sys_platform": "darwin", "os_name": "posix"}),
            (
                {"sys_platform": "win32", "platform_machine": "AMD64"},
                {"platform_system": "Windows", "platform_machine": "AMD64"},
            ),
            (
                {"sys_platform": "linux", "python_full_version": "3.12.4"},
                {"implementation_version": "3.12.4"},
            ),
            (
                {"sys_platform": "linux", "platform_python_implementation": "PyPy"},
                {"implementation_name": "pypy"},
            ),
            (
                {"sys_platform": "linux", "implementation_name": "pypy"},
                {"platform_python_implementation": "PyPy"},
            ),
        ],
    )
    def test_one_word_gives_the_other(self, said: dict[str, str], follows: dict[str, str]) -> None:
        [found] = environments(one={"python_version": "3.12", **said})
        assert follows.items() <= found.items()

    def test_the_version_of_another_implementation_is_not_made_up(self) -> None:
        [found] = environments(one={**LINUX, "implementation_name": "pypy"})
        assert "implementation_version" not in found

    def test_environments_come_by_name_and_pythons_as_they_are_said(self) -> None:
        options = SelectionOptions.model_validate(
            {"environments": {"b": {**LINUX, "python_full_version": "3.12.4"}, "a": LINUX}}
        )
        assert python_texts(options.environments) == ["3.12", "==3.12.4"]

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ({"sys_platform": "linux"}, "python_version"),
            (
                {"python_version": "3.12.4", "sys_platform": "linux"},
                "`3.12.4` is no `python_version`",
            ),
            ({"python_version": "3", "sys_platform": "linux"}, "`3` is no `python_version`"),
            ({"python_version": "3.12"}, "names its platform"),
            ({"python_version": "3.12", "platform_system": "BeOS"}, "names its platform"),
            (
                {
                    "python_version": "3.12",
                    "python_full_version": "3.11.1",
                    "sys_platform": "linux",
                },
                "no Python 3.12",
            ),
            (
                {"python_version": "3.12", "python_full_version": "new", "sys_platform": "linux"},
                "`new` is no `python_full_version`",
            ),
            ({"python_version": 3.12, "sys_platform": "linux"}, "string"),
            ({"pythonVersion": "3.12", "sys_platform": "linux"}, "pythonVersion"),
        ],
    )
    def test_what_is_no_environment_is_refused(self, said: dict[str, Any], words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            SelectionOptions.model_validate({"environments": {"one": said}})


class TestHolds:
    @pytest.mark.parametrize(
        "marker", [comparison for comparison in COMPARISONS if "extra" not in comparison]
    )
    def test_without_environments_everything_but_extras_holds(self, marker: str) -> None:
        assert marker_holds(marker, [])
        assert not marker_holds(f'{marker} and extra == "x"', [])
        assert marker_holds(f'{marker} and extra == "x"', [], frozenset({"x"}))

    def test_nothing_said_holds(self) -> None:
        assert marker_holds(None, environments(one=LINUX))

    @pytest.mark.parametrize(
        ("marker", "holds"),
        [
            ('python_version >= "3.8"', True),
            ('python_version < "3.8"', False),
            ('sys_platform == "win32"', False),
            ('os_name == "posix" and platform_machine == "sparc"', True),
            ('os_name == "nt" and platform_machine == "sparc"', False),
            ('os_name == "nt" or platform_release >= "5"', True),
            ('platform_machine ~= "x"', True),
            ('sys_platform ~= "x"', True),
            ("python_version in '3.11 3.12'", True),
        ],
    )
    def test_in_an_environment_what_it_says_is_exact_and_the_rest_holds(
        self, marker: str, holds: bool
    ) -> None:
        assert marker_holds(marker, environments(one=LINUX)) is holds

    def test_one_environment_of_several_is_enough_and_all_of_the_marker_must_hold_in_it(
        self,
    ) -> None:
        both = environments(new=LINUX, old={"python_version": "3.7", "sys_platform": "win32"})
        assert marker_holds('sys_platform == "win32"', both)
        assert marker_holds('python_version < "3.8"', both)
        assert not marker_holds('python_version < "3.8" and sys_platform == "linux"', both)

    @pytest.mark.parametrize(
        "marker", ['extra == "Slow_er"', '"slow.er" == extra', '"slow-er" in extras']
    )
    def test_names_of_extras_are_normalised(self, marker: str) -> None:
        assert marker_holds(marker, [], frozenset({"slow-er"}))
        assert not marker_holds(marker, [], frozenset({"slower"}))

    def test_a_value_that_reads_like_a_comparison_is_a_value(self) -> None:
        assert not marker_holds("""sys_platform == 'os_name == "x"'""", environments(one=LINUX))
        assert marker_holds("""'os_name == "x"' != sys_platform""", environments(one=LINUX))

    @settings(deadline=None)
    @given(
        st.recursive(
            st.sampled_from(COMPARISONS),
            lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner),
        ),
        st.sets(st.sampled_from(["fast", "slow-er", "docs"])),
    )
    def test_a_complete_environment_agrees_with_packaging(
        self, tree: Any, extras: set[str]
    ) -> None:
        text = _text(tree)
        [environment] = environments(one={**LINUX, "platform_machine": "x86_64"})
        expected = any(
            Marker(text).evaluate({**environment, "extra": extra}) for extra in ("", *extras)
        )
        assert marker_holds(text, [environment], frozenset(extras)) is expected

    @settings(deadline=None)
    @given(
        st.recursive(
            st.sampled_from(COMPARISONS),
            lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner),
        ),
        st.sets(st.sampled_from(["fast", "slow-er", "docs"])),
    )
    def test_saying_less_never_lets_less_hold(self, tree: Any, extras: set[str]) -> None:
        marker, asked = _text(tree), frozenset(extras)
        [environment] = environments(one={**LINUX, "platform_machine": "x86_64"})
        if marker_holds(marker, [environment], asked):
            for left_out in environment:
                assert marker_holds(
                    marker,
                    [{name: value for name, value in environment.items() if name != left_out}],
                    asked,
                )
            assert marker_holds(marker, [], asked)


def _text(tree: Any) -> str:
    return tree if isinstance(tree, str) else f"({_text(tree[0])}) {tree[1]} ({_text(tree[2])})"
