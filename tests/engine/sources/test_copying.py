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
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        site.says("b", site.file("three"))
        yield site


def chain(site: Rehearsal, *names: str, entry: str = "", more: str = "") -> None:
    """Each of the repositories copies from the one before; the first has the remote."""
    copies = [repository(name, entry or copy(base), more=more) for base, name in pairwise(names)]
    site.declare(site.remote(), repository(names[0]), *copies)


def test_one_apply_converges_a_chain_and_the_next_plan_is_empty(site: Rehearsal) -> None:
    chain(site, "team", "stage", "prod")
    assert "Repository prod" in site.text()
    site.applied()
    assert site.held("prod") == site.held("stage") == site.held() == ["a/one", "a/two", "b/three"]
    assert site.digest("prod") == site.digest("stage") == site.digest()
    assert site.settled()
    site.says("a", site.file("one"), site.file("four"))
    site.applied()
    assert site.held("prod") == ["a/four", "a/one", "b/three"]
    assert [site.number(name) for name in ("team", "stage", "prod")] == [2, 2, 2]
    assert site.digest("prod") == site.digest()
    assert site.settled()


def test_the_name_of_a_copy_may_come_before_that_of_its_base(site: Rehearsal) -> None:
    chain(site, "zulu", "mike", "alpha")
    site.applied()
    assert site.held("alpha") == ["a/one", "a/two", "b/three"]
    assert site.settled()


def test_nothing_is_downloaded_and_nothing_is_stored_for_a_copy(site: Rehearsal) -> None:
    site.declare(site.remote(), repository())
    site.applied()
    site.server.requests.clear()
    before = files(site)
    chain(site, "team", "prod")
    assert site.content("prod").counts.download == 0
    site.applied()
    assert files(site) == before
    assert site.downloads() == []
    assert set().union(*site.sources("prod").values()) == {"repository:team"}


def files(site: Rehearsal) -> set[Path]:
    return {path for path in (site.home.root / "store").rglob("*") if path.is_file()}


@pytest.mark.parametrize("by", ["number", "digest"])
def test_a_pinned_copy_stays_goes_on_and_goes_back(by: str, site: Rehearsal) -> None:
    site.declare(site.remote(), repository())
    site.applied()
    first = site.digest()
    site.says("a", site.file("one"))
    site.says("c", site.file("four"))
    site.applied()
    second = site.digest()
    pins = {1: "1", 2: "2"} if by == "number" else {1: first, 2: second}
    for step, version in enumerate((1, 2, 1), 1):
        chain(site, "team", "prod", entry=copy(version=pins[version]))
        site.applied()
        assert site.digest("prod") == {1: first, 2: second}[version]
        assert site.number("prod") == step
        assert site.settled()


def test_a_pin_that_leads_nowhere_fails_and_keeps_what_is_there(site: Rehearsal) -> None:
    chain(site, "team", "prod")
    site.applied()
    for pin in ("7", "sha256:" + "0" * 64):
        chain(site, "team", "prod", entry=copy(version=pin))
        said = site.failed("repository/prod")
        assert "repository `team` has no version" in said
        assert pin in said
        assert site.held("prod") == ["a/one", "a/two", "b/three"]


def test_a_copy_has_rules_of_its_own(site: Rehearsal) -> None:
    strict = resource("Filter", "strict", "type: lines, deny: [two]")
    site.declare(
        site.remote(),
        strict,
        repository(),
        repository("prod", copy(more="skip: [three]"), more="filters: [strict]"),
    )
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert site.held("prod") == ["a/one"]
    assert site.settled()
    site.declare(site.remote(), repository(), repository("prod", copy()))
    site.applied(prune=True)
    assert site.digest("prod") == site.digest()


def test_a_base_that_its_guard_refuses_is_copied_as_it_is_recorded(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(more=""), repository("prod", copy()))
    site.applied()
    site.drops("a")
    site.drops("b")
    site.says("c", site.file("four"))
    site.script.upstream("up").groups.pop("c")
    report = site.apply(destroy=False)
    assert {outcome.ref: outcome.result for outcome in report.outcomes}[
        "repository/team"
    ] == "failed"
    assert site.held("prod") == site.held() == ["a/one", "a/two", "b/three"]


def test_a_file_that_the_base_could_not_have_comes_to_the_copy_later(site: Rehearsal) -> None:
    chain(site, "team", "prod")
    four = site.file("four")
    site.says("a", site.file("one"), four)
    site.server.on("/four", status(503))
    assert "`four`" in site.failed()
    assert (site.held(), site.held("prod")) == (["a/one", "b/three"], [])
    site.file("four")
    site.applied()
    assert site.held("prod") == site.held() == ["a/four", "a/one", "b/three"]
    assert site.settled()
    assert site.digest("prod") == site.digest()


