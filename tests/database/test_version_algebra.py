"""Intervals agree with a plain dictionary of sets, in any order of staging."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.database import Writer
from reconciler.model import (
    EMPTY_VERSION,
    Digest,
    IdentifiedUnit,
    bucket_digest,
    bucket_of,
    group_digest,
    stored_unit,
    version_digest,
)
from tests.support.databases import a_unit, by_group, change, created_repository, database

SOURCES = ("remote:a", "remote:b")
GROUPS = ("alpha", "beta", "gamma")
KEYS = ("one", "two")

Item = tuple[str, str, str]  # group, key, note: a unit that can be a member of a set

units = st.tuples(st.sampled_from(GROUPS), st.sampled_from(KEYS), st.sampled_from(["", "changed"]))
changes = st.lists(
    st.tuples(
        st.sampled_from(SOURCES),
        st.lists(units, max_size=4, unique=True),
        st.sets(st.integers(0, 20), max_size=3),
    ),
    max_size=6,
)


def made(items: Iterable[Item]) -> list[IdentifiedUnit]:
    return [a_unit(*item) for item in items]


def digest_from_scratch(content: set[Item]) -> Digest:
    """By the definition, without any table."""
    groups: dict[str, set[Digest]] = {}
    for unit in made(content):
        groups.setdefault(unit.group, set()).add(unit.digest)
    buckets: dict[int, list[Digest]] = {}
    for name, members in groups.items():
        buckets.setdefault(bucket_of(name), []).append(group_digest(members))
    return version_digest((number, bucket_digest(digests)) for number, digests in buckets.items())


def content_of(writer: Writer, repository_id: int, number: int) -> dict[str, list[tuple[str, str]]]:
    units = writer.units(repository_id, number, writer.group_names(repository_id, number))
    return {
        group: sorted((member.key, member.metadata["note"]) for member in members)
        for group, members in units.items()
    }


def as_read(content: set[Item]) -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for group, key, note in content:
        groups.setdefault(group, []).append((key, note))
    return {name: sorted(members) for name, members in groups.items()}


def differences(
    writer: Writer, repository_id: int, a: int, b: int
) -> tuple[set[Digest], set[Digest]]:
    differences = list(writer.difference(repository_id, a, b))
    assert [d.group for d in differences] == sorted(d.group for d in differences)
    return {Digest.of(d.before) for d in differences if d.before}, {
        Digest.of(d.after) for d in differences if d.after
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes)
def test_versions_hold_what_a_dictionary_of_sets_holds(
    steps: list[tuple[str, list[Item], set[int]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        members: set[tuple[str, Item]] = set()
        history: list[set[Item]] = [set()]
        for source, joins, positions in steps:
            mine = sorted(unit for owner, unit in members if owner == source)
            leaves = [
                unit for index, unit in enumerate(mine) if index in positions and unit not in joins
            ]
            members = members - {(source, leave) for leave in leaves} | {
                (source, join) for join in joins
            }
            content = {unit for _, unit in members}
            result = change(writer, id_, joins=made(joins), leaves=made(leaves), source=source)
            assert result.created == (content != history[-1])
            if result.created:
                history.append(content)
            assert (result.number, result.digest) == (
                len(history) - 1,
                digest_from_scratch(content),
            )
        _check_history(writer, id_, history)
        _check_sources(writer, id_, members)


def _check_sources(writer: Writer, id_: int, members: set[tuple[str, Item]]) -> None:
    """Compare the current units of each source, in all three queries."""
    current = writer.current_units(id_, GROUPS)
    assert {(unit.source, unit.digest) for units in current.values() for unit in units} == {
        (source, a_unit(*unit).digest) for source, unit in members
    }
    for name in SOURCES:
        mine = {unit for source, unit in members if source == name}
        held = writer.current_units(id_, GROUPS, source=name)
        assert {unit.digest for units in held.values() for unit in units} == {
            a_unit(*unit).digest for unit in mine
        }
        assert (
            list(writer.held_groups(id_, name))
            == sorted(held)
            == sorted({group for group, _, _ in mine})
        )


def _check_groups(writer: Writer, id_: int, number: int, content: set[Item]) -> None:
    """Compare exact bodies and digests; find every unit by its key and by its group."""
    members = writer.members(id_, number, GROUPS)
    assert {(group, digest) for group, units in members.items() for digest, _ in units} == {
        (unit.group, unit.digest) for unit in made(content)
    }
    assert all(Digest.of(body) == digest for units in members.values() for digest, body in units)
    expected = {
        name: group_digest(Digest.of(body) for _, body in units) for name, units in members.items()
    }
    assert list(writer.version_groups(id_, number)) == sorted(expected.items())
    for word in (*GROUPS, *KEYS):
        units = writer.find_units(id_, number, word)
        assert {unit.digest for unit in units} == {
            a_unit(*item).digest for item in content if word in item[:2]
        }
        assert [(unit.group, stored_unit(unit.body).key) for unit in units] == sorted(
            (unit.group, stored_unit(unit.body).key) for unit in units
        )
        assert all(1 <= unit.added <= number and unit.source in SOURCES for unit in units)


def _check_history(writer: Writer, id_: int, history: list[set[Item]]) -> None:
    records = {record.number: record for record in writer.versions(id_)}
    assert list(records) == list(range(len(history) - 1, 0, -1))
    for number, content in enumerate(history):
        assert content_of(writer, id_, number) == as_read(content)
        assert sum(writer.counts(id_, number).values()) == len(content)
        _check_groups(writer, id_, number, content)
    for a, before in enumerate(history):
        for b, after in enumerate(history):
            gone, come = (
                {unit.digest for unit in made(items)} for items in (before - after, after - before)
            )
            assert differences(writer, id_, a, b) == (gone, come)
            assert list(writer.changed_groups(id_, a, b)) == sorted(
                {group for group, _, _ in before ^ after}
            )
    for number, (before, after) in enumerate(pairwise(history), start=1):
        record = records[number]
        assert (record.added + record.changed, record.removed + record.changed) == (
            len(after - before),
            len(before - after),
        )
        assert record == writer.version(id_, number)
        assert writer.version_by_digest(id_, record.digest) == max(
            n for n, content in enumerate(history) if content == after
        )


@settings(max_examples=15, deadline=None)
@given(
    st.lists(units, min_size=1, unique=True).flatmap(
        lambda items: st.tuples(st.just(items), st.permutations(items))
    )
)
def test_the_same_content_has_the_same_digest_in_any_order_and_number_of_commits(
    orders: tuple[list[Item], list[Item]],
) -> None:
    content, shuffled = made(orders[0]), made(orders[1])
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as opened:
        writer = opened.writer()
        at_once, one_by_one = (
            created_repository(writer, "at-once"),
            created_repository(writer, "one-by-one"),
        )
        whole = change(writer, at_once, joins=content)
        for unit in shuffled:
            last = change(writer, one_by_one, joins=[unit], source="remote:b")
        assert last.digest == whole.digest
        assert last.number == len(content)
        back = change(writer, at_once, leaves=content)
        assert back.digest == EMPTY_VERSION
        assert writer.committed_groups(at_once, "remote:a").keys() == {
            unit.group for unit in content
        }


def test_a_changed_unit_counts_as_changed_not_as_added_and_removed(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        old, new, other = (
            a_unit("alpha", "one"),
            a_unit("alpha", "one", "yanked"),
            a_unit("alpha", "two"),
        )
        change(writer, id_, joins=[old])
        change(writer, id_, joins=[new, other], leaves=[old])
        record = writer.versions(id_)[0]
        assert (record.added, record.removed, record.changed) == (1, 0, 1)
        changed, added = writer.difference(id_, 1, 2)
        assert (changed.before, changed.after) == (old.body, new.body)
        assert (added.before, added.after) == (None, other.body)


def test_sizes_that_upstream_did_not_declare_are_filled_in(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one", artifact=True)
        sha256 = Digest.parse(unit.unit.artifacts[0].sha256)
        writer.record_units(by_group(unit), {sha256: 1234})
        change(writer, id_, joins=[unit])
        assert writer.units(id_, 1, ["alpha"])["alpha"][0].artifacts[0].size == 1234
        assert writer.stored([sha256, Digest.of(b"other")]) == {sha256}
