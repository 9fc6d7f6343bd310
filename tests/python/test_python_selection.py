"""In, or out because: the keys of sources and filters, and what they decide."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.engine.sources.selection import plain_options
from reconciler.plugin import Decision, Options
from reconciler_python.content import Distribution
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from tests.support.selecting import NOW, decide, house_rules, unit, versions_in

VERSIONS = ["4.2", "5.0rc1", "5.0", "5.0.1", "5.1.dev1", "6.0a1", "6.0"]


class TestSource:
    def test_without_include_everything_is_in(self) -> None:
        assert versions_in(VERSIONS) == VERSIONS

    @pytest.mark.parametrize(
        ("include", "versions"),
        [
            (["Django"], VERSIONS),
            (["dj*"], VERSIONS),
            (["requests"], []),
            (["django>=5,<6"], ["5.0", "5.0.1"]),
            (["django (>=5,<6)"], ["5.0", "5.0.1"]),
            (["django>=5.0rc1,<6"], ["5.0rc1", "5.0", "5.0.1", "5.1.dev1"]),
            (["django==5.0.*"], ["5.0", "5.0.1"]),
            (["django<5", "django==6.0a1"], ["4.2", "6.0a1"]),
        ],
    )
    def test_include(self, include: list[str], versions: list[str]) -> None:
        assert versions_in(VERSIONS, include=include) == versions

    @pytest.mark.parametrize("key", ["include", "files", "requirements", "environments"])
    def test_an_empty_list_does_not_take_everything(self, key: str) -> None:
        with pytest.raises(ValidationError) as fault:
            SelectionOptions.model_validate({key: {} if key == "environments" else []})
        [error] = fault.value.errors()
        assert (error["loc"], error["type"]) == ((key,), "value_error")

    def test_exclude_means_prereleases_too(self) -> None:
        assert versions_in(VERSIONS, exclude=["django>=5"]) == ["4.2", "5.0rc1"]
        assert versions_in(VERSIONS, exclude=["django>=5.1"]) == [
            "4.2",
            "5.0rc1",
            "5.0",
            "5.0.1",
            "5.1.dev1",
        ]

    def test_reasons(self) -> None:
        answers = decide(
            [unit("5.0.1"), unit("7.0")], include=["django>=5,<6"], exclude=["django==5.0.1"]
        )
        assert [answer.reason for answer in answers] == [
            'excluded by "django==5.0.1"',
            "matches no include",
        ]

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            ("django=>5", "`=>5` is no version specifier"),
            ("django 5", "`5` is no version specifier"),
            ("../../etc", "`..` is no project name"),
            ("@foo", "neither a requirement nor a name glob"),
            ("", "neither a requirement nor a name glob"),
            ("-x", "is no project name"),
            ("acme-*>=1", "a name glob takes no version specifier"),
            ("uvicorn[stan dard]>=1", "`stan dard` is no extra"),
            ("foo; python_version<3", "`python_version<3` is no environment marker"),
            ("acme-*[x]", "a name glob takes no extras and no environment marker"),
            ("acme-*; os_name == 'nt'", "a name glob takes no extras and no environment marker"),
            ("foo @ https://files.example.org/foo.whl", "a direct URL selects nothing"),
        ],
    )
    def test_a_bad_rule_is_a_fault_that_names_it(self, rule: str, words: str) -> None:
        with pytest.raises(ValidationError) as fault:
            SelectionOptions.model_validate({"include": ["good", rule]})
        [error] = fault.value.errors()
        assert error["loc"] == ("include", 1)
        assert rule in error["msg"]
        assert words in error["msg"]

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            ("uvicorn[standard]>=1", "extras say nothing here"),
            ("foo; python_version<'3'", "an environment marker says nothing here"),
            ("../../etc", "`..` is no project name"),
            ("foo @ https://files.example.org/foo.whl", "a direct URL selects nothing"),
        ],
    )
    def test_what_only_leaves_out_takes_no_extras_and_no_markers(
        self, rule: str, words: str
    ) -> None:
        for model, key in (
            (SelectionOptions, "exclude"),
            (FilterOptions, "allow"),
            (FilterOptions, "deny"),
            (SelectionOptions, "sharedProjects"),
        ):
            with pytest.raises(ValidationError, match=re.escape(words)):
                model.model_validate({key: [rule]})

    def test_extras_and_markers_of_an_include_are_about_dependencies(self) -> None:
        options = SelectionOptions.model_validate(
            {"include": ["Django[argon2,B_crypt] >=5,<6; sys_platform == 'win32'"]}
        )
        [rule] = options.included.for_project("django")
        assert (rule.extras, str(rule.marker), str(rule.specifiers)) == (
            frozenset({"argon2", "b-crypt"}),
            'sys_platform == "win32"',
            "<6,>=5",
        )
        assert versions_in(VERSIONS, include=list(options.include)) == ["5.0", "5.0.1"]

    @pytest.mark.parametrize("value", ["django", [5], [["django"]], {"django": 1}, None])
    def test_types_are_strict(self, value: object) -> None:
        with pytest.raises(ValidationError):
            SelectionOptions.model_validate({"include": value})

    def test_models_have_a_schema_and_equal_each_other_after_use(self) -> None:
        used, fresh = (SelectionOptions.model_validate({"include": ["a", "b>1"]}) for _ in range(2))
        assert used.included.for_project("a")
        assert used == fresh
        assert used.model_dump(mode="json", by_alias=True, exclude_defaults=True) == {
            "include": ["a", "b>1"]
        }
        assert SelectionOptions.model_json_schema()["properties"]["include"]["items"] == {
            "type": "string"
        }
        assert "minAgeExempt" in FilterOptions.model_json_schema()["properties"]


class TestFilter:
    def test_a_filter_without_rules_lets_everything_pass(self) -> None:
        assert versions_in(VERSIONS, house_rules()) == VERSIONS

    def test_deny_names_the_rule_and_the_filter(self) -> None:
        [answer] = decide([unit("1.0", name="evil-package")], house_rules(deny=["Evil_Package"]))
        assert answer.reason == 'denied by "Evil_Package" (house-rules.deny)'

    @pytest.mark.parametrize(
        ("deny", "left"),
        [
            (
                ["django<5.1"],
                ["5.1.dev1", "6.0a1", "6.0"],
            ),  # PEP 440: `<5.1` never means a pre-release of 5.1
            (["django<=5.1"], ["6.0a1", "6.0"]),
            (["*"], []),
            (["requests", "*-nightly"], VERSIONS),
            (["django-4.2-py3-none-any.whl", "django-6.0.tar.gz"], VERSIONS[1:]),
        ],
    )
    def test_deny(self, deny: list[str], left: list[str]) -> None:
        assert versions_in(VERSIONS, house_rules(deny=deny)) == left

    def test_deny_wins_over_allow(self) -> None:
        rules = house_rules(allow=["django>=5"], deny=["django-5.0-py3-none-any.whl"])
        assert versions_in(VERSIONS, rules) == ["5.0.1", "6.0"]
        assert decide([unit("4.2")], rules)[0].reason == "matches no allow (house-rules.allow)"

    def test_a_filename_allows_one_file(self) -> None:
        assert versions_in(VERSIONS, house_rules(allow=["django-5.0rc1-py3-none-any.whl"])) == [
            "5.0rc1"
        ]

    @pytest.mark.parametrize(
        "rule",
        [
            "alpha-*.whl",
            "*.whl",
            "alpha-1.?-py3-none-any.WHL",
            "alpha-1.[01]-py3-none-any.whl",
            " alpha*.tar.gz ",
            "*-*.tar.Z",
        ],
    )
    @pytest.mark.parametrize(
        ("model", "key", "exactly"),
        [
            (FilterOptions, "allow", True),
            (FilterOptions, "deny", True),
            (FilterOptions, "minAgeExempt", True),
            (SelectionOptions, "include", False),
            (SelectionOptions, "exclude", False),
        ],
    )
    def test_a_glob_of_filenames_is_a_fault_and_no_rule_that_never_matches(
        self, rule: str, model: type[Options], key: str, exactly: bool
    ) -> None:
        with pytest.raises(ValidationError) as fault:
            model.model_validate({key: [rule]})
        [error] = fault.value.errors()
        assert error["loc"] == (key, 0)
        assert f"`{rule.strip()}`: a glob means names of projects, not of files" in error["msg"]
        hint = getattr(error.get("ctx", {}).get("error"), "hint", "")
        assert (
            hint
            == ("name each file exactly, or " if exactly else "")
            + "glob the projects without the extension: `acme-*`"
        )

    @pytest.mark.parametrize("key", ["include", "exclude", "sharedProjects"])
    def test_a_filename_is_no_project(self, key: str) -> None:
        for filename in ("alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"):
            with pytest.raises(ValidationError) as fault:
                SelectionOptions.model_validate({key: [filename]})
            [error] = fault.value.errors()
            assert f"`{filename}` looks like a filename" in error["msg"]
            assert "`files`" in error["ctx"]["error"].hint
            assert "`deny`" in error["ctx"]["error"].hint

    @pytest.mark.parametrize(
        ("model", "key", "written", "right"),
        [
            (SelectionOptions, "include", "django>=5 <6", "`>=5,<6`"),
            (FilterOptions, "deny", "django==5.* !=5.1", "`==5.*,!=5.1`"),
            (FilterOptions, "requiresPython", ">3.11 <3.13", "`>3.11,<3.13`"),
        ],
    )
    def test_a_missing_comma_is_hinted_at(
        self, model: type[Options], key: str, written: str, right: str
    ) -> None:
        with pytest.raises(ValidationError) as fault:
            model.model_validate({key: [written]})
        [error] = fault.value.errors()
        assert error["ctx"]["error"].hint == f"commas stand between specifiers: {right}"

    def test_blanks_around_a_filename_do_not_hide_it(self) -> None:
        assert (
            versions_in(VERSIONS, house_rules(deny=[" django-4.2-py3-none-any.whl "]))
            == VERSIONS[1:]
        )

    def test_package_types(self) -> None:
        answers = decide(
            [unit("1.0", package_type=kind) for kind in ("wheel", "sdist", "egg")],
            house_rules(packageTypes=["wheel", "egg"]),
        )
        assert [answer.reason for answer in answers] == [
            "",
            "package type sdist (house-rules.packageTypes)",
            "",
        ]

    def test_an_unknown_package_type_is_a_fault(self) -> None:
        with pytest.raises(ValidationError):
            FilterOptions.model_validate({"packageTypes": ["tarball"]})


class TestCooldown:
    def test_a_young_upload_waits_and_says_until_when(self) -> None:
        [answer] = decide(
            [unit("1.0", uploadTime="2026-11-18T10:00:00Z")], house_rules(minAge="7d")
        )
        assert answer.reason == "uploaded 2026-11-18, eligible 2026-11-25 (house-rules.minAge 7d)"
        assert answer.reconsider_at == datetime(2026, 11, 25, 10, tzinfo=UTC)

    def test_short_cooldowns_show_the_time_of_day(self) -> None:
        [answer] = decide(
            [unit("1.0", uploadTime="2026-11-21T10:00:00+01:00")], house_rules(minAge="6h")
        )
        assert (
            answer.reason
            == "uploaded 2026-11-21 09:00, eligible 2026-11-21 15:00 (house-rules.minAge 6h)"
        )

    @pytest.mark.parametrize(
        "time",
        [
            "2026-11-14T12:00:00Z",
            "2026-11-14T13:00:00.000001+01:00",
            "2026-11-14T12:00:00",
            "2020-01-01",
        ],
    )
    def test_an_old_upload_is_in(self, time: str) -> None:
        late = NOW + timedelta(seconds=1)
        assert decide([unit("1.0", uploadTime=time)], house_rules(minAge="7d"), now=late)[
            0
        ] == Decision(unit("1.0", uploadTime=time), True)

    @pytest.mark.parametrize("zone", ["Z", "+00:00"])
    def test_a_wait_ends_at_the_very_moment(self, zone: str) -> None:
        """A run that is started for that moment must find the file in, and none before it."""
        young = unit("1.0", uploadTime=f"2026-11-18T10:00:00{zone}")
        moment = datetime(2026, 11, 25, 10, tzinfo=UTC)
        [before] = decide([young], house_rules(minAge="7d"), now=moment - timedelta(microseconds=1))
        assert (before.accepted, before.reconsider_at) == (False, moment)
        assert decide([young], house_rules(minAge="7d"), now=moment) == [Decision(young, True)]

    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"uploadTime": "yesterday"},
            {"uploadTime": ""},
            {"uploadTime": "9999-12-31T23:59:59Z"},
        ],
    )
    def test_an_unknown_time_is_refused_and_time_will_not_help(
        self, metadata: dict[str, Any]
    ) -> None:
        [answer] = decide([unit("1.0", **metadata)], house_rules(minAge="7d"))
        assert (answer.accepted, answer.reason, answer.reconsider_at) == (
            False,
            "upload time unknown (house-rules.minAge 7d)",
            None,
        )
        assert answer.rule in ("", answer.reason), (
            "counted by another name than what was uploaded lately"
        )

    @pytest.mark.parametrize("exempt", [["Django"], ["dj*"]])
    def test_exempt_projects_do_not_wait(self, exempt: list[str]) -> None:
        assert versions_in(["1.0"], house_rules(minAge="7d", minAgeExempt=exempt)) == ["1.0"]

    def test_of_two_cooldowns_the_longer_counts(self) -> None:
        filters = [
            house_rules("a", minAge="3d"),
            house_rules("b", minAge="36h"),
            house_rules("c", minAge="7d", minAgeExempt=["django"]),
        ]
        [answer] = decide([unit("1.0", uploadTime="2026-11-21T00:00:00Z")], *filters)
        assert answer.reason == "uploaded 2026-11-21, eligible 2026-11-24 (a.minAge 3d)"

    def test_what_is_denied_for_good_is_not_reconsidered(self) -> None:
        [answer] = decide(
            [unit("1.0", uploadTime="2026-11-21T00:00:00Z")],
            house_rules(minAge="7d", deny=["django"]),
        )
        assert (answer.reason, answer.reconsider_at) == (
            'denied by "django" (house-rules.deny)',
            None,
        )

    @pytest.mark.parametrize(
        "exempt",
        [
            ["django==1.1"],
            ["Django>1.0,<2"],
            ["django-1.1-py3-none-any.whl"],
            ["other", "django>1"],
        ],
    )
    def test_a_release_and_a_file_can_be_exempt(self, exempt: list[str]) -> None:
        """The kind: a rule that knows whole projects where one release is meant."""
        rules = house_rules(minAge="7d", minAgeExempt=exempt)
        assert versions_in(["1.0", "1.1"], rules) == ["1.1"]

    def test_what_one_cooldown_exempts_may_wait_for_another(self) -> None:
        filters = [
            house_rules("a", minAge="7d", minAgeExempt=["django==1.1"]),
            house_rules("b", minAge="3d"),
        ]
        young = [unit(version, uploadTime="2026-11-21T00:00:00Z") for version in ("1.0", "1.1")]
        assert [answer.reason for answer in decide(young, *filters)] == [
            "uploaded 2026-11-21, eligible 2026-11-28 (a.minAge 7d)",
            "uploaded 2026-11-21, eligible 2026-11-24 (b.minAge 3d)",
        ]

    @pytest.mark.parametrize(
        ("unknown", "versions"), [("deny", ["2.0"]), ("allow", ["1.0", "2.0"])]
    )
    def test_an_unknown_time_is_judged_as_asked(self, unknown: str, versions: list[str]) -> None:
        rules = house_rules(minAge={"age": "7d", "unknown": unknown})
        units = [
            unit("1.0"),
            unit("2.0", uploadTime="2026-11-01T00:00:00Z"),
            unit("3.0", uploadTime="2026-11-21T00:00:00Z"),
        ]
        answers = decide(units, rules)
        assert [
            answer.unit.metadata["version"] for answer in answers if answer.accepted
        ] == versions

    @pytest.mark.parametrize(
        ("seen", "reason", "until"),
        [
            (None, "first seen 2026-11-21, eligible 2026-11-28 (house-rules.minAge 7d)", 7),
            ("2026-11-20T12:00:00+00:00", "first seen 2026-11-20, eligible 2026-11-27", 6),
            ("2026-11-14T12:00:00+00:00", "", None),
        ],
    )
    def test_an_age_counts_from_the_first_sight_where_upstream_states_no_time(
        self, seen: str | None, reason: str, until: int | None
    ) -> None:
        """The kind: a rule that only waits, or only lets in, where it could count by itself."""
        rules = house_rules(minAge={"age": "7d", "unknown": "firstSeen"})
        metadata: dict[str, Any] = {} if seen is None else {"_firstSeen": seen}
        [answer] = decide([unit("1.0", **metadata)], rules)
        assert answer.reason.startswith(reason)
        assert (answer.accepted, answer.reconsider_at) == (
            until is None,
            None if until is None else NOW + timedelta(days=until),
        )

    def test_a_stated_upload_time_counts_before_a_first_sight(self) -> None:
        rules = house_rules(minAge={"age": "7d", "unknown": "firstSeen"})
        old, recent = "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z"
        units = [
            unit("1.0", uploadTime=old, _firstSeen=recent),
            unit("2.0", uploadTime=recent, _firstSeen=old),
        ]
        assert [answer.accepted for answer in decide(units, rules)] == [True, False]

    @pytest.mark.parametrize(
        ("rules", "names"),
        [
            ({"minAge": {"age": "7d", "unknown": "firstSeen"}}, ["1.0", "2.0"]),
            ({"minAge": {"age": "7d", "unknown": "allow"}}, []),
            ({"minAge": "7d"}, []),
            ({}, []),
        ],
    )
    def test_only_files_without_a_stated_time_are_dated(
        self, rules: dict[str, Any], names: list[str]
    ) -> None:
        units = [
            unit("1.0"),
            unit("2.0", uploadTime="yesterday"),
            unit("3.0", uploadTime="2026-11-21T00:00:00Z"),
        ]
        filters = [house_rules(**rules)]
        undated = Distribution.needs_first_seen(units, SelectionOptions(), filters)
        assert [file.metadata["version"] for file in undated] == names
        assert not list(Distribution.needs_first_seen(units, None, filters)), "uploads do not wait"

    def test_one_filter_that_allows_unknown_times_does_not_speak_for_another(self) -> None:
        lenient = house_rules("a", minAge={"age": "7d", "unknown": "allow"})
        [answer] = decide([unit("1.0")], lenient, house_rules("b", minAge="1d"))
        assert answer.reason == "upload time unknown (b.minAge 1d)"

    def test_the_short_form_is_recorded_as_ever(self) -> None:
        short = FilterOptions.model_validate({"minAge": "7d"})
        long = FilterOptions.model_validate({"minAge": {"age": "7d", "unknown": "deny"}})
        assert [plain_options(options) for options in (short, long)] == [{"minAge": "P7D"}] * 2
        allowing = FilterOptions.model_validate({"minAge": {"age": "7d", "unknown": "allow"}})
        assert plain_options(allowing) == {"minAge": {"age": "P7D", "unknown": "allow"}}

    def test_what_was_uploaded_before_a_moment_is_in(self) -> None:
        rules = house_rules(uploadedBefore="2026-07-01T02:00:00+02:00")
        units = [
            unit("1.0", uploadTime="2026-06-30T23:59:59Z"),
            unit("2.0", uploadTime="2026-07-01T00:00:00Z"),
            unit("3.0"),
        ]
        assert [answer.reason for answer in decide(units, rules)] == [
            "",
            "uploaded 2026-07-01 00:00 (house-rules.uploadedBefore 2026-07-01 00:00)",
            "upload time unknown (house-rules.uploadedBefore 2026-07-01 00:00)",
        ]

    def test_a_moment_is_no_rule_for_what_was_uploaded_here(self) -> None:
        rules = house_rules(uploadedBefore="2026-07-01T00:00:00Z", minAge="7d")
        [answer] = Distribution.select("django", [unit("1.0")], None, [rules], NOW)
        assert answer.accepted

    @pytest.mark.parametrize(
        "text",
        [
            "2026-07-01",
            "2026-07-01T00:00:00",
            "2026-W27-3T00:00:00Z",
            "2026-07-01 00:00:00Z",
            "2026-07-32T00:00:00Z",
            "0001-01-01T00:00:00+23:00",
            "soon",
            7,
        ],
    )
    def test_a_moment_has_a_time_zone(self, text: object) -> None:
        with pytest.raises(ValidationError, match="expects a time with a time zone"):
            FilterOptions.model_validate({"uploadedBefore": text})

    @pytest.mark.parametrize("age", ["7", "1w", 7, "-1d"])
    def test_a_duration_has_a_unit(self, age: object) -> None:
        with pytest.raises(ValidationError):
            FilterOptions.model_validate({"minAge": age})
