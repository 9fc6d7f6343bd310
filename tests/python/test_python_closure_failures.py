"""Dependency closure: pages and metadata that cannot be had, and validators of groups."""

from __future__ import annotations

from threading import current_thread, main_thread
from typing import Any

import pytest

from reconciler.plugin import Gone, Malformed, NotCached, Refused, Unreachable, Withdrawn
from reconciler_python.dependencies import closure
from reconciler_python.reading import core_metadata
from reconciler_python.requirements.environments import marker_holds
from tests.support.conduits import page
from tests.support.requiring import JSON, LINUX, asked_for, closed, index, message


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
            assert not closed(made, ["app", "gone"]).conduit.partial, (
                "it goes, and so may what it requires"
            )
        assert closed(index(app={"1": ["lib"]}), ["app"]).conduit.partial
        assert closed(index(app={"1": ["lib>=9"]}, lib={"1": []}), ["app"]).conduit.partial
        assert not closed(made, ["app"]).conduit.partial
        assert asked_for(made, locked).conduit.partial
        assert asked_for(made, ["other==1"]).conduit.partial

    def test_a_long_chain_is_cut(self) -> None:
        many = {f"p{number:03}": {"1": [f"p{number + 1:03}"]} for number in range(120)}
        assert len(message(closed(index(**many), ["p000"]), "p120")) < 800

    def test_an_index_that_invents_projects_without_end_is_left(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Work that a stranger causes has an end: in depth, and in number."""
        deep = {f"p{number:03}": {"1": [f"p{number + 1:03}"]} for number in range(40)}
        wide = {"p000": {"1": [f"q{number}" for number in range(40)]}, "q0": {"1": ["r"]}}
        monkeypatch.setattr(closure, "_WAVES", 41)
        assert message(closed(index(**deep), ["p000"]), "p040")  # as long as it may be
        monkeypatch.setattr(closure, "_WAVES", 40)
        with pytest.raises(Malformed, match=r"^p040 <- p039 1 <- .* without end, 41 projects so"):
            closed(index(**deep), ["p000"])
        monkeypatch.setattr(closure, "_MOST", 40)
        with pytest.raises(Malformed, match=r"^q0 <- p000 1 <- .* without end, 41 projects so"):
            closed(index(**wide), ["p000"])

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
        assert result.conduit.partial
        assert len([url for url, _, _ in result.conduit.asked if url == "broken/"]) == 1

    def test_a_page_that_cannot_be_understood_is_read_again_by_its_group_so_that_it_is_forgotten(
        self,
    ) -> None:
        made = index(app={"1": ["broken"]})
        made.pages["broken/"] = page("{", JSON)
        result = closed(made, ["app"])
        assert "not a project page" in message(result, "broken", Malformed)
        assert result.conduit.partial
        assert result.groups["broken"].validator is None

    def test_metadata_that_cannot_be_had_for_now_fails_its_project_alone(self) -> None:
        made = index(app={"1": ["lib"]}, lib={"1": ["more"], "2": []})
        wheel = "https://files.example.org/lib-2-py3-none-any.whl"
        for url in (wheel, f"{wheel}.metadata"):
            made.files[url] = Unreachable("no answer")
        result = closed(made, ["app"])
        assert result.failures["lib"].args == ("no answer",)
        assert result.versions == {"app": ["1"]}
        assert result.conduit.partial


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
        assert {(url, serial) for url, _, serial in result.conduit.asked if url} == {
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


def test_many_long_markers_do_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Markers of strangers are read and evaluated in a worker thread, if there are many."""
    threads: dict[str, set[bool]] = {"read": set(), "evaluated": set()}

    def noting(name: str, function: Any) -> Any:
        def noted(*arguments: Any) -> Any:
            threads[name].add(current_thread() is main_thread())
            return function(*arguments)

        return noted

    monkeypatch.setattr(
        core_metadata, "read_dependencies", noting("read", core_metadata.read_dependencies)
    )
    monkeypatch.setattr(closure, "marker_holds", noting("evaluated", marker_holds))
    long = " or ".join(f'python_version < "3.{minor}"' for minor in range(250))
    many = [f"lib{number}; {long}" for number in range(20)]
    closed(index(app={"1": many}), ["app"])
    assert threads == {"read": {False}, "evaluated": {False}}
