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
    ReadConduit,
    TraceStep,
    Unchanged,
    Unit,
)
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository, rules, source
from tests.support.scripted_plugins import LINE


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.bare("one"), site.bare("two"))
        site.says("a", site.bare("of other"), name="other")
        site.says("c", site.bare("of other"), name="other")
        site.validator("v1")
        site.declare(
            site.remote(),
            site.remote("other"),
            rules("deny: [two], later: [three]"),
            repository("team", source("up"), source("other"), "upload: {}"),
            repository("prod", copy()),
        )
        site.applied()
        yield site


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """By source, what was said of which unit."""
    return {
        source["source"]: [
            (unit["key"], unit["accepted"], unit["reason"])
            for group in source["groups"]
            for unit in group["units"]
        ]
        for source in answer["sources"]
    }


def test_a_group_is_told_whole_with_every_decision(site: Rehearsal) -> None:
    answer = site.explain("a")
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


def test_it_reads_whatever_is_committed_and_changes_nothing(site: Rehearsal) -> None:
    site.script.forget()
    site.explain("a")
    assert site.script.asked == ["up/a"], (
        "the validator is not believed, and nobody asks for a name that is another's"
    )
    assert site.settled()
    assert site.number() == 1


def test_a_version_since_when_it_is_there(site: Rehearsal) -> None:
    site.validator("v2")
    site.says("a", site.bare("one"), site.bare("four"))
    site.applied()
    since = {unit["key"]: unit["since"]["number"] for unit in site.explain("a")["held"]}
    assert since == {"one": 1, "four": 2}


def test_what_waits_says_until_when(site: Rehearsal) -> None:
    site.says("a", site.bare("three"))
    [unit] = site.explain("a")["sources"][0]["groups"][0]["units"]
    assert (unit["accepted"], unit["reason"], unit["reconsiderAt"]) == (
        False,
        "rules.later",
        "2026-11-22T12:00:00Z",
    )
    assert "    ! three   refused: rules.later, until 2026-11-22T12:00:00Z" in lines(
        site.explain("a")
    )


def test_a_failing_source_is_named_and_the_others_go_on(site: Rehearsal) -> None:
    site.script.failing["a"] = Unreachable("no answer")
    first = site.explain("a")["sources"][0]["groups"][0]
    assert (first["result"], first["message"]) == ("failed", "no answer")
    site.script.failing["a"] = Gone("404")
    assert site.explain("a")["sources"][0]["groups"][0]["result"] == "gone"
    site.script.failing["declare"] = ZeroDivisionError("oops")
    assert (
        "importer `lines` failed: ZeroDivisionError: oops"
        in site.explain("a")["sources"][0]["message"]
    )


def test_a_copy_is_asked_for_its_base_and_an_upload_for_nothing(site: Rehearsal) -> None:
    site.upload("mine", b"x", principal="grace")
    site.applied()
    answer = site.explain("mine")
    assert answer["held"][0]["source"] == "upload"
    assert any("by grace" in line for line in lines(answer))
    assert said(site.explain("a", "prod")) == {"repository:team": [("one", True, "")]}


def test_what_is_held_comes_in_the_order_of_its_names(site: Rehearsal) -> None:
    names = [f"b-{number}" for number in (1, 2, 3, 9, 10, 11, 20)]
    site.says("b", *(site.bare(name) for name in reversed(names)))
    site.validator("v2")
    site.applied()
    assert [unit["key"] for unit in site.explain("b")["held"]] == names


def test_a_subject_that_nobody_knows(site: Rehearsal) -> None:
    answer = site.explain("nothing")
    assert answer["held"] == []
    assert {source["message"] for source in answer["sources"][:2]} == {"lists no such name"}
    with pytest.raises(UsageFault, match="no repository `nowhere`"):
        site.explain("nothing", "nowhere")


def test_a_low_level_importer_tells_what_is_recorded(site: Rehearsal) -> None:
    site.declare(
        site.remote("low", type="records"),
        repository("low", "remote: {name: low}", type="records"),
    )
    site.applied(prune=True)
    answer = site.explain("a", "low")
    assert [unit["key"] for unit in answer["held"]] == ["one", "two"]
    assert [(source["result"], source["groups"]) for source in answer["sources"]] == [
        ("silent", [])
    ]


def test_a_name_stays_with_a_source_that_does_not_answer(site: Rehearsal) -> None:
    site.script.failing["a"] = Unreachable("no answer")
    assert site.explain("a")["groups"][0]["owner"] == "remote:up"
    site.script.failing["declare"] = Unreachable("no answer")
    answer = site.explain("a")
    assert (answer["groups"][0]["owner"], answer["sources"][1]["result"]) == ("remote:up", "failed")


