"""Dependency closure: what comes in, by whom, and what is said where something cannot be had."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from reconciler.plugin import Gone, Group, Malformed, NotCached, Refused, Unreachable, Withdrawn
from tests.support.calls import page
from tests.support.requiring import JSON, Closed, RequiringIndex, closed
from tests.support.wheels import build_wheel, core_metadata

LINUX = {"linux": {"python_version": "3.12", "sys_platform": "linux"}}


def index(**projects: dict[str, list[str]]) -> RequiringIndex:
    made = RequiringIndex()
    for name, releases in projects.items():
        made.add(name.replace("_", "-"), releases)
    return made


def asked_for(made: RequiringIndex, lines: list[str]) -> Closed:
    """With `lines` as a requirement file besides `app`."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text("\n".join(lines), encoding="utf-8")
        return closed(made, ["app"], requirements=[str(path)])


def message(result: Closed, project: str, kind: type[Exception] = Refused) -> str:
    assert type(result.failures[project]) is kind
    return str(result.failures[project])


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
        assert result.call.fetched == []

    def test_a_source_that_takes_everything_asks_for_nothing_more(self) -> None:
        made = index(app={"1": ["missing"]})
        made.list({"app": 5})
        result = closed(made)
        assert result.groups == {"app": Group("app", "serial:5", listed=True)}
        assert (result.versions, result.call.fetched) == ({"app": ["1"]}, [])

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
        assert [asked[2] for asked in result.call.asked if asked[0] == "acme-one/"] == [3, 3]

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
        assert len([url for url in result.call.fetched if "/app-" in url]) == 1


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
        asked = {url for url, _, _ in result.call.asked}
        assert not {"ours/", "evil/"} & asked
        shared = closed(made, ["app"], others=["ours"], sharedProjects=["ours"])
        assert shared.groups["ours"].shared
        assert set(shared.versions) == {"app", "ours", "evil"}


