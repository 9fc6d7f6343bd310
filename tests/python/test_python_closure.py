"""Dependency closure: the releases that come in, and by which requirements."""

from __future__ import annotations

import pytest

from reconciler.plugin import Group
from tests.support.requiring import LINUX, RequiringIndex, closed, index, message
from tests.support.wheels import build_wheel, core_metadata


class TestFollowing:
    def test_every_release_that_satisfies_some_requirer_comes_in_and_no_other(self) -> None:
        result = closed(
            index(
                app={"1": ["lib>=2", "other"], "2": ["lib==1"]},
                other={"1": ["lib<1"]},
                lib={"0.5": [], "1": [], "1.5": [], "2": [], "3": []},
            ),
            ["app"],
        )
        assert result.versions == {"app": ["1", "2"], "other": ["1"], "lib": ["0.5", "1", "2", "3"]}
        assert result.refused["lib"] == {
            "lib-1.5-py3-none-any.whl": "matches no include or dependency"
        }

    def test_each_file_says_by_which_requirements_it_came_with_the_newest_release_that_has_them(
        self,
    ) -> None:
        result = closed(
            index(
                app={"1.9": ["lib>=1"], "1.10": ["lib>=1"]},
                tool={"3": ["LIB (<2)"]},
                lib={"1": [], "2": []},
            ),
            ["app", "tool"],
        )
        assert result.pulled_by["lib-1-py3-none-any.whl"] == [
            "tool 3 requires lib<2",
            "app 1.10 requires lib>=1",
        ]
        assert result.pulled_by["lib-2-py3-none-any.whl"] == ["app 1.10 requires lib>=1"]
        assert result.pulled_by["app-1.10-py3-none-any.whl"] == []

    def test_what_waits_since_its_first_sight_is_not_followed(self) -> None:
        result = closed(
            index(app={"1": ["lib"], "2": ["lib", "other"]}, lib={"1": []}, other={"1": []}),
            ["app"],
            filters={"minAge": {"age": "7d", "unknown": "firstSeen"}},
            first_seen={
                f"{release}-py3-none-any.whl": "2026-11-01T00:00:00+00:00"
                for release in ("app-1", "lib-1")
            },
        )
        assert result.versions == {"app": ["1"], "lib": ["1"]}

    def test_many_requirers_are_counted(self) -> None:
        many = {f"app{number:02}": {"1": ["lib"]} for number in range(25)}
        told = closed(index(lib={"1": []}, **many), list(many)).pulled_by["lib-1-py3-none-any.whl"]
        assert (len(told), told[0], told[-1]) == (21, "app00 1 requires lib", "and 5 more")

    def test_without_dependencies_nothing_is_followed_or_read(self) -> None:
        result = closed(index(app={"1": ["lib"]}, lib={"1": []}), ["app"], dependencies=False)
        assert result.versions == {"app": ["1"]}
        assert result.conduit.fetched == []

    def test_a_source_that_takes_everything_asks_for_nothing_more(self) -> None:
        made = index(app={"1": ["missing"]})
        made.list({"app": 5})
        result = closed(made)
        assert result.groups == {"app": Group("app", "serial:5", listed=True)}
        assert (result.versions, result.conduit.fetched) == ({"app": ["1"]}, [])

    def test_cycles_end(self) -> None:
        result = closed(
            index(a={"1": ["b"], "2": []}, b={"1": ["c", "b"]}, c={"1": ["a>=2", "c==1"]}), ["a==1"]
        )
        assert result.versions == {"a": ["1", "2"], "b": ["1"], "c": ["1"]}

    def test_a_glob_starts_from_the_list(self) -> None:
        made = index(acme_one={"1": ["lib"]}, lib={"1": []}, stranger={"1": []})
        made.list({"acme-one": 3, "lib": 4, "stranger": 5})
        result = closed(made, ["acme-*"])
        assert result.versions == {"acme-one": ["1"], "lib": ["1"]}
        assert result.groups["acme-one"].validator == "serial:3"
        assert [asked[2] for asked in result.conduit.asked if asked[0] == "acme-one/"] == [3, 3]

    def test_single_files_are_followed_too(self) -> None:
        made = index(app={"1": ["lib"], "2": ["other"]}, lib={"1": []}, other={"1": []})
        assert closed(made, files=["app-1-py3-none-any.whl"]).versions == {
            "app": ["1"],
            "lib": ["1"],
        }

    def test_equal_metadata_is_read_once(self) -> None:
        made = RequiringIndex()
        for build in ("1", "2"):
            made.add_metadata("app", f"1-{build}", core_metadata("app", "1", requires=["lib"]))
        made.add("lib", {"1": []})
        result = closed(made, ["app"])
        assert len(result.taken["app"]) == 2
        assert len([url for url in result.conduit.fetched if "/app-" in url]) == 1


