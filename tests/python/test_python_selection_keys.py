"""Further keys of sources and filters: selected files, and reasons of refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from pydantic import ValidationError

from reconciler_python.content import Distribution
from reconciler_python.matching.python_versions import Interpreters
from reconciler_python.options.filter_options import FilterOptions
from tests.support.selecting import (
    NOW,
    VERSIONS,
    decide,
    house_rules,
    kept,
    short_names,
    unit,
    versions_in,
    wheels,
)


class TestTargets:
    @pytest.mark.parametrize(
        ("keys", "left"),
        [
            ({"platforms": ["linux"]}, ["linux", "sdist", "egg"]),
            ({"platforms": ["linux", "any"]}, ["linux", "pure", "both", "sdist", "egg"]),
            ({"platforms": ["manylinux2014_x86_64"]}, ["linux", "sdist", "egg"]),
            ({"platforms": ["macos_x86_64"]}, ["sdist", "egg"]),
            ({"pythons": ["cp311"]}, ["linux", "windows", "sdist", "egg"]),
            ({"pythons": ["py2"]}, ["both", "sdist", "egg"]),
            (
                {"pythons": ["cp3"], "abis": ["cp311", "abi3"]},
                ["linux", "windows", "stable", "sdist", "egg"],
            ),
            ({"pythons": ["cp3"], "abis": ["abi3"], "platforms": ["windows"]}, ["sdist", "egg"]),
            ({"abis": ["none"], "packageTypes": ["wheel"]}, ["pure", "both"]),
        ],
    )
    def test_wheels_stay_when_a_tag_is_asked_for_and_other_types_pass(
        self, keys: dict[str, Any], left: list[str]
    ) -> None:
        assert short_names(kept(wheels(), house_rules(**keys))) == left

    def test_reasons_name_the_tag_and_plans_count_by_the_key(self) -> None:
        rules = house_rules("linux-only", platforms=["linux_x86_64"], pythons=["cp311"])
        answers = {answer.unit.key: answer for answer in decide(wheels(), rules)}
        assert (
            answers["django-5.0-cp311-cp311-win_amd64.whl"].reason
            == "platform win_amd64 (linux-only.platforms)"
        )
        assert answers["django-5.0-cp311-cp311-win_amd64.whl"].rule == "linux-only.platforms"
        [python] = decide([unit("5.0", "-cp310-cp310-linux_x86_64.whl")], rules)
        assert python.reason == "python cp310 (linux-only.pythons)"
        [abi] = decide([unit("5.0", "-cp311-cp311-linux_x86_64.whl")], house_rules(abis=["abi3"]))
        assert abi.reason == "ABI cp311 (house-rules.abis)"

    def test_a_wheel_whose_tags_cannot_be_read_is_for_no_platform(self) -> None:
        [answer] = decide([unit("5.0", ".whl")], house_rules(platforms=["any"]))
        assert answer.reason == "platform unknown (house-rules.platforms)"

    @pytest.mark.parametrize(
        ("key", "word"),
        [
            ("platforms", "macosx"),
            ("pythons", "3.11.4"),
            ("pythons", "python3"),
            ("abis", "stable"),
            ("requiresPython", "cp311"),
        ],
    )
    def test_a_word_that_means_nothing_is_a_fault_at_its_place(self, key: str, word: str) -> None:
        with pytest.raises(ValidationError) as fault:
            FilterOptions.model_validate({key: [word]})
        [error] = fault.value.errors()
        assert (error["loc"], f"`{word}`" in error["msg"]) == ((key, 0), True)


class TestRequiresPython:
    @pytest.mark.parametrize(
        ("asked", "required", "passes"),
        [
            (["3.11"], ">=3.8", True),
            (["3.11"], ">=3.11.4", True),
            (["3.11"], ">=3.12", False),
            (["3.11"], "<3.11", False),
            (["3.11"], "<=3.11", True),
            (["3.11"], "!=3.11.*,>=3.9", False),
            (["3.11", "3.9"], "!=3.11.*,>=3.9", True),
            (["3.11.2"], "==3.11.4", False),
            (["3"], "==2.7.*", False),
            ([">=3.10,<3.13"], ">=3.12,<4", True),
            ([">=3.10,<3.13"], ">=3.13", False),
            ("3.11", ">=3.12", False),
            (["3.11"], "~=3.10", True),
            (["3.11"], "<=3.11,!=3.11", False),  # but for pre-releases of 3.11
            (["3.11"], ">=3.11.0rc1", True),
            ([">=3.11.0rc1"], ">=3.8", True),
            (["3.11"], "===3.11.2", True),
            (["3.11"], "===3.12.2", False),
            (["3.11"], ">=3.6.*", True),  # cannot be read: ignored, as pip does
            (["3.11"], "rubbish", True),
            (["3.11"], ">=" + "9" * 5000, True),
            (["3.11"], None, True),
            (["3.11"], "", True),
        ],
    )
    def test_what_can_run_on_one_of_these_stays(
        self, asked: Any, required: str | None, passes: bool
    ) -> None:
        wheel = unit("5.0") if required is None else unit("5.0", requiresPython=required)
        [answer] = decide([wheel], house_rules(requiresPython=asked))
        assert answer.accepted == passes
        assert passes or answer.reason == f"requires Python {required} (house-rules.requiresPython)"

    @pytest.mark.parametrize("text", ["", "cp311", ">=4,<3", "3.11 or so", "3.13rc1"])
    def test_a_python_that_is_none_is_a_fault(self, text: str) -> None:
        with pytest.raises(ValidationError, match="means no Python"):
            FilterOptions.model_validate({"requiresPython": [text]})

    @settings(deadline=None)
    @given(
        st.lists(
            st.builds(
                "{}{}".format,
                st.sampled_from([">=", "<", "<=", ">", "!=", "=="]),
                st.sampled_from(["3.8", "3.10", "3.11", "3.11.3", "3.12"]),
            ),
            min_size=1,
            max_size=3,
        ).map(",".join)
    )
    def test_overlap_is_what_some_real_python_shows(self, required: str) -> None:
        releases = [f"3.{minor}.{patch}" for minor in range(8, 14) for patch in range(6)]
        for minor in (9, 11, 12):
            shown = any(
                version in SpecifierSet(required)
                for version in releases
                if version.startswith(f"3.{minor}.")
            )
            assert (Interpreters([f"3.{minor}"]).find(required) is not None) == shown


class TestPrereleases:
    @pytest.mark.parametrize(
        ("word", "include", "left"),
        [
            (None, [], VERSIONS),
            ("allow", [], VERSIONS),
            ("deny", [], ["4.2", "5.0", "5.0.1", "6.0"]),
            ("if-nothing-else", [], ["4.2", "5.0", "5.0.1", "6.0"]),
            (None, ["django>=5.1"], ["6.0"]),
            ("allow", ["django>=5.1"], ["6.0a1", "6.0"]),
            ("deny", ["django>=5.1"], ["6.0"]),
            ("if-nothing-else", ["django>=5.1"], ["6.0"]),
            (None, ["django>=5.1,<6.0"], []),
            ("allow", ["django>=5.0.2,<5.2"], ["5.1.dev1"]),
            ("deny", ["django>=5.0.2,<5.2"], []),
            ("if-nothing-else", ["django>=5.0.2,<5.2"], ["5.1.dev1"]),
            ("if-nothing-else", ["django==6.0a1"], ["6.0a1"]),
        ],
    )
    def test_one_word_says_it(self, word: str | None, include: list[str], left: list[str]) -> None:
        keys = {} if word is None else {"prereleases": word}
        source: dict[str, Any] = {"include": include} if include else {}
        assert versions_in(VERSIONS, house_rules(**keys), **source) == left
        assert versions_in(VERSIONS, **source, filter=keys) == left

    def test_the_strictest_word_counts(self) -> None:
        for words, left in (
            (["allow", "deny"], []),
            (["allow", "if-nothing-else"], ["1.0a1"]),
            (["if-nothing-else", "deny"], []),
        ):
            filters = [
                house_rules(f"f{number}", prereleases=word) for number, word in enumerate(words)
            ]
            assert versions_in(["1.0a1"], *filters) == left

    def test_a_final_release_that_does_not_pass_is_nothing(self) -> None:
        rules = house_rules(prereleases="if-nothing-else", deny=["django<6"])
        assert versions_in(["5.0", "6.0a1"], rules) == ["6.0a1"]
        assert (
            decide([unit("5.0"), unit("6.0a1")], house_rules(prereleases="if-nothing-else"))[
                1
            ].reason
            == "pre-release, and there are final releases (house-rules.prereleases)"
        )
        assert (
            decide([unit("6.0a1")], house_rules(prereleases="deny"))[0].reason
            == "pre-release (house-rules.prereleases)"
        )


class TestLatest:
    @pytest.mark.parametrize(
        ("count", "left"),
        [
            (1, ["6.0"]),
            (2, ["5.0.1", "6.0"]),
            (4, ["4.2", "5.0", "5.0.1", "6.0"]),
            (5, ["4.2", "5.0", "5.0.1", "6.0a1", "6.0"]),
            (99, VERSIONS),
        ],
    )
    def test_final_releases_come_before_pre_releases(self, count: int, left: list[str]) -> None:
        assert versions_in(VERSIONS, house_rules(latest=count)) == left

    def test_all_files_of_a_release_stay_and_equal_versions_are_one(self) -> None:
        units = [unit("1.0"), unit("1.0.0", package_type="sdist"), unit("0.9"), unit("1.1.dev1")]
        assert kept(units, house_rules(latest=1)) == [
            "django-1.0-py3-none-any.whl",
            "django-1.0.0.tar.gz",
        ]

    def test_yanked_releases_come_after_the_others(self) -> None:
        units = [unit("1.0"), unit("2.0", yanked="broken"), unit("3.0a1")]
        assert kept(units, house_rules(latest=1)) == ["django-1.0-py3-none-any.whl"]
        assert kept(units, house_rules(latest=2)) == [
            "django-1.0-py3-none-any.whl",
            "django-2.0-py3-none-any.whl",
        ]
        partly = [unit("2.0", yanked=True), unit("2.0", package_type="sdist"), unit("1.0")]
        assert kept(partly, house_rules(latest=1)) == [
            "django-2.0-py3-none-any.whl",
            "django-2.0.tar.gz",
        ]

    def test_only_what_passes_everything_else_counts_and_the_smallest_number(self) -> None:
        young = unit("7.0", uploadTime="2026-11-20T00:00:00Z")
        units = [*(unit(version, uploadTime="2025-01-01T00:00:00Z") for version in VERSIONS), young]
        rules = [
            house_rules("a", latest=3),
            house_rules("b", latest=2, minAge="7d"),
            house_rules("c", deny=["django==6.0"]),
        ]
        answers = {answer.unit.metadata["version"]: answer for answer in decide(units, *rules)}
        assert [version for version, answer in answers.items() if answer.accepted] == [
            "5.0",
            "5.0.1",
        ]
        assert answers["4.2"].reason == "not among the latest 2 (b.latest)"
        assert answers["7.0"].reason.startswith("uploaded 2026-11-20")

    def test_what_no_version_can_be_read_of_comes_last(self) -> None:
        assert versions_in(["2004d_final", "1.0a1"], house_rules(latest=1)) == ["1.0a1"]

    @pytest.mark.parametrize("count", [0, -1, "3", 1.5, True])
    def test_a_number_of_at_least_one(self, count: object) -> None:
        with pytest.raises(ValidationError):
            FilterOptions.model_validate({"latest": count})


class TestOtherKeys:
    def test_yanked(self) -> None:
        units = [unit("1.0", yanked="broken"), unit("2.0", yanked=True), unit("3.0")]
        assert kept(units, house_rules(yanked="keep")) == kept(units)
        assert [answer.reason for answer in decide(units, house_rules(yanked="drop"))] == [
            "yanked upstream (house-rules.yanked)"
        ] * 2 + [""]

    def test_max_size_and_an_unknown_size(self) -> None:
        units = [
            unit("1.0", size=2**20),
            unit("2.0", size=2**20 + 1),
            unit("3.0"),
            unit("4.0", size=0),
        ]
        reasons = [
            "",
            "too large (house-rules.maxSize 1MiB)",
            "size unknown (house-rules.maxSize 1MiB)",
            "",
        ]
        assert [answer.reason for answer in decide(units, house_rules(maxSize="1MiB"))] == reasons

    def test_licences_attestations_and_advisories_are_asked(self, tmp_path: Any) -> None:
        [licence] = decide([unit("1.0")], house_rules(licenses=["MIT"]))
        assert (licence.accepted, licence.reason.endswith(" (house-rules.licenses)")) == (
            False,
            True,
        )
        [attestation] = decide([unit("1.0")], house_rules(attestations="required"))
        assert attestation.reason == "no attestation (house-rules.attestations)"
        record = (
            '{"id": "MAL-2026-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package":'
            ' {"ecosystem": "PyPI", "name": "django"}, '
        )
        (tmp_path / "MAL-2026-1.json").write_text(
            record + '"versions": ["1.0"]}]}', encoding="utf-8"
        )
        answers = decide([unit("1.0"), unit("2.0")], house_rules(osv=str(tmp_path)))
        assert [answer.reason for answer in answers] == [
            "MAL-2026-1: malware (house-rules.osv)",
            "",
        ]

    def test_a_sources_own_filter_speaks_by_the_keys_name(self) -> None:
        [answer] = decide([unit("1.0")], filter={"deny": ["django"]})
        assert answer.reason == 'denied by "django" (filter.deny)'
        young = unit("1.0", uploadTime="2026-11-20T00:00:00Z")
        [waits] = decide([young], house_rules(minAge="3d"), filter={"minAge": "7d"})
        assert (waits.reason, waits.rule) == (
            "uploaded 2026-11-20, eligible 2026-11-27 (filter.minAge 7d)",
            "filter.minAge 7d",
        )

    def test_a_cooldown_does_not_concern_uploads_and_every_other_key_does(self) -> None:
        young = [unit("1.0a1", uploadTime="2026-11-20T00:00:00Z"), unit("2.0")]
        rules = [house_rules(minAge="7d", prereleases="deny", latest=1)]
        assert [
            answer.accepted for answer in Distribution.select("django", young, None, rules, NOW)
        ] == [False, True]
        assert [
            answer.accepted
            for answer in Distribution.select(
                "django", young, None, [house_rules(minAge="7d")], NOW
            )
        ] == [True, True]


@pytest.mark.parametrize(
    "text", ["1B", "1500B", "1kB", "1KiB", "500MiB", "500MB", "2GB", "2GiB", "1TiB", "0B"]
)
def test_sizes_are_shown_as_they_are_written(text: str) -> None:
    [answer] = decide([unit("1.0")], house_rules(maxSize=text))
    assert answer.reason == f"size unknown (house-rules.maxSize {text})"