class TestUnavailable:
    def test_an_unknown_project_is_an_error_with_its_chain_and_others_go_on(self) -> None:
        result = closed(
            index(app={"1": ["web>=2", "lib"]}, web={"2": ["idna>=2.5"]}, lib={"1": []}), ["app>=1"]
        )
        assert (
            message(result, "idna")
            == 'idna>=2.5 is required by web 2 <- app 1 <- team\'s include "app>=1": the index has'
            " no such project"
        )
        assert result.versions == {"app": ["1"], "web": ["2"], "lib": ["1"]}

    def test_no_release_that_satisfies_is_an_error_of_that_project(self) -> None:
        result = closed(index(app={"1": ["lib>=9", "lib>=8"]}, lib={"1": []}), ["app"])
        assert (
            message(result, "lib")
            == 'lib>=8 is required by app 1 <- team\'s include "app": the index has no such'
            " release, and 1 more of its requirements are not met"
        )

    def test_while_an_error_keeps_what_is_committed_nothing_that_it_requires_may_leave(
        self,
    ) -> None:
        made = index(app={"1": ["lib>=1"]}, lib={"1": []})
        locked = ["app==1 --hash=sha256:" + "0" * 64]
        for gone in (Gone("404"), Withdrawn("quarantined upstream")):
            made.pages["gone/"] = gone
            assert not closed(made, ["app", "gone"]).call.partial, (
                "it goes, and so may what it requires"
            )
        assert closed(index(app={"1": ["lib"]}), ["app"]).call.partial
        assert closed(index(app={"1": ["lib>=9"]}, lib={"1": []}), ["app"]).call.partial
        assert not closed(made, ["app"]).call.partial
        assert asked_for(made, locked).call.partial
        assert asked_for(made, ["other==1"]).call.partial

    def test_a_long_chain_is_cut(self) -> None:
        many = {f"p{number:03}": {"1": [f"p{number + 1:03}"]} for number in range(120)}
        assert len(message(closed(index(**many), ["p000"]), "p120")) < 800

    def test_a_project_that_is_named_and_gone_is_gone(self) -> None:
        result = closed(index(app={"1": ["lib"]}), ["app", "lib"])
        assert type(result.failures["lib"]) is Gone

    def test_a_quarantined_dependency_is_gone_and_says_who_needs_it(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": []})
        made.show("lib", **{"project-status": {"status": "quarantined", "reason": "malware"}})
        assert 'quarantined upstream: "malware"; lib is required by app 1' in message(
            closed(made, ["app"]), "lib", Withdrawn
        )

    @pytest.mark.parametrize(
        "error", [Unreachable("no answer"), NotCached("never read"), Refused("403")]
    )
    def test_a_page_that_cannot_be_had_is_its_own_failure_and_nothing_may_leave(
        self, error: Exception
    ) -> None:
        made = index(app={"1": ["lib", "broken"]}, lib={"1": []})
        made.pages["broken/"] = error
        result = closed(made, ["app"])
        assert result.failures == {"broken": error}
        assert result.versions == {"app": ["1"], "lib": ["1"]}
        assert result.call.partial
        assert len([url for url, _, _ in result.call.asked if url == "broken/"]) == 1

    def test_a_page_that_cannot_be_understood_is_read_again_by_its_group_so_that_it_is_forgotten(
        self,
    ) -> None:
        made = index(app={"1": ["broken"]})
        made.pages["broken/"] = page("{", JSON)
        result = closed(made, ["app"])
        assert "not a project page" in message(result, "broken", Malformed)
        assert result.call.partial
        assert result.groups["broken"].validator is None

    def test_metadata_that_cannot_be_had_for_now_fails_its_project_alone(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": ["more"], "2": []})
        wheel = "https://files.example.org/lib-2-py3-none-any.whl"
        for url in (wheel, f"{wheel}.metadata"):
            made.files[url] = Unreachable("no answer")
        result = closed(made, ["app"])
        assert result.failures["lib"].args == ("no answer",)
        assert result.versions == {"app": ["1"]}
        assert result.call.partial


class TestBrokenMetadata:
    def test_latest_counts_what_can_be_read_and_that_is_followed(self) -> None:
        made = index(app={"1": ["lib"], "2": ["old"]}, lib={"1": []}, old={"1": []})
        made.add("app", {"3": ["not a requirement"], "4": ["lib >>> 3"]})
        result = closed(made, ["app"], filters={"latest": 1})
        assert result.versions == {"app": ["2"], "old": ["1"]}

    def test_endless_numbers_are_one_files_fault_or_hold(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": []})
        for version, specifier in enumerate((">=9", "==9.*", "~=9.1", "<0,!=1.9"), start=2):
            made.add("app", {str(version): [f"lib{specifier.replace('9', '9' * 4400)}"]})
        made.add("app", {"9": [f"lib; python_version > '{'9' * 4400}'"]})
        for keys in ({}, {"environments": LINUX}):
            result = closed(made, ["app"], **keys)
            assert result.versions == {"app": ["1", "9"], "lib": ["1"]}
            assert len(result.refused["app"]) == 4

    @pytest.mark.parametrize("line", ["lib >>> 3", "lib; sys_platform", "\x1b[31m", "(" * 5000])
    def test_a_file_with_a_requirement_that_is_none_is_refused_naming_it(self, line: str) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": []})
        made.add("app", {"2": [line]})
        result = closed(made, ["app"])
        assert result.versions == {"app": ["1"], "lib": ["1"]}
        [(key, reason)] = result.refused["app"].items()
        assert key == "app-2-py3-none-any.whl"
        assert reason.startswith("its dependencies are unknown: `Requires-Dist: ")
        assert reason.isprintable()

    def test_legacy_takes_it_without_dependencies(self) -> None:
        result = closed(index(app={"1": ["lib >>> 3", "lib"]}), ["app"], legacy="allow")
        assert (result.versions, result.failures) == ({"app": ["1"]}, {})

    def test_a_direct_url_asks_nothing_of_the_index(self) -> None:
        result = closed(index(app={"1": ["lib @ https://git.example.org/lib.tar.gz"]}), ["app"])
        assert (result.versions, result.failures) == ({"app": ["1"]}, {})

    def test_headers_are_read_as_mail_headers_are(self) -> None:
        made = index(one={"1": []}, two={"1": []})
        text = (
            b"Metadata-Version: 2.1\r\nName: app\r\nrequires-dist: one\r\n  >=1\r\nREQUIRES-DIST:"
            b" two\r\n\r\nRequires-Dist: three\r\n"
        )
        made.add_metadata("app", "1", text)
        assert set(closed(made, ["app"]).versions) == {"app", "one", "two"}


class TestValidators:
    def test_an_unchanged_index_is_unchanged_and_its_pages_are_all_that_is_asked_for(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": ["more"]}, more={"1": []})
        first = closed(made, ["app"])
        second = closed(
            made, ["app"], committed=[str(group.validator) for group in first.groups.values()]
        )
        assert second.unchanged == {"app", "lib", "more"}
        assert {name: group.validator for name, group in first.groups.items()} == {
            name: group.validator for name, group in second.groups.items()
        }

    def test_a_new_requirement_changes_the_group_that_it_means_and_a_new_requirer_does_not(
        self,
    ) -> None:
        def validators(**more: dict[str, list[str]]) -> dict[str, Any]:
            made = index(app={"1": ["lib>=1"]}, lib={"1": [], "2": []}, **more)
            return {
                name: group.validator for name, group in closed(made, ["app", *more]).groups.items()
            }

        plain = validators()
        assert validators(tool={"1": ["lib>=1"]}) == {
            **plain,
            "tool": validators(tool={"1": ["lib>=1"]})["tool"],
        }
        assert validators(tool={"1": ["lib>=2"]})["lib"] != plain["lib"]
        assert validators(tool={"1": ["lib>=2"]})["app"] == plain["app"]

    def test_serials_stay_what_announces_a_page(self) -> None:
        made = index(acme={"1": ["acme-lib"]}, acme_lib={"1": []})
        made.list({"acme": 3, "acme-lib": 9})
        result = closed(made, ["acme*"])
        assert str(result.groups["acme-lib"].validator).startswith("serial:9 pulled:")
        assert {(url, serial) for url, _, serial in result.call.asked if url} == {
            ("acme/", 3),
            ("acme-lib/", 9),
        }
        again = closed(
            made, ["acme*"], committed=[str(group.validator) for group in result.groups.values()]
        )
        assert again.unchanged == {"acme", "acme-lib"}

    def test_what_an_incomplete_run_found_is_decided_again(self) -> None:
        made = index(app={"1": ["lib", "late"]}, lib={"1": []}, late={"1": []})
        whole = closed(made, ["app"])
        made.pages["late/"] = Unreachable("no answer")
        partial = closed(made, ["app"])
        assert partial.groups["lib"].validator not in (None, whole.groups["lib"].validator)
        assert partial.groups["late"].validator is None


NAMES = ["a", "b", "c", "d", "e"]
SPECIFIERS = ["", "==1", ">=2", "<2", "!=2", ">=9", ">2a0"]
REQUIREMENTS = st.builds(
    lambda name, extra, specifier, marker: f"{name}{extra}{specifier}{marker}",
    st.sampled_from(NAMES),
    st.sampled_from(["", "[x]", "[y]", "[x,y]"]),
    st.sampled_from(SPECIFIERS),
    st.sampled_from(["", "; extra == 'x'", "; extra == 'y'", "; python_version < '3'"]),
)
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(
        st.sampled_from(["1", "2", "3a1"]), st.lists(REQUIREMENTS, max_size=3), min_size=1
    ),
    min_size=1,
)
Graph = dict[str, dict[str, list[str]]]


def naive(graph: Graph, roots: set[str]) -> tuple[set[tuple[str, str]], set[str]]:
    """Return the least fixpoint by its definition, and the projects that fall short."""
    chosen = {(name, version, "") for name in roots for version in graph.get(name, {})}
    short = roots - graph.keys()
    while True:
        new = set(chosen)
        for name, version, extra in chosen:
            for requirement in map(Requirement, graph[name][version]):
                if (
                    requirement.marker is not None
                    and "extra" in str(requirement.marker)
                    and not requirement.marker.evaluate({"extra": extra})
                ):
                    continue
                versions = {Version(text): text for text in graph.get(requirement.name, {})}
                meant = (
                    [versions[one] for one in requirement.specifier.filter(versions)]
                    if requirement.name != name
                    else [version]
                )
                short |= set() if meant else {requirement.name}
                new |= {
                    (requirement.name, decision, wanted)
                    for decision in meant
                    for wanted in ("", *requirement.extras)
                }
        if new == chosen:
            return {(name, version) for name, version, _ in chosen}, short
        chosen = new


def computed(graph: Graph, roots: set[str]) -> tuple[set[tuple[str, str]], set[str]]:
    made = RequiringIndex()
    for name, releases in graph.items():
        made.add(name, releases)
    result = closed(made, sorted(roots))
    return {
        (name, version) for name, versions in result.versions.items() for version in versions
    }, set(result.failures)


@settings(max_examples=80, deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_the_closure_is_the_least_fixpoint(graph: Graph, roots: set[str]) -> None:
    chosen, short = naive(graph, roots)
    assert computed(graph, roots) == (
        {(name, version) for name, version in chosen if name not in short},
        short,
    )


@settings(max_examples=30, deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.sampled_from(NAMES))
def test_more_roots_never_bring_less(graph: Graph, roots: set[str], more: str) -> None:
    fewer, _ = computed(graph, roots)
    found, failed = computed(graph, roots | {more})
    assert {(name, version) for name, version in fewer if name not in failed} <= found