class TestVersions:
    @pytest.mark.parametrize(
        ("requirement", "versions"),
        [
            ("lib", ["1.0", "1.5"]),
            ("lib>=1.5", ["1.5"]),
            ("lib>1.5", ["2.0b1"]),
            ("lib>=2.0a1", ["2.0b1"]),
            ("lib==2.0b1", ["2.0b1"]),
            ("lib>=1.0,>=1.0a1", ["1.0", "1.5", "2.0b1"]),
        ],
    )
    def test_pre_releases_satisfy_where_named_or_where_nothing_else_does(
        self, requirement: str, versions: list[str]
    ) -> None:
        assert (
            closed(
                index(app={"1": [requirement]}, lib={"1.0": [], "1.5": [], "2.0b1": []}), ["app"]
            ).versions["lib"]
            == versions
        )

    def test_versions_are_compared_as_versions_however_they_are_written(self) -> None:
        result = closed(index(app={"1": ["lib==1.0.0"]}, lib={"1": [], "1.0.post1": []}), ["app"])
        assert result.versions["lib"] == ["1"]


class TestExtras:
    def test_only_extras_that_are_asked_for_are_followed(self) -> None:
        made = index(
            app={"1": ["one; extra == 'A_b'", "two; extra == 'c'"]}, one={"1": []}, two={"1": []}
        )
        assert set(closed(made, ["app"]).versions) == {"app"}
        assert set(closed(made, ["app[a.B]"]).versions) == {"app", "one"}
        assert set(closed(made, ["app[a-b,c]"]).versions) == {"app", "one", "two"}

    def test_extras_of_a_rule_are_for_the_releases_that_it_means(self) -> None:
        made = index(
            app={"1": ["one; extra == 'x'"], "2": ["two; extra == 'x'"]},
            one={"1": []},
            two={"1": []},
        )
        assert set(closed(made, ["app", "app[x]>=2"]).versions) == {"app", "two"}

    def test_extras_come_with_requirements_and_may_come_late(self) -> None:
        made = index(
            app={"1": ["lib", "mid"]},
            mid={"1": ["lib[x]>=2"]},
            lib={"1": ["old; extra=='x'"], "2": ["new; extra=='x'"]},
            new={"1": []},
        )
        assert closed(made, ["app"]).versions == {
            "app": ["1"],
            "mid": ["1"],
            "lib": ["1", "2"],
            "new": ["1"],
        }

    def test_a_release_that_requires_itself_means_its_own_extras_and_no_other_release(self) -> None:
        made = index(
            app={"1": []},
            lib={"1": ["lib[a]; extra=='all'", "one; extra=='a'"], "2": ["two; extra=='a'"]},
            one={"1": []},
            two={"1": []},
        )
        assert closed(made, ["lib[all]==1"]).versions == {"lib": ["1"], "one": ["1"]}


