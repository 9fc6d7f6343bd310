"""The difference of a group, as an algebra.

Applying its lines gives the desired content, and changes nothing of other sources.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Digest, IdentifiedUnit, artifact_digest
from reconciler.plan import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    ChangeLine,
    DesiredGroup,
    GroupChange,
    GroupMember,
    RefusedUnit,
    counts_of,
    difference,
    is_key_taken,
    merge_source_changes,
    sum_counts,
    with_download,
)
from tests.support.plans import PlainWords, a_member, a_unit, changed

KEYS = ["a", "b", "c", "d"]
HERE, THERE = "remote:here", "remote:there"
WORDS = PlainWords()

Held = dict[str, int]  # key -> which of its states
HELD = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2))


def members(held: Held, source: str) -> list[GroupMember]:
    return [a_member(a_unit(key, note), source) for key, note in held.items()]


def units(held: Held) -> list[IdentifiedUnit]:
    return [a_unit(key, note) for key, note in held.items()]


def digests(held: Held) -> set[Digest]:
    return {unit.digest for unit in units(held)}


def carried_out(
    before: set[tuple[Digest, str]], source: str, lines: list[ChangeLine]
) -> set[tuple[Digest, str]]:
    """(digest, source) after the lines, as the executor reads them."""
    after = set(before)
    for line in lines:
        leaving = line.digest if line.op == REMOVE else line.before
        if line.op == REFUSE:
            continue
        if leaving:
            assert (leaving, source) in after, "what leaves must have been there"
            after.remove((leaving, source))
        if line.op in (ADD, CHANGE, MOVE) and line.digest:
            after.add((line.digest, source))
    return after


@given(HELD, HELD)
def test_carrying_out_the_lines_gives_what_is_wanted(held: Held, wanted: Held) -> None:
    lines = difference(HERE, members(held, HERE), DesiredGroup(units(wanted)), describer=WORDS)
    assert carried_out({(digest, HERE) for digest in digests(held)}, HERE, lines) == {
        (digest, HERE) for digest in digests(wanted)
    }


@given(HELD, HELD)
def test_there_are_no_lines_exactly_when_nothing_changes(held: Held, wanted: Held) -> None:
    assert (
        difference(HERE, members(held, HERE), DesiredGroup(units(wanted)), describer=WORDS) == []
    ) is (held == wanted)


@given(HELD, HELD, HELD)
def test_what_another_source_holds_is_never_removed_or_doubled(
    held: Held, foreign: Held, wanted: Held
) -> None:
    foreign = {key: note for key, note in foreign.items() if key not in held}
    before = {(digest, HERE) for digest in digests(held)} | {
        (digest, THERE) for digest in digests(foreign)
    }
    lines = difference(
        HERE,
        [*members(held, HERE), *members(foreign, THERE)],
        DesiredGroup(units(wanted)),
        describer=WORDS,
    )
    after = carried_out(before, HERE, lines)
    assert {row for row in after if row[1] == THERE} == {row for row in before if row[1] == THERE}
    assert {digest for digest, _ in after} == digests({**wanted, **foreign})
    assert {line.key for line in lines if is_key_taken(line)} == {
        key for key in foreign if key in wanted and wanted[key] != foreign[key]
    }


@given(HELD, HELD)
def test_additive_mode_never_removes(held: Held, wanted: Held) -> None:
    lines = difference(
        HERE, members(held, HERE), DesiredGroup(units(wanted), removes=False), describer=WORDS
    )
    after = carried_out({(digest, HERE) for digest in digests(held)}, HERE, lines)
    assert {digest for digest, _ in after} == digests({**held, **wanted})
    assert not any(line.op == REMOVE for line in lines)


@given(
    HELD,
    HELD,
    HELD,
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(["old", "new"]))),
    st.randoms(use_true_random=False),
)
def test_the_order_of_what_comes_in_does_not_matter(
    held: Held, foreign: Held, wanted: Held, kept_out: list[tuple[str, str]], shuffle: random.Random
) -> None:
    everything = [
        *members(held, HERE),
        *members({k: n for k, n in foreign.items() if k not in held}, THERE),
    ]
    asked, refused = (
        units(wanted),
        [RefusedUnit("test.file", key, reason) for key, reason in kept_out],
    )
    expected = difference(HERE, everything, DesiredGroup(asked, refused), describer=WORDS)
    for row in (everything, asked, refused):
        shuffle.shuffle(row)
    assert difference(HERE, everything, DesiredGroup(asked, refused), describer=WORDS) == expected
    assert [(line.type, line.key) for line in expected] == sorted(
        (line.type, line.key) for line in expected
    )


@given(HELD, HELD)
def test_counts_are_those_of_the_sets(held: Held, wanted: Held) -> None:
    counts = counts_of(
        difference(HERE, members(held, HERE), DesiredGroup(units(wanted)), describer=WORDS)
    )
    assert counts.added == len(wanted.keys() - held.keys())
    assert counts.removed == len(held.keys() - wanted.keys())
    assert counts.changed == sum(held[key] != wanted[key] for key in held.keys() & wanted.keys())
    assert sum_counts([counts, counts]).total == 2 * counts.total


def test_what_is_refused_says_why_once() -> None:
    lines = difference(
        HERE,
        members({"a": 0}, HERE),
        DesiredGroup(
            [],
            [RefusedUnit("test.file", "a", "denied"), RefusedUnit("test.file", "b", "too young")],
        ),
        describer=WORDS,
    )
    assert [(line.op, line.key, line.reason) for line in lines] == [
        (REMOVE, "a", "denied"),
        (REFUSE, "b", "too young"),
    ]
    assert counts_of(lines).refused == {"too young": 1}


def test_a_change_that_may_not_be_is_refused_and_keeps_what_is_there() -> None:
    [line] = difference(
        HERE,
        members({"a": 0}, HERE),
        DesiredGroup(units({"a": 1})),
        describer=PlainWords(frozenset({"a"})),
    )
    assert (line.op, line.reason, line.before) == (REFUSE, "may not change", None)
    assert not is_key_taken(line)


def test_what_is_gone_upstream_leaves_with_the_reason_given() -> None:
    [line] = difference(
        HERE, members({"a": 0}, HERE), DesiredGroup(gone="answered 404"), describer=WORDS
    )
    assert (line.op, line.reason) == (REMOVE, "answered 404")


@given(HELD, HELD)
def test_a_group_that_changes_hands_ends_as_the_new_owner_wants_it(
    foreign: Held, wanted: Held
) -> None:
    """One source leaves a group, another takes it; equal units only move."""
    before = {(digest, THERE) for digest in digests(foreign)}
    there = members(foreign, THERE)
    departing = changed(*difference(THERE, there, DesiredGroup(), describer=WORDS), source=THERE)
    arriving = changed(
        *difference(HERE, there, DesiredGroup(units(wanted)), describer=WORDS), source=HERE
    )
    for order in ([departing, arriving], [arriving, departing]):
        after = before
        for change in merge_source_changes(order):
            after = carried_out(after, change.head.source, change.lines)
        assert after == {(digest, HERE) for digest in digests(wanted)}
        counts = sum_counts(counts_of(change.lines) for change in merge_source_changes(order))
        assert counts.added == len(digests(wanted) - digests(foreign))
        assert counts.removed == len(digests(foreign) - digests(wanted))


def test_a_key_that_two_sources_bring_at_once_is_the_first_ones() -> None:
    first = changed(
        *difference(HERE, [], DesiredGroup(units({"a": 0, "b": 0})), describer=WORDS), source=HERE
    )
    second = changed(
        *difference(THERE, [], DesiredGroup(units({"a": 1, "c": 0})), describer=WORDS), source=THERE
    )
    for order in ([first, second], [second, first]):
        ahead, behind = merge_source_changes(order)
        assert {line.op for line in ahead.lines} == {ADD}
        [kept_out] = [line for line in behind.lines if line.key == "a"]
        assert (kept_out.op, kept_out.reason) == (REFUSE, f"held by {ahead.head.source}")
        assert is_key_taken(kept_out), "it comes in when the other one leaves"


@given(HELD)
def test_settling_one_source_alone_changes_nothing(wanted: Held) -> None:
    change = GroupChange(
        changed().head, difference(HERE, [], DesiredGroup(units(wanted)), describer=WORDS)
    )
    assert merge_source_changes([change]) == [change]


def test_downloads_count_what_the_store_does_not_have() -> None:
    [line] = difference(HERE, [], DesiredGroup(units({"a": 0})), describer=WORDS)
    digest = artifact_digest(line.artifacts[0])
    assert with_download(line, set(), {}).download == 100
    assert with_download(line, {digest}, {}).download == 0
    unsized = msgspec.structs.replace(
        line, artifacts=[msgspec.structs.replace(line.artifacts[0], size=None)]
    )
    counted = [with_download(unsized, set(), sizes) for sizes in ({}, {digest: 7})]
    assert [(line.download, line.unsized) for line in counted] == [(0, 1), (7, 0)]
    assert counts_of(counted).unsized == 1
