"""Copies of repositories: promotion within one apply, by number and digest, under rules of their
own; units come as they are, and no byte moves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.database import Reader
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.errors import ManifestFaults
from reconciler.plan import ChangeLine, GroupChange, GroupLine
from reconciler.plugin import CopyConduit, StoredUnit
from tests.support.faulty import status
from tests.support.rehearsal import (
    Rehearsal,
    copy,
    publication,
    rehearsal,
    repository,
    resource,
    source,
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.says("a", found.file("one"), found.file("two"))
        found.says("b", found.file("three"))
        yield found


def chain(stage: Rehearsal, *names: str, entry: str = "", more: str = "") -> None:
    """Each of the repositories copies from the one before; the first has the remote."""
    copies = [repository(name, entry or copy(base), more=more) for base, name in pairwise(names)]
    stage.declare(stage.remote(), repository(names[0]), *copies)


def test_one_apply_converges_a_chain_and_the_next_plan_is_empty(stage: Rehearsal) -> None:
    chain(stage, "team", "stage", "prod")
    assert "Repository prod" in stage.text()
    stage.applied()
    assert (
        stage.held("prod") == stage.held("stage") == stage.held() == ["a/one", "a/two", "b/three"]
    )
    assert stage.digest("prod") == stage.digest("stage") == stage.digest()
    assert stage.settled()
    stage.says("a", stage.file("one"), stage.file("four"))
    stage.applied()
    assert stage.held("prod") == ["a/four", "a/one", "b/three"]
    assert [stage.number(name) for name in ("team", "stage", "prod")] == [2, 2, 2]
    assert stage.digest("prod") == stage.digest()
    assert stage.settled()


def test_the_name_of_a_copy_may_come_before_that_of_its_base(stage: Rehearsal) -> None:
    chain(stage, "zulu", "mike", "alpha")
    stage.applied()
    assert stage.held("alpha") == ["a/one", "a/two", "b/three"]
    assert stage.settled()


def test_nothing_is_downloaded_and_nothing_is_stored_for_a_copy(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository())
    stage.applied()
    stage.server.requests.clear()
    before = files(stage)
    chain(stage, "team", "prod")
    assert stage.content("prod").counts.download == 0
    stage.applied()
    assert files(stage) == before
    assert stage.downloads() == []
    assert set().union(*stage.sources("prod").values()) == {"repository:team"}


def files(stage: Rehearsal) -> set[Path]:
    return {path for path in (stage.home.root / "store").rglob("*") if path.is_file()}


@pytest.mark.parametrize("by", ["number", "digest"])
def test_a_pinned_copy_stays_goes_on_and_goes_back(by: str, stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository())
    stage.applied()
    first = stage.digest()
    stage.says("a", stage.file("one"))
    stage.says("c", stage.file("four"))
    stage.applied()
    second = stage.digest()
    pins = {1: "1", 2: "2"} if by == "number" else {1: first, 2: second}
    for step, version in enumerate((1, 2, 1), 1):
        chain(stage, "team", "prod", entry=copy(version=pins[version]))
        stage.applied()
        assert stage.digest("prod") == {1: first, 2: second}[version]
        assert stage.number("prod") == step
        assert stage.settled()


def test_a_pin_that_leads_nowhere_fails_and_keeps_what_is_there(stage: Rehearsal) -> None:
    chain(stage, "team", "prod")
    stage.applied()
    for pin in ("7", "sha256:" + "0" * 64):
        chain(stage, "team", "prod", entry=copy(version=pin))
        said = stage.failed("repository/prod")
        assert "repository `team` has no version" in said
        assert pin in said
        assert stage.held("prod") == ["a/one", "a/two", "b/three"]


def test_a_copy_has_rules_of_its_own(stage: Rehearsal) -> None:
    strict = resource("Filter", "strict", "type: lines, deny: [two]")
    stage.declare(
        stage.remote(),
        strict,
        repository(),
        repository("prod", copy(more="skip: [three]"), more="filters: [strict]"),
    )
    stage.applied()
    assert stage.held() == ["a/one", "a/two", "b/three"]
    assert stage.held("prod") == ["a/one"]
    assert stage.settled()
    stage.declare(stage.remote(), repository(), repository("prod", copy()))
    stage.applied(prune=True)
    assert stage.digest("prod") == stage.digest()


def test_a_base_that_its_guard_refuses_is_copied_as_it_is_recorded(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(more=""), repository("prod", copy()))
    stage.applied()
    stage.drops("a")
    stage.drops("b")
    stage.says("c", stage.file("four"))
    stage.script.upstream("up").groups.pop("c")
    report = stage.apply(destroy=False)
    assert {outcome.ref: outcome.result for outcome in report.outcomes}[
        "repository/team"
    ] == "failed"
    assert stage.held("prod") == stage.held() == ["a/one", "a/two", "b/three"]


def test_a_file_that_the_base_could_not_have_comes_to_the_copy_later(stage: Rehearsal) -> None:
    chain(stage, "team", "prod")
    four = stage.file("four")
    stage.says("a", stage.file("one"), four)
    stage.server.on("/four", status(503))
    assert "`four`" in stage.failed()
    assert (stage.held(), stage.held("prod")) == (["a/one", "b/three"], [])
    stage.file("four")
    stage.applied()
    assert stage.held("prod") == stage.held() == ["a/four", "a/one", "b/three"]
    assert stage.settled()
    assert stage.digest("prod") == stage.digest()


def test_a_base_that_cannot_be_read_removes_nothing_from_its_copy(stage: Rehearsal) -> None:
    chain(stage, "team", "prod")
    stage.applied()
    stage.script.failing["declare"] = OSError("no answer")
    stage.failed()
    assert stage.held("prod") == ["a/one", "a/two", "b/three"]


def test_a_removed_entry_takes_along_what_it_brought(stage: Rehearsal) -> None:
    stage.says("own", stage.bare("x"), name="other")
    both = [stage.remote(), stage.remote("other"), repository()]
    stage.declare(*both, repository("prod", copy(), source("other")))
    stage.applied()
    assert stage.held("prod") == ["a/one", "a/two", "b/three", "own/x"]
    stage.declare(*both, repository("prod", source("other")))
    stage.applied()
    assert stage.held("prod") == ["own/x"]
    assert stage.settled()


def test_the_first_of_two_entries_owns_a_name(stage: Rehearsal) -> None:
    stage.says("b", stage.bare("hotfix"), name="other")
    documents = [
        stage.remote(),
        stage.remote("other"),
        repository(),
        repository("prod", source("other"), copy()),
    ]
    stage.declare(*documents)
    stage.applied()
    assert stage.held("prod") == ["a/one", "a/two", "b/hotfix"]
    assert stage.settled()
    stage.drops("b", "other")
    stage.applied()
    assert stage.held("prod") == ["a/one", "a/two", "b/three"]
    assert stage.settled()


def test_the_additive_mode_keeps_what_the_base_lost(stage: Rehearsal) -> None:
    chain(stage, "team", "prod", more="sync: {mode: additive}")
    stage.applied()
    stage.drops("b")
    stage.applied()
    assert stage.held() == ["a/one", "a/two"]
    assert stage.held("prod") == ["a/one", "a/two", "b/three"]
    assert stage.settled()


def test_two_copies_of_one_base_read_its_plan_at_the_same_time(stage: Rehearsal) -> None:
    for number in range(60):
        stage.says(f"g{number}", *(stage.bare(f"{number}-{unit}") for unit in range(20)))
    copies = [f"copy{number}" for number in range(4)]
    stage.declare(stage.remote(), repository(), *(repository(name, copy()) for name in copies))
    stage.applied()
    assert {stage.digest(name) for name in copies} == {stage.digest()}
    assert stage.settled()


def test_a_spool_is_read_from_several_threads() -> None:
    names = [f"group{number:03}" for number in range(200)]
    writer = SpoolWriter()
    writer.add(
        GroupChange(GroupLine(name, "remote:up"), [ChangeLine("+", "t", name * 50)])
        for name in names
    )
    spool, _ = writer.close()

    def wrong(number: int) -> list[str]:
        order = names[number:] + names[:number]
        return [
            name for name in order * 5 if [change.head.name for change in spool.of(name)] != [name]
        ]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert [name for found in threads.map(wrong, (0, 50, 100, 150)) for name in found] == []
    finally:
        sys.setswitchinterval(before)


def test_an_importer_may_choose_what_comes_along(stage: Rehearsal) -> None:
    seen: list[Any] = []

    async def choose(
        conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
    ) -> list[StoredUnit]:
        seen.append(
            (
                conduit.repository.name,
                list(conduit.groups()),
                list(conduit.source.groups()),
                conduit.options.upstream,
            )
        )
        assert [unit.key for unit in conduit.source.units(group)] == [unit.key for unit in units]
        return [unit for unit in units if unit.key != "two"]

    stage.script.on_copy = choose
    stage.declare(
        stage.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    stage.applied()
    assert stage.held("prod") == ["a/one", "b/three"]
    assert seen[0] == ("prod", [], ["a", "b"], "up")
    assert stage.settled()


@pytest.mark.parametrize("way", ["a stranger", "twice", "without end", "raises", "kept"])
def test_a_choice_that_makes_no_sense_fails_its_group_alone(way: str, stage: Rehearsal) -> None:
    kept: list[Any] = []

    async def choose(conduit: CopyConduit, group: str, units: Sequence[StoredUnit]) -> Any:
        if group == "b":
            return units
        if way == "a stranger":
            return [
                StoredUnit(artifacts=[], group="a", key="stranger", metadata={}, type="lines.line")
            ]
        if way == "twice":
            return [*units, *units]
        if way == "without end":
            return iter(lambda: units[0], None)
        if way == "raises":
            raise ZeroDivisionError("oops")
        kept.append(conduit.source)
        return units if len(kept) < 2 else kept[0].units("a")

    stage.script.on_copy = choose
    stage.declare(
        stage.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    if way == "kept":
        stage.applied()
        stage.says("a", stage.file("one"))
    said = stage.failed("repository/prod")
    assert "repository:team: a: " in said
    assert "`copies`" in said
    assert ("`CopyConduit` after its call had returned" in said) == (way == "kept")
    assert "b/three" in stage.held("prod")


def test_a_circle_of_copies_is_a_fault_of_the_manifests(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository("one", copy("two")), repository("two", copy("one")))
    with pytest.raises(ManifestFaults, match="copies"):
        stage.plan()


def test_files_that_were_left_upstream_are_known_through_a_copy(stage: Rehearsal) -> None:
    stage.declare(
        stage.remote(more="policy: on-demand"),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    stage.applied()
    assert stage.held("prod") == ["a/one", "a/two", "b/three"]
    assert stage.settled()
    assert stage.downloads() == []


class Counting:
    """How often each question was asked of the database, and about how many groups."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, int] = {}
        for name in (
            "version_groups",
            "members",
            "current_units",
            "committed_groups",
            "changed_groups",
        ):
            self._watch(monkeypatch, name, getattr(Reader, name))

    def _watch(self, monkeypatch: pytest.MonkeyPatch, name: str, whole: Any) -> None:
        def call(*arguments: Any, **named: Any) -> Any:
            if (
                "upload" in arguments
                # the names that uploads have are looked up in every run: one row for each, and here
                # there is none
            ):
                return whole(*arguments, **named)
            groups = [
                argument
                for argument in arguments
                if isinstance(argument, (list, set, frozenset, tuple))
            ]
            self.asked[name] = self.asked.get(name, 0) + (len(groups[0]) if groups else 1)
            return whole(*arguments, **named)

        monkeypatch.setattr(Reader, name, call)