class TestEnvironments:
    def test_without_environments_every_marker_but_an_extras_holds(self) -> None:
        made = index(
            app={
                "1": [
                    "win; sys_platform=='win32'",
                    "old; python_version<'3'",
                    "x; extra=='x' and os_name=='nt'",
                ]
            },
            win={"1": []},
            old={"1": []},
        )
        assert set(closed(made, ["app"]).versions) == {"app", "win", "old"}

    def test_a_marker_must_hold_in_one_environment(self) -> None:
        made = index(
            app={
                "1": [
                    "win; sys_platform=='win32'",
                    "nix; os_name=='posix'",
                    "arm; platform_machine=='arm64'",
                ]
            },
            nix={"1": []},
            arm={"1": []},
        )
        assert set(closed(made, ["app"], environments=LINUX).versions) == {"app", "nix", "arm"}

    def test_a_rule_for_other_environments_takes_its_files_and_follows_nothing(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": []})
        assert set(closed(made, ["app; sys_platform == 'win32'"], environments=LINUX).versions) == {
            "app"
        }
        assert set(closed(made, ["app; sys_platform == 'win32'"]).versions) == {"app", "lib"}

    def test_files_for_other_pythons_are_neither_pulled_in_nor_followed(self) -> None:
        made = index(app={"1": ["lib"]}, old={"1": []})
        made.add("lib", {"1": ["old"]}, requires_python="<3")
        made.add("lib", {"2": []}, requires_python=">=3.8")
        result = closed(made, ["app"], environments=LINUX)
        assert result.versions == {"app": ["1"], "lib": ["2"]}
        assert closed(made, ["app", "lib"], environments=LINUX).versions == {
            "app": ["1"],
            "lib": ["1", "2"],
        }
        assert closed(made, ["app"]).versions == {"app": ["1"], "lib": ["1", "2"], "old": ["1"]}

    def test_a_file_that_runs_on_no_declared_python_is_not_read(self) -> None:
        """Its metadata is gone: reading it fails."""
        made = RequiringIndex()
        made.add("app", {"1": ["lib"]})
        made.add("lib", {"1": []}, requires_python="<3")
        made.add_file("lib", build_wheel("lib", "1", tag="cp312-none-any"))
        for path in [path for path in made.files if "lib-1-py3" in path]:
            del made.files[path]
        result = closed(made, ["app"], environments=LINUX)
        assert result.failures == {}
        assert set(result.versions) == {"app", "lib"}

    def test_markers_of_a_file_are_asked_for_the_environments_that_it_runs_on(self) -> None:
        made = index(backport={"1": []})
        made.add("app", {"1": ["backport; python_version < '3.11'"]}, requires_python=">=3.12")
        both = {**LINUX, "old": {"python_version": "3.10", "sys_platform": "linux"}}
        assert set(closed(made, ["app"], environments=both).versions) == {"app"}

    def test_no_release_for_a_declared_python_is_no_release(self) -> None:
        made = index(app={"1": ["lib"]})
        made.add("lib", {"1": []}, requires_python="<3")
        said = message(closed(made, ["app"], environments=LINUX), "lib")
        assert (
            said
            == 'lib is required by app 1 <- team\'s include "app": the index has no such release'
            " that runs on a declared Python"
        )


class TestFilters:
    def test_what_filters_refuse_is_not_followed_and_no_error(self) -> None:
        made = index(app={"1": ["missing"], "2": ["lib"]}, lib={"1": ["other"]}, other={"1": []})
        result = closed(made, ["app"], filters={"deny": ["app<2", "lib"]})
        assert result.versions == {"app": ["2"]}
        assert result.failures == {}
        assert result.refused["lib"] == {"lib-1-py3-none-any.whl": 'denied by "lib" (rules.deny)'}

    def test_latest_narrows_what_dependencies_bring(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": ["old"], "2": ["new"]}, new={"1": []})
        assert closed(made, ["app"], filters={"latest": 1}).versions == {
            "app": ["1"],
            "lib": ["2"],
            "new": ["1"],
        }

    def test_an_excluded_dependency_is_nobodys_here_and_no_error(self) -> None:
        result = closed(
            index(app={"1": ["lib>=3", "part"]}, lib={"1": []}, part={"1": ["more"], "2": []}),
            ["app"],
            exclude=["lib", "part<2"],
        )
        assert result.versions == {"app": ["1"], "part": ["2"]}
        assert result.failures == {}
        assert "lib" not in result.groups

    def test_what_an_earlier_source_has_is_neither_asked_for_nor_followed(self) -> None:
        made = index(
            app={"1": ["ours"]}, ours={"1": ["evil"]}, evil={"1": []}, mine={"1": ["evil"]}
        )
        result = closed(made, ["app", "mine"], others=["ours", "mine"])
        assert set(result.groups) == {"app", "mine"}
        asked = {url for url, _, _ in result.conduit.asked}
        assert not {"ours/", "evil/"} & asked
        shared = closed(made, ["app"], others=["ours"], sharedProjects=["ours"])
        assert shared.groups["ours"].shared
        assert set(shared.versions) == {"app", "ours", "evil"}
