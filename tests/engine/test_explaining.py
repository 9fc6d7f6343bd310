"""`explain`: what is recorded of a file or group, and what each source says of it now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.explain import _lines
from reconciler.errors import Gone, Unreachable, UsageFault
from reconciler.plugin import Importer
from reconciler_python.simple_importer import PythonImporter
from tests.support.mirror import Mirror, call
from tests.support.mirror import remote as index_remote
from tests.support.mirror import repository as index_repository
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository, rules, source
from tests.support.upstream import upstream


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.says("a", found.bare("one"), found.bare("two"))
        found.says("a", found.bare("of other"), name="other")
        found.says("c", found.bare("of other"), name="other")
        found.validator("v1")
        found.declare(
            found.remote(),
            found.remote("other"),
            rules("deny: [two], later: [three]"),
            repository("team", source("up"), source("other"), "upload: {}"),
            repository("prod", copy()),
        )
        found.applied()
        yield found


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """By source, what was said of which unit."""
    return {
        one["source"]: [(unit["key"], unit["accepted"], unit["reason"]) for group in one["groups"] for unit in group["units"]]
        for one in answer["sources"]
    }


def test_a_group_is_told_whole_with_every_decision(stage: Rehearsal) -> None:
    answer = stage.explain("a")
    assert (answer["repository"], answer["subject"], answer["version"]) == ("team", "a", 1)
    assert answer["groups"] == [{"name": "a", "owner": "remote:up"}]
    assert said(answer) == {
        "remote:up": [("one", True, ""), ("two", False, "rules.deny")],
        "remote:other": [("of other", True, "")],
        "upload": [],
    }
    [held] = answer["held"]
    assert (held["key"], held["source"], held["since"]["number"]) == ("one", "remote:up", 1)
    assert held["since"]["provenance"]["commit"] == "c0ffee"


def test_it_reads_whatever_is_committed_and_changes_nothing(stage: Rehearsal) -> None:
    stage.script.forget()
    stage.explain("a")
    assert sorted(stage.script.asked) == ["other/a", "up/a"], "the validator is not believed"
    assert stage.settled()
    assert stage.number() == 1


def test_a_version_since_when_it_is_there(stage: Rehearsal) -> None:
    stage.validator("v2")
    stage.says("a", stage.bare("one"), stage.bare("four"))
    stage.applied()
    since = {one["key"]: one["since"]["number"] for one in stage.explain("a")["held"]}
    assert since == {"one": 1, "four": 2}


def test_what_waits_says_until_when(stage: Rehearsal) -> None:
    stage.says("a", stage.bare("three"))
    [unit] = stage.explain("a")["sources"][0]["groups"][0]["units"]
    assert (unit["accepted"], unit["reason"], unit["reconsiderAt"]) == (False, "rules.later", "2026-11-22T12:00:00Z")
    assert "    ! three   refused: rules.later, until 2026-11-22T12:00:00Z" in _lines(stage.explain("a"))


def test_a_failing_source_is_named_and_the_others_go_on(stage: Rehearsal) -> None:
    stage.script.failing["a"] = Unreachable("no answer")
    first = stage.explain("a")["sources"][0]["groups"][0]
    assert (first["result"], first["message"]) == ("failed", "no answer")
    stage.script.failing["a"] = Gone("404")
    assert stage.explain("a")["sources"][0]["groups"][0]["result"] == "gone"
    stage.script.failing["declare"] = ZeroDivisionError("oops")
    assert "importer `lines` failed: ZeroDivisionError: oops" in stage.explain("a")["sources"][0]["message"]


def test_a_copy_is_asked_for_its_base_and_an_upload_for_nothing(stage: Rehearsal) -> None:
    stage.upload("mine", b"x", principal="grace")
    stage.applied()
    answer = stage.explain("mine")
    assert answer["held"][0]["source"] == "upload"
    assert any("by grace" in line for line in _lines(answer))
    assert said(stage.explain("a", "prod")) == {"repository:team": [("one", True, "")]}


def test_a_subject_that_nobody_knows(stage: Rehearsal) -> None:
    answer = stage.explain("nothing")
    assert answer["held"] == []
    assert {one["message"] for one in answer["sources"][:2]} == {"does not name such a group"}
    with pytest.raises(UsageFault, match="no repository `nowhere`"):
        stage.explain("nothing", "nowhere")


def test_a_low_level_importer_tells_what_is_recorded(stage: Rehearsal) -> None:
    stage.declare(stage.remote("low", type="records"), repository("low", "remote: {name: low}", type="records"))
    stage.applied(prune=True)
    answer = stage.explain("a", "low")
    assert [one["key"] for one in answer["held"]] == ["one", "two"]
    assert [(one["result"], one["groups"]) for one in answer["sources"]] == [("silent", [])]


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("alpha-1.0-py3-none-any.whl", ["alpha"]),
        ("My_Project-1.0-py3-none-any.whl", ["my-project"]),
        ("my-project-1.0.tar.gz", ["my-project"]),
        ("py-3-tools-2.0.zip", ["py", "py-3-tools"]),
        ("Django", ["django"]),
        ("../etc/passwd", []),
    ],
)
def test_a_filename_of_python_leads_to_its_project(subject: str, names: list[str]) -> None:
    importer: type[Importer] = PythonImporter
    assert list(importer.explain(subject)) == names


def test_the_command_line(tmp_path: Path) -> None:
    with upstream() as index:
        index.release("alpha", "1.0", "1.1")
        deny = "apiVersion: reconciler/v1\nkind: Filter\nmetadata: {name: house}\nspec: {type: python, global: true, deny: ['alpha==1.1']}\n"
        site = Mirror(tmp_path, index_remote(index.url), deny, index_repository())
        site.applied()
        home = ["--home", str(site.home.root)]
        done = call(["explain", "repository/team", "alpha-1.1-py3-none-any.whl", *home])
        assert done.code == 0, done.err
        assert "does not hold `alpha-1.1-py3-none-any.whl`" in done.out
        assert "! alpha-1.1-py3-none-any.whl   refused: " in done.out
        index.forget()
        whole = call(["explain", "repository/team", "Alpha", "-o", "json", "--offline", *home])
        assert index.requests == []
        answer = json.loads(whole.out)
        assert [one["key"] for one in answer["held"] if one["type"] == "python.distribution"] == ["alpha-1.0-py3-none-any.whl"]
        assert call(["explain", "remote/up", "x", *home]).code == 1