def test_a_base_that_cannot_be_read_removes_nothing_from_its_copy(site: Rehearsal) -> None:
    chain(site, "team", "prod")
    site.applied()
    site.script.failing["declare"] = OSError("no answer")
    site.failed()
    assert site.held("prod") == ["a/one", "a/two", "b/three"]


def test_a_removed_entry_takes_along_what_it_brought(site: Rehearsal) -> None:
    site.says("own", site.bare("x"), name="other")
    both = [site.remote(), site.remote("other"), repository()]
    site.declare(*both, repository("prod", copy(), source("other")))
    site.applied()
    assert site.held("prod") == ["a/one", "a/two", "b/three", "own/x"]
    site.declare(*both, repository("prod", source("other")))
    site.applied()
    assert site.held("prod") == ["own/x"]
    assert site.settled()


def test_the_first_of_two_entries_owns_a_name(site: Rehearsal) -> None:
    site.says("b", site.bare("hotfix"), name="other")
    documents = [
        site.remote(),
        site.remote("other"),
        repository(),
        repository("prod", source("other"), copy()),
    ]
    site.declare(*documents)
    site.applied()
    assert site.held("prod") == ["a/one", "a/two", "b/hotfix"]
    assert site.settled()
    site.drops("b", "other")
    site.applied()
    assert site.held("prod") == ["a/one", "a/two", "b/three"]
    assert site.settled()


def test_the_additive_mode_keeps_what_the_base_lost(site: Rehearsal) -> None:
    chain(site, "team", "prod", more="sync: {mode: additive}")
    site.applied()
    site.drops("b")
    site.applied()
    assert site.held() == ["a/one", "a/two"]
    assert site.held("prod") == ["a/one", "a/two", "b/three"]
    assert site.settled()


def test_two_copies_of_one_base_read_its_plan_at_the_same_time(site: Rehearsal) -> None:
    for number in range(60):
        site.says(f"g{number}", *(site.bare(f"{number}-{unit}") for unit in range(20)))
    copies = [f"copy{number}" for number in range(4)]
    site.declare(site.remote(), repository(), *(repository(name, copy()) for name in copies))
    site.applied()
    assert {site.digest(name) for name in copies} == {site.digest()}
    assert site.settled()


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


def test_an_importer_may_choose_what_comes_along(site: Rehearsal) -> None:
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

    site.script.on_copy = choose
    site.declare(
        site.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    site.applied()
    assert site.held("prod") == ["a/one", "b/three"]
    assert seen[0] == ("prod", [], ["a", "b"], "up")
    assert site.settled()


@pytest.mark.parametrize("way", ["a stranger", "twice", "without end", "raises", "kept"])
def test_a_choice_that_makes_no_sense_fails_its_group_alone(way: str, site: Rehearsal) -> None:
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

    site.script.on_copy = choose
    site.declare(
        site.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    if way == "kept":
        site.applied()
        site.says("a", site.file("one"))
    said = site.failed("repository/prod")
    assert "repository:team: a: " in said
    assert "`copies`" in said
    assert ("`CopyConduit` after its call had returned" in said) == (way == "kept")
    assert "b/three" in site.held("prod")


def test_a_circle_of_copies_is_a_fault_of_the_manifests(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("one", copy("two")), repository("two", copy("one")))
    with pytest.raises(ManifestFaults, match="copies"):
        site.plan()


def test_files_that_were_left_upstream_are_known_through_a_copy(site: Rehearsal) -> None:
    site.declare(
        site.remote(more="policy: on-demand"),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    site.applied()
    assert site.held("prod") == ["a/one", "a/two", "b/three"]
    assert site.settled()
    assert site.downloads() == []


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
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.validator("v1")
    for number in range(50):
        site.says(f"g{number}", site.bare(f"{number}"), validator="1")
    chain(site, "team", "prod")
    site.applied()
    site.applied()  # what was copied out of a plan is compared with the recorded version once
    with monkeypatch.context() as patched:
        counting = Counting(patched)
        assert site.settled()
    assert counting.asked == {}, "an unchanged copy looks at the digest of one version"
    site.says("g7", site.bare("changed"), validator="2")
    site.declare(site.remote(), repository())
    site.validator("v2")
    site.apply()
    chain(site, "team", "prod")
    with monkeypatch.context() as patched:
        counting = Counting(patched)
        assert site.content("prod").counts.total == 2
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
    with TemporaryDirectory() as folder, rehearsal(Path(folder)) as site:
        for groups, apart in steps:
            site.script.upstream("up").groups = {
                name: [site.bare(key) for key in sorted(keys)] for name, keys in groups.items()
            }
            if apart:
                site.declare(site.remote(), repository())
                site.applied()
            chain(site, "team", "middle", "prod")
            site.applied()
            assert site.digest() == site.digest("middle") == site.digest("prod")
            assert site.settled()