def test_a_name_that_is_gone_is_the_next_source_s(site: Rehearsal) -> None:
    site.drops("a")
    answer = site.explain("a")
    assert answer["groups"] == [{"name": "a", "owner": "remote:other"}]
    assert said(answer)["remote:other"] == [("of other", True, "")]


def told(unit: Unit) -> list[TraceStep]:
    return [
        TraceStep(True, "listed", key=("upstream",)),
        TraceStep(unit.key != "two", 'deny "two"', "rules", ("deny", 0)),
        TraceStep(True, "nothing else"),
        TraceStep(True, "no such place", "rules", ("max",)),
    ]


def test_the_chain_names_the_line_of_each_rule(site: Rehearsal) -> None:
    site.script.on_trace = told
    chain = next(
        unit
        for unit in site.explain("a", declared=True)["sources"][0]["groups"][0]["units"]
        if unit["key"] == "two"
    )["chain"]
    numbered = enumerate(site.manifest.read_text(encoding="utf-8").splitlines(), 1)
    [of_source, of_filter] = [
        f"{site.manifest}:{number}"
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


def test_a_row_names_the_place_of_its_own_reason_only(site: Rehearsal) -> None:
    site.script.on_trace = lambda unit: [
        TraceStep(False, "nothing means it"),
        TraceStep(False, 'deny "two"', "rules", ("deny", 0)),
    ]
    rows = [line for line in lines(site.explain("a", declared=True)) if line.startswith("    !")]
    assert rows == ["    ! two   refused: rules.deny"], "the line of another rule would mislead"


def test_what_was_recorded_has_rules_but_no_lines(site: Rehearsal) -> None:
    site.script.on_trace = told
    answer = site.explain("a")
    assert answer["by"] == "record"
    assert {step["place"] for step in answer["sources"][0]["groups"][0]["units"][0]["chain"]} == {
        None
    }
    assert "  by what the last apply recorded" in lines(answer)


def test_the_place_of_an_override_is_the_option(site: Rehearsal) -> None:
    site.script.on_trace = told
    answer = site.explain(
        "a", declared=True, overrides=["filter/rules.max=3", "filter/rules.deny=[two]"]
    )
    chain = answer["sources"][0]["groups"][0]["units"][0]["chain"]
    assert [step["place"] for step in chain][1:] == ["--override:2", None, "--override:1"]


def test_of_many_units_one_chain_for_each_rule(site: Rehearsal) -> None:
    site.says(
        "a", *(site.bare(key) for key in ("two", "three", *(f"k{number}" for number in range(20))))
    )
    site.script.forget()
    units = site.explain("a")["sources"][0]["groups"][0]["units"]
    assert sorted(site.script.traced) == ["three", "two"]
    assert [unit["key"] for unit in units if unit["chain"] is not None] == ["three", "two"]
    assert all(
        unit["chain"]
        for unit in site.explain("a", verbose=True)["sources"][0]["groups"][0]["units"]
    )


def test_all_chains_of_a_group_are_asked_for_at_once(site: Rehearsal) -> None:
    site.says("a", *(site.bare(f"k{number}") for number in range(30)))
    site.script.forget()
    site.explain("a", verbose=True)
    assert len(site.script.traced) == 30
    assert site.script.decided == ["a", "a"], "once to decide, and once for all chains"


def test_chains_for_other_units_than_were_asked_about_are_a_fault(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[Any] = [[], [[], [], [], []], None]
    for chains in wrong:
        monkeypatch.setattr(ContentType, "trace", classmethod(lambda *_, answer=chains: answer))
        assert "`trace`" in site.explain("a")["sources"][0]["message"]


def test_manifests_that_nobody_has_applied(site: Rehearsal) -> None:
    site.declare(site.remote(), rules("deny: [two]"), repository("coming", source("up")))
    answer = site.explain("a", "coming", declared=True)
    assert (answer["version"], answer["held"], answer["by"]) == (None, [], "manifests")
    assert said(answer) == {"remote:up": [("one", True, ""), ("two", False, "rules.deny")]}
    assert next(iter(lines(answer))) == "repository/coming, not applied yet"


def test_a_chain_that_fails_is_that_source_s_failure(site: Rehearsal) -> None:
    def broken(unit: Unit) -> list[TraceStep]:
        raise ZeroDivisionError("oops")

    site.script.on_trace = broken
    first = site.explain("a")["sources"][0]
    assert first["result"] == "failed"
    assert "`trace`" in first["message"]
    site.script.on_trace = lambda unit: ["no step"]  # type: ignore[list-item]
    assert "returns steps" in site.explain("a")["sources"][0]["message"]


def test_a_group_that_is_refused_whole_is_not_asked_for(site: Rehearsal) -> None:
    async def declared(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", refused="denied by everyone")

    site.script.on_declare = declared
    site.script.forget()
    answer = site.explain("a")
    [group] = answer["sources"][0]["groups"]
    assert (group["result"], group["message"], site.script.asked) == (
        "refused",
        "denied by everyone",
        [],
    )
    assert answer["groups"][0]["owner"] == "remote:up", "its name stays its"
    assert "  `a` is refused whole: denied by everyone" in lines(answer)


def test_a_source_that_adds_to_the_name_of_another_says_so(site: Rehearsal) -> None:
    async def declared(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", shared=conduit.options.upstream == "other")

    site.script.on_declare = declared
    answer = site.explain("a")
    assert said(answer)["remote:other"] == [("of other", True, "")]
    assert "  `a` belongs to remote:up; remote:other may add to it" in lines(answer)


def test_what_must_not_replace_what_is_held_says_so(site: Rehearsal) -> None:
    site.script.replaceable = False
    site.validator("v2")
    site.says("a", site.bare("one", other="words"))
    [unit] = site.explain("a")["sources"][0]["groups"][0]["units"]
    assert (unit["accepted"], unit["reason"]) == (False, "it must not be replaced"), (
        "as the plan says"
    )
    assert [step["text"] for step in unit["chain"]] == [
        "nothing keeps it out",
        "it must not be replaced",
    ]
    assert "it must not be replaced" in site.text()


async def declare_what_is_not_taken(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
    """`up` lists `b` unless another source has `mine` or `of base`."""
    if conduit.options.upstream == "up" and not any(
        map(conduit.owned_by_earlier_source, ("mine", "of base"))
    ):
        yield Group("b", listed=True)
    yield Group("a", "v1", listed=True)


def test_a_group_is_read_anew_where_another_source_follows(site: Rehearsal) -> None:
    async def read(conduit: ReadConduit, group: Group) -> list[Unit] | Unchanged:
        return UNCHANGED if conduit.unchanged("same") else [site.bare("one")]

    site.script.on_read = read
    site.applied()
    assert said(site.explain("a"))["remote:up"] == [("one", True, "")]


@pytest.mark.parametrize("order", [("upload: {}", source("up")), (source("up"), "upload: {}")])
def test_all_names_of_uploads_are_taken_as_in_a_plan(
    site: Rehearsal, order: tuple[str, ...]
) -> None:
    site.upload("file", b"x", fields={"group": "mine"})
    site.script.on_declare = declare_what_is_not_taken
    site.says("b", site.bare("one"))
    site.declare(site.remote(), repository("team", *order))
    site.applied()
    assert "b/one" not in site.held()
    assert said(site.explain("b"))["remote:up"] == []


def test_all_names_of_a_copied_repository_are_taken_as_in_a_plan(site: Rehearsal) -> None:
    site.says("of base", site.bare("one"), name="other")
    site.declare(site.remote("other"), repository("base", source("other")))
    site.applied()
    site.script.on_declare = declare_what_is_not_taken
    site.says("b", site.bare("one"))
    base = repository("base", "upload: {}", more="sync: {mode: additive}")
    site.declare(site.remote(), base, repository("team", copy("base"), source("up")))
    site.applied()
    assert "b/one" not in site.held()
    assert said(site.explain("b"))["remote:up"] == []


def test_a_content_type_that_cannot_decide_fails_its_group_alone(site: Rehearsal) -> None:
    def select(*arguments: Any) -> Any:
        raise ZeroDivisionError("oops")

    content_type = site.registry.content_type(LINE)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(content_type, "select", classmethod(select))
        answer = site.explain("a")
    [first] = answer["sources"][0]["groups"]
    assert (answer["sources"][0]["result"], first["result"]) == ("answered", "failed")
    assert "ZeroDivisionError: oops" in first["message"]
    assert answer["groups"] == [{"name": "a", "owner": "remote:up"}]


def test_parts_of_a_tree_of_files_are_not_named(site: Rehearsal) -> None:
    """Kind: a name that only the program knows, in what people read."""
    answer = site.explain("a", declared=True)
    assert any("`a` holds" in line for line in lines(answer))
    text = "\n".join(lines({**answer, "buckets": True}))
    assert "`a` holds" not in text
    assert "    + one   in" in text
    for group in (group for each in answer["sources"] for group in each["groups"]):
        group["units"] = []
    assert "  lists no such path" in lines({**answer, "buckets": True})