def test_the_cost_of_a_copy_follows_what_changed(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.validator("v1")
    for number in range(50):
        stage.says(f"g{number}", stage.bare(f"{number}"), validator="1")
    chain(stage, "team", "prod")
    stage.applied()
    stage.applied()  # what was copied out of a plan is compared with the recorded version once
    with monkeypatch.context() as patched:
        counting = Counting(patched)
        assert stage.settled()
    assert counting.asked == {}, "an unchanged copy looks at the digest of one version"
    stage.says("g7", stage.bare("changed"), validator="2")
    stage.declare(stage.remote(), repository())
    stage.validator("v2")
    stage.apply()
    chain(stage, "team", "prod")
    with monkeypatch.context() as patched:
        counting = Counting(patched)
        assert stage.content("prod").counts.total == 2
    assert counting.asked["members"] <= 2
    assert counting.asked["changed_groups"] == 1
    assert "version_groups" not in counting.asked


HELD = st.dictionaries(st.sampled_from("abc"), st.sets(st.sampled_from("xyz")), max_size=3)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(HELD, st.booleans()), min_size=1, max_size=4))
def test_whatever_happens_to_the_base_its_copy_is_the_same(
    steps: list[tuple[dict[str, set[str]], bool]],
) -> None:
    """Whether it is applied together with its base, or after it."""
    with TemporaryDirectory() as folder, rehearsal(Path(folder)) as stage:
        for groups, apart in steps:
            stage.script.upstream("up").groups = {
                name: [stage.bare(key) for key in sorted(keys)] for name, keys in groups.items()
            }
            if apart:
                stage.declare(stage.remote(), repository())
                stage.applied()
            chain(stage, "team", "middle", "prod")
            stage.applied()
            assert stage.digest() == stage.digest("middle") == stage.digest("prod")
            assert stage.settled()
