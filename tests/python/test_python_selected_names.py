"""Projects, releases and files that a source names, and what is said when they leave."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.plugin import StoredUnit
from reconciler_python.content import Distribution
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.selecting.selection import refused_project
from tests.support.selecting import (
    VERSIONS,
    WHEELS,
    decide,
    house_rules,
    kept,
    short_names,
    unit,
    versions_in,
    wheels,
)


class TestFiles:
    @pytest.mark.parametrize(
        ("entry", "left"),
        [
            ("django-5.0.tar.gz", ["sdist"]),
            (" django-5.0-py3-none-any.whl ", ["pure"]),
            ({"name": "Django"}, [*WHEELS, "sdist", "egg"]),
            ({"name": "django", "version": "5"}, [*WHEELS, "sdist", "egg"]),
            ({"name": "django", "version": "5.0.1"}, []),
            ({"name": "django", "platform": "linux_x86_64"}, ["linux"]),
            ({"name": "django", "version": "5.0", "platform": "any"}, ["pure", "both"]),
            ({"name": "requests"}, []),
        ],
    )
    def test_single_distributions(self, entry: Any, left: list[str]) -> None:
        assert short_names(kept(wheels(), files=[entry])) == left

    def test_a_local_version_and_one_that_cannot_be_read_are_meant_exactly(self) -> None:
        versions = ["2.1", "2.1+cu118", "2004d_final"]
        assert versions_in(versions, files=[{"name": "django", "version": "2.1"}]) == ["2.1"]
        assert versions_in(versions, files=[{"name": "django", "version": "2.1+CU118"}]) == [
            "2.1+cu118"
        ]
        assert versions_in(versions, files=[{"name": "django", "version": "2004d_final"}]) == [
            "2004d_final"
        ]

    def test_they_add_to_include_and_exclude_wins(self) -> None:
        assert versions_in(
            VERSIONS, include=["django>=6"], files=["django-4.2-py3-none-any.whl"]
        ) == ["4.2", "6.0"]
        assert (
            versions_in(VERSIONS, exclude=["django==4.2"], files=["django-4.2-py3-none-any.whl"])
            == []
        )

    def test_the_words_say_which_keys_there_are(self) -> None:
        assert decide([unit("5.0")], files=["django-4.2.tar.gz"])[0].reason == "matches no file"
        assert (
            decide([unit("5.0")], files=["django-4.2.tar.gz"], include=["foo"])[0].reason
            == "matches no include or file"
        )

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ("django", "is no filename"),
            ("../django-5.0.tar.gz", "is no filename"),
            ("django.tar.gz", "is no filename"),
            ({"name": "-"}, "is no project name"),
            ({"name": "django", "platform": "macosx"}, "is no platform tag"),
            ({"name": "django", "version": 5}, "valid string"),
            ({"version": "5"}, "required"),
            ({"name": "django", "file": "x"}, "Extra inputs"),
        ],
    )
    def test_faults(self, entry: Any, words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            SelectionOptions.model_validate({"files": [entry]})


class TestPulled:
    def test_what_is_depended_on_is_in_unless_it_is_excluded(self) -> None:
        units = [unit("5.0", _pulledBy=["foo 1.0 requires django>=5"]), unit("6.0")]
        assert [answer.accepted for answer in decide(units, include=["foo"])] == [True, False]
        assert [
            answer.reason for answer in decide(units, include=["foo"], exclude=["django==5.0"])
        ] == [
            'excluded by "django==5.0"',
            "matches no include",
        ]


class TestLegacy:
    """Versions as `legacy: allow` lets them in: raw texts."""

    ODD = ("2004d_final", "1.0", "???", "1." + "9" * 5000)

    def test_names_globs_and_filenames_mean_them_and_specifiers_never(self) -> None:
        odd = list(self.ODD)
        assert versions_in(odd, include=["django"]) == odd
        assert versions_in(odd, include=["dj*"]) == odd
        assert versions_in(odd, include=["django>=0"]) == ["1.0"]
        assert versions_in(odd, exclude=["django<99999"]) == [odd[0], *odd[2:]]
        assert (
            versions_in(odd, house_rules(deny=["django-2004d_final-py3-none-any.whl"])) == odd[1:]
        )

    def test_no_key_stumbles_over_them(self) -> None:
        rules = house_rules(
            prereleases="if-nothing-else",
            latest=9,
            yanked="drop",
            platforms=["any"],
            requiresPython=["3.11"],
        )
        assert sorted(versions_in(list(self.ODD), rules)) == sorted(self.ODD)
        assert versions_in(list(self.ODD), house_rules(prereleases="deny")) == list(self.ODD)


class TestNamedProjects:
    @pytest.mark.parametrize(
        ("keys", "named"),
        [
            ({}, None),
            ({"include": ["b>1", "A"]}, ["a", "b"]),
            ({"include": ["a*"], "files": ["b-1.0.tar.gz"]}, None),
            ({"files": ["b-1.0.tar.gz", {"name": "C"}], "include": ["a"]}, ["a", "b", "c"]),
            ({"files": ["python-3-utils-1.0.tar.gz"]}, ["python-3-utils"]),
            ({"files": ["foo-1.0-1.tar.gz"]}, ["foo"]),
            ({"exclude": ["a"]}, None),
        ],
    )
    def test_what_can_be_asked_for_by_name(
        self, keys: dict[str, Any], named: list[str] | None
    ) -> None:
        assert SelectionOptions.model_validate(keys).named_projects() == named

    def test_a_listed_name_concerns_the_source_or_not(self) -> None:
        options = SelectionOptions.model_validate({"include": ["a*"], "files": [{"name": "b"}]})
        assert [name for name in ("abc", "b", "c") if options.concerns(name)] == ["abc", "b"]
        assert SelectionOptions().concerns("anything")

    def test_a_rule_that_means_a_whole_project_keeps_it_out_unread(self) -> None:
        options = SelectionOptions.model_validate(
            {"exclude": ["a", "b>1"], "filter": {"deny": ["c"]}}
        )
        rules = [house_rules(deny=["d*", "e==1", "f-1.0.tar.gz"])]
        reasons = [refused_project(name, options, rules) for name in ("a", "b", "c", "d", "e", "f")]
        assert reasons == [
            'excluded by "a"',
            None,
            'denied by "c" (filter.deny)',
            'denied by "d*" (house-rules.deny)',
            None,
            None,
        ]


class TestRemoval:
    OLD = StoredUnit(
        artifacts=[],
        group="django",
        key="django-5.1-py3-none-any.whl",
        metadata={"version": "5.1", "packageType": "wheel"},
        type="python.distribution",
    )

    @pytest.mark.parametrize(
        ("keys", "refused", "words"),
        [
            ({"files": ["foo-1.0.tar.gz"]}, "matches no file", "no longer matches a file"),
            (
                {"files": ["foo-1.0.tar.gz"], "include": ["foo"]},
                "matches no include or file",
                "no longer matches an include or file",
            ),
            ({"files": ["django-5.1-py3-none-any.whl"], "include": ["foo"]}, "", "gone upstream"),
            (
                {"include": ["django>=6"]},
                "not among the latest 1 (x.latest)",
                "not among the latest 1 (x.latest)",
            ),
        ],
    )
    def test_it_is_told_in_the_words_of_what_selects(
        self, keys: dict[str, Any], refused: str, words: str
    ) -> None:
        assert (
            Distribution.removal_reason(self.OLD, SelectionOptions.model_validate(keys), refused)
            == words
        )
