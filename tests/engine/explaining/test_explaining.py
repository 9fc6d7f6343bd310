"""`explain`: what is recorded of a file or group, what each source says of it now, and by which
rule.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.explain_text import lines
from reconciler.errors import Gone, Unreachable, UsageFault
from reconciler.plugin import (
    UNCHANGED,
    ContentType,
    Group,
    ImporterCall,
    Step,
    Unchanged,
    Unit,
)
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository, rules, source
from tests.support.scripted_plugins import LINE


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
        one["source"]: [
            (unit["key"], unit["accepted"], unit["reason"])
            for group in one["groups"]
            for unit in group["units"]
        ]
        for one in answer["sources"]
    }


def test_a_group_is_told_whole_with_every_decision(stage: Rehearsal) -> None:
    answer = stage.explain("a")
    assert (answer["repository"], answer["subject"], answer["version"]) == ("team", "a", 1)
    assert answer["groups"] == [{"name": "a", "owner": "remote:up"}]
    assert said(answer) == {
        "remote:up": [("one", True, ""), ("two", False, "rules.deny")],
        "remote:other": [],
        "upload": [],
    }
    assert answer["sources"][1]["groups"][0]["result"] == "owned"
    [held] = answer["held"]
    assert (held["key"], held["source"], held["since"]["number"]) == ("one", "remote:up", 1)
    assert held["since"]["provenance"]["commit"] == "c0ffee"


def test_it_reads_whatever_is_committed_and_changes_nothing(stage: Rehearsal) -> None:
    stage.script.forget()
    stage.explain("a")
    assert stage.script.asked == ["up/a"], (
        "the validator is not believed, and nobody asks for a name that is another's"
    )
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
    assert (unit["accepted"], unit["reason"], unit["reconsiderAt"]) == (
        False,
        "rules.later",
        "2026-11-22T12:00:00Z",
    )
    assert "    ! three   refused: rules.later, until 2026-11-22T12:00:00Z" in lines(
        stage.explain("a")
    )


def test_a_failing_source_is_named_and_the_others_go_on(stage: Rehearsal) -> None:
    stage.script.failing["a"] = Unreachable("no answer")
    first = stage.explain("a")["sources"][0]["groups"][0]
    assert (first["result"], first["message"]) == ("failed", "no answer")
    stage.script.failing["a"] = Gone("404")
    assert stage.explain("a")["sources"][0]["groups"][0]["result"] == "gone"
    stage.script.failing["declare"] = ZeroDivisionError("oops")
    assert (
        "importer `lines` failed: ZeroDivisionError: oops"
        in stage.explain("a")["sources"][0]["message"]
    )


def test_a_copy_is_asked_for_its_base_and_an_upload_for_nothing(stage: Rehearsal) -> None:
    stage.upload("mine", b"x", principal="grace")
    stage.applied()
    answer = stage.explain("mine")
    assert answer["held"][0]["source"] == "upload"
    assert any("by grace" in line for line in lines(answer))
    assert said(stage.explain("a", "prod")) == {"repository:team": [("one", True, "")]}


def test_a_subject_that_nobody_knows(stage: Rehearsal) -> None:
    answer = stage.explain("nothing")
    assert answer["held"] == []
    assert {one["message"] for one in answer["sources"][:2]} == {"does not name such a group"}
    with pytest.raises(UsageFault, match="no repository `nowhere`"):
        stage.explain("nothing", "nowhere")


def test_a_low_level_importer_tells_what_is_recorded(stage: Rehearsal) -> None:
    stage.declare(
        stage.remote("low", type="records"),
        repository("low", "remote: {name: low}", type="records"),
    )
    stage.applied(prune=True)
    answer = stage.explain("a", "low")
    assert [one["key"] for one in answer["held"]] == ["one", "two"]
    assert [(one["result"], one["groups"]) for one in answer["sources"]] == [("silent", [])]


def test_a_name_stays_with_a_source_that_does_not_answer(stage: Rehearsal) -> None:
    stage.script.failing["a"] = Unreachable("no answer")
    assert stage.explain("a")["groups"][0]["owner"] == "remote:up"
    stage.script.failing["declare"] = Unreachable("no answer")
    answer = stage.explain("a")
    assert (answer["groups"][0]["owner"], answer["sources"][1]["result"]) == ("remote:up", "failed")


def test_a_name_that_is_gone_is_the_next_source_s(stage: Rehearsal) -> None:
    stage.drops("a")
    answer = stage.explain("a")
    assert answer["groups"] == [{"name": "a", "owner": "remote:other"}]
    assert said(answer)["remote:other"] == [("of other", True, "")]


def told(unit: Unit) -> list[Step]:
    return [
        Step(True, "listed", key=("upstream",)),
        Step(unit.key != "two", 'deny "two"', "rules", ("deny", 0)),
        Step(True, "nothing else"),
        Step(True, "no such place", "rules", ("max",)),
    ]


def test_the_chain_names_the_line_of_each_rule(stage: Rehearsal) -> None:
    stage.script.on_trace = told
    chain = next(
        one
        for one in stage.explain("a", declared=True)["sources"][0]["groups"][0]["units"]
        if one["key"] == "two"
    )["chain"]
    numbered = enumerate(stage.manifest.read_text(encoding="utf-8").splitlines(), 1)
    [of_source, of_filter] = [
        f"{stage.manifest}:{number}"
        for number, line in numbered
        if "name: up, upstream: up" in line or "deny: [two]" in line
    ][::-1]
    assert [step["place"] for step in chain] == [of_source, of_filter, None, None], (
        "no place where nothing is written"
    )
    assert [step["passed"] for step in chain] == [True, False, True, True]
    assert chain[1] == {
        "passed": False,
        "text": 'deny "two"',
        "filter": "rules",
        "key": ["deny", 0],
        "place": of_filter,
    }


def test_a_row_names_the_place_of_its_own_reason_only(stage: Rehearsal) -> None:
    stage.script.on_trace = lambda unit: [
        Step(False, "nothing means it"),
        Step(False, 'deny "two"', "rules", ("deny", 0)),
    ]
    rows = [line for line in lines(stage.explain("a", declared=True)) if line.startswith("    !")]
    assert rows == ["    ! two   refused: rules.deny"], "the line of another rule would mislead"


def test_what_was_recorded_has_rules_but_no_lines(stage: Rehearsal) -> None:
    stage.script.on_trace = told
    answer = stage.explain("a")
    assert answer["by"] == "record"
    assert {step["place"] for step in answer["sources"][0]["groups"][0]["units"][0]["chain"]} == {
        None
    }
    assert "  by what the last apply recorded" in lines(answer)


def test_the_place_of_an_override_is_the_option(stage: Rehearsal) -> None:
    stage.script.on_trace = told
    answer = stage.explain(
        "a", declared=True, overrides=["filter/rules.max=3", "filter/rules.deny=[two]"]
    )
    chain = answer["sources"][0]["groups"][0]["units"][0]["chain"]
    assert [step["place"] for step in chain][1:] == ["--override:2", None, "--override:1"]


def test_of_many_units_one_chain_for_each_rule(stage: Rehearsal) -> None:
    stage.says(
        "a", *(stage.bare(key) for key in ("two", "three", *(f"k{number}" for number in range(20))))
    )
    stage.script.forget()
    units = stage.explain("a")["sources"][0]["groups"][0]["units"]
    assert sorted(stage.script.traced) == ["three", "two"]
    assert [unit["key"] for unit in units if unit["chain"] is not None] == ["three", "two"]
    assert all(
        one["chain"] for one in stage.explain("a", verbose=True)["sources"][0]["groups"][0]["units"]
    )


def test_all_chains_of_a_group_are_asked_for_at_once(stage: Rehearsal) -> None:
    stage.says("a", *(stage.bare(f"k{number}") for number in range(30)))
    stage.script.forget()
    stage.explain("a", verbose=True)
    assert len(stage.script.traced) == 30
    assert stage.script.decided == ["a", "a"], "once to decide, and once for all chains"


def test_chains_for_other_units_than_were_asked_about_are_a_fault(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[Any] = [[], [[], [], [], []], None]
    for chains in wrong:
        monkeypatch.setattr(ContentType, "trace", classmethod(lambda *_, answer=chains: answer))
        assert "`trace`" in stage.explain("a")["sources"][0]["message"]


def test_manifests_that_nobody_has_applied(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), rules("deny: [two]"), repository("coming", source("up")))
    answer = stage.explain("a", "coming", declared=True)
    assert (answer["version"], answer["held"], answer["by"]) == (None, [], "manifests")
    assert said(answer) == {"remote:up": [("one", True, ""), ("two", False, "rules.deny")]}
    assert next(iter(lines(answer))) == "repository/coming, not applied yet"


def test_a_chain_that_fails_is_that_source_s_failure(stage: Rehearsal) -> None:
    def broken(unit: Unit) -> list[Step]:
        raise ZeroDivisionError("oops")

    stage.script.on_trace = broken
    first = stage.explain("a")["sources"][0]
    assert first["result"] == "failed"
    assert "`trace`" in first["message"]
    stage.script.on_trace = lambda unit: ["no step"]  # type: ignore[list-item]
    assert "returns steps" in stage.explain("a")["sources"][0]["message"]


def test_a_group_that_is_refused_whole_is_not_asked_for(stage: Rehearsal) -> None:
    async def declared(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", refused="denied by everyone")

    stage.script.on_declare = declared
    stage.script.forget()
    answer = stage.explain("a")
    [group] = answer["sources"][0]["groups"]
    assert (group["result"], group["message"], stage.script.asked) == (
        "refused",
        "denied by everyone",
        [],
    )
    assert answer["groups"][0]["owner"] == "remote:up", "its name stays its"
    assert "  `a` is refused whole: denied by everyone" in lines(answer)


def test_a_source_that_adds_to_the_name_of_another_says_so(stage: Rehearsal) -> None:
    async def declared(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", shared=call.options.upstream == "other")

    stage.script.on_declare = declared
    answer = stage.explain("a")
    assert said(answer)["remote:other"] == [("of other", True, "")]
    assert "  `a` belongs to remote:up; remote:other may add to it" in lines(answer)


def test_what_must_not_replace_what_is_held_says_so(stage: Rehearsal) -> None:
    stage.script.replaceable = False
    stage.validator("v2")
    stage.says("a", stage.bare("one", other="words"))
    [unit] = stage.explain("a")["sources"][0]["groups"][0]["units"]
    assert (unit["accepted"], unit["reason"]) == (False, "it must not be replaced"), (
        "as the plan says"
    )
    assert [step["text"] for step in unit["chain"]] == [
        "nothing keeps it out",
        "it must not be replaced",
    ]
    assert "it must not be replaced" in stage.text()


async def declare_what_is_not_taken(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
    """`up` lists `b` unless another source has `mine` or `of base`."""
    if call.options.upstream == "up" and not any(map(call.taken, ("mine", "of base"))):
        yield Group("b", listed=True)
    yield Group("a", "v1", listed=True)


def test_a_group_is_read_anew_where_another_source_follows(stage: Rehearsal) -> None:
    async def read(call: ImporterCall, group: Group) -> list[Unit] | Unchanged:
        return UNCHANGED if call.unchanged("same") else [stage.bare("one")]

    stage.script.on_read = read
    stage.applied()
    assert said(stage.explain("a"))["remote:up"] == [("one", True, "")]


@pytest.mark.parametrize("order", [("upload: {}", source("up")), (source("up"), "upload: {}")])
def test_all_names_of_uploads_are_taken_as_in_a_plan(
    stage: Rehearsal, order: tuple[str, ...]
) -> None:
    stage.upload("file", b"x", fields={"group": "mine"})
    stage.script.on_declare = declare_what_is_not_taken
    stage.says("b", stage.bare("one"))
    stage.declare(stage.remote(), repository("team", *order))
    stage.applied()
    assert "b/one" not in stage.held()
    assert said(stage.explain("b"))["remote:up"] == []


def test_all_names_of_a_copied_repository_are_taken_as_in_a_plan(stage: Rehearsal) -> None:
    stage.says("of base", stage.bare("one"), name="other")
    stage.declare(stage.remote("other"), repository("base", source("other")))
    stage.applied()
    stage.script.on_declare = declare_what_is_not_taken
    stage.says("b", stage.bare("one"))
    base = repository("base", "upload: {}", more="sync: {mode: additive}")
    stage.declare(stage.remote(), base, repository("team", copy("base"), source("up")))
    stage.applied()
    assert "b/one" not in stage.held()
    assert said(stage.explain("b"))["remote:up"] == []


def test_a_content_type_that_cannot_decide_fails_its_group_alone(stage: Rehearsal) -> None:
    def select(*arguments: Any) -> Any:
        raise ZeroDivisionError("oops")

    content_type = stage.registry.content_type(LINE)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(content_type, "select", classmethod(select))
        answer = stage.explain("a")
    [first] = answer["sources"][0]["groups"]
    assert (answer["sources"][0]["result"], first["result"]) == ("answered", "failed")
    assert "ZeroDivisionError: oops" in first["message"]
    assert answer["groups"] == [{"name": "a", "owner": "remote:up"}]
