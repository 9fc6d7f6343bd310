"""Compare and swap of single groups: a group that moved is left out, the others are committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.database import Stage, StagedGroup, StagedMember, Writer
from reconciler.errors import Conflict
from reconciler.model import CheckedTree, IdentifiedUnit, artifact_digest, stored_unit
from tests.support.databases import (
    NOW,
    a_unit,
    by_group,
    change,
    committed,
    created_repository,
    database,
    group_digests,
)

SOURCE, OTHER = "remote:a", "remote:b"
NAMES = ("alpha", "beta", "gamma")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        yield opened.writer()


def staged(writer: Writer, repository_id: int, units: dict[str, IdentifiedUnit]) -> Stage:
    """Stage one new unit per group, based on what the groups hold now."""
    seen = group_digests(writer, repository_id, units)
    writer.record_units(by_group(*units.values()), {})
    stage = writer.stage(repository_id)
    stage.add(
        [StagedGroup(name, SOURCE, seen.get(name), committed(name, "mine")) for name in units],
        [StagedMember(name, unit.digest, SOURCE, joins=True) for name, unit in units.items()],
    )
    return stage


def with_file(writer: Writer, group: str, path: str) -> IdentifiedUnit:
    """Return a recorded unit whose file is stored."""
    unit = a_unit(group, path, artifact=True)
    writer.record_units(by_group(unit), {artifact_digest(unit.artifacts[0]): 1})
    return unit


def held(writer: Writer, repository_id: int) -> set[tuple[str, str]]:
    """Return (group, key) of everything that the latest version holds."""
    return {
        (name, stored_unit(unit.body).key)
        for name, units in writer.current_units(repository_id, NAMES).items()
        for unit in units
    }


def test_a_moved_group_is_left_out_and_the_others_are_committed(writer: Writer) -> None:
    id_ = created_repository(writer)
    change(writer, id_, joins=[a_unit(name, "old") for name in NAMES])
    with staged(writer, id_, {name: a_unit(name, "new") for name in NAMES}) as stage:
        change(writer, id_, joins=[a_unit("beta", "foreign")], source=OTHER)
        with pytest.raises(Conflict, match="`beta`") as refusal:
            stage.commit({}, {}, NOW)
        assert "`alpha`" not in str(refusal.value)
        assert stage.leave_out_moved() == {("beta", SOURCE)}
        assert stage.commit({}, {}, NOW).created
    assert held(writer, id_) == {
        *((name, "old") for name in NAMES),
        ("alpha", "new"),
        ("beta", "foreign"),
        ("gamma", "new"),
    }
    remembered = writer.committed_groups(id_, SOURCE)
    assert {name: group.validator for name, group in remembered.items()} == {
        "alpha": "mine",
        "beta": "v1",
        "gamma": "mine",
    }


def test_nothing_is_left_out_while_no_group_has_moved(writer: Writer) -> None:
    id_ = created_repository(writer)
    change(writer, id_, joins=[a_unit("alpha", "old")])
    with staged(writer, id_, {name: a_unit(name, "new") for name in NAMES}) as stage:
        assert stage.leave_out_moved() == set()
        assert stage.commit({}, {}, NOW).created
    assert held(writer, id_) == {("alpha", "old"), *((name, "new") for name in NAMES)}


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_exactly_the_groups_that_moved_are_left_out(
    tmp_path_factory: pytest.TempPathFactory, before: set[str], moved: set[str]
) -> None:
    with database(tmp_path_factory.mktemp("moved")) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        if before:
            change(writer, id_, joins=[a_unit(name, "old") for name in before])
        with staged(writer, id_, {name: a_unit(name, "new") for name in NAMES}) as stage:
            if moved:
                change(writer, id_, joins=[a_unit(name, "foreign") for name in moved], source=OTHER)
            assert stage.leave_out_moved() == {(name, SOURCE) for name in moved}
            stage.commit({}, {}, NOW)
        assert {name for name, key in held(writer, id_) if key == "new"} == set(NAMES) - moved


@pytest.mark.parametrize(("path", "other"), [("a", "a/b"), ("a/b", "a"), ("name", "NAME")])
@pytest.mark.parametrize("how", ["came in since", "was to leave"])
def test_names_that_no_tree_holds_are_compared_in_the_commit(
    path: str, other: str, how: str, writer: Writer
) -> None:
    """Whatever was checked before: the file came in since, or was to leave and stays."""
    id_ = created_repository(writer)
    tree = CheckedTree(1, folded=True)
    change(writer, id_, joins=[with_file(writer, "beta", "old")])
    rival = with_file(writer, "gamma", other)
    if how == "was to leave":
        change(writer, id_, joins=[rival])
        tree = CheckedTree(2, folded=True).everything
    units = {"alpha": with_file(writer, "alpha", path), "beta": a_unit("beta", "x/y")}
    with staged(writer, id_, units) as stage:
        if how == "came in since":
            change(writer, id_, joins=[rival])
        with pytest.raises(Conflict, match=f"`{path}` .* `{other}`"):
            stage.commit({}, {}, NOW, tree=tree)
        [(group, reason)] = stage.leave_out_clashing(tree).items()
        assert group == ("alpha", SOURCE)
        assert f"`{other}`" in reason
        assert stage.commit({}, {}, NOW, tree=tree).created
    assert {name for name, _ in held(writer, id_)} == {"beta", "gamma"}


def test_names_of_what_leaves_with_the_same_commit_exclude_nothing(writer: Writer) -> None:
    id_ = created_repository(writer)
    old = with_file(writer, "alpha", "a")
    change(writer, id_, joins=[old])
    new = with_file(writer, "beta", "a/b")
    with staged(writer, id_, {"beta": new}) as stage:
        digests = group_digests(writer, id_, ["alpha"])
        stage.add(
            [StagedGroup("alpha", SOURCE, digests["alpha"], committed("alpha", "mine"))],
            [StagedMember("alpha", old.digest, SOURCE, joins=False)],
        )
        assert stage.commit({}, {}, NOW, tree=CheckedTree(0, folded=True)).created
    assert held(writer, id_) == {("beta", "a/b")}
