"""Withheld units in a plan: the guard, the rows, the document."""

from __future__ import annotations

import json

import pytest

from reconciler.model import Digest, Guard, Kind, Ref
from reconciler.plan import (
    ADD,
    REMOVE,
    Action,
    ChangeLine,
    Plan,
    ResourceChange,
    Withholding,
    apply_serving_guards,
    counts_of,
    render_json,
    render_text,
)
from tests.support.plans import Lines, changed

LIMIT = "more than `guard.maxRemovals` ({}) of repository `base` lets pass: filters withhold them"


def a_line(op: str, key: str, reason: str = "") -> ChangeLine:
    return ChangeLine(
        op,
        "test.file",
        key,
        digest=Digest(bytes.fromhex("ab" * 32)),
        version=key.partition("-")[2],
        label="wheel",
        size=10,
        reason=reason,
    )


def withheld(taken: int, served: int, *, released: int = 0, quarantined: int = 0) -> Withholding:
    lines = [
        a_line(REMOVE, f"alpha-1.{number}", 'denied by "alpha" (rules.deny)')
        for number in range(taken)
    ]
    lines += [a_line(ADD, f"alpha-2.{number}") for number in range(released)]
    spool = Lines([changed(*lines)])
    left = served - taken + released
    return Withholding(
        spool,
        counts_of(lines),
        total=taken + 1,
        newly_withheld=taken,
        quarantined=quarantined,
        served_before=served,
        served_after=left,
        plural="distributions",
    )


def a_change(what: Withholding | None) -> ResourceChange:
    return ResourceChange(
        Action.UPDATE,
        Ref(Kind.PUBLICATION, "team"),
        "filters decide otherwise",
        version=(3, 3),
        withheld=what,
    )


@pytest.mark.parametrize(
    ("guard", "taken", "served", "refusal"),
    [
        (Guard(), 3, 10, ""),
        (
            Guard(),
            4,
            10,
            f"publication `team` would lose 4 of its 10 distributions (40%), {LIMIT.format('30%')}",
        ),
        (Guard(), 4, 9, ""),
        (
            Guard(max_removals=2),
            3,
            9,
            f"publication `team` would lose 3 of its 9 distributions (33%), {LIMIT.format('2')}",
        ),
        (Guard(max_removals=2), 2, 9, ""),
        (
            Guard(max_removals=1.0),
            4,
            4,
            "publication `team` would lose all of its 4 distributions: filters withhold them",
        ),
        (Guard(), 0, 0, ""),
    ],
)
def test_what_is_withheld_counts_as_removed(
    guard: Guard, taken: int, served: int, refusal: str
) -> None:
    change = a_change(withheld(taken, served))
    guarded = apply_serving_guards(change, "base", guard, allow_destroy=False)
    assert guarded.refusal == refusal
    assert ("--allow-destroy" in guarded.hint) is bool(refusal)
    assert apply_serving_guards(change, "base", guard, allow_destroy=True) == change


def test_what_must_not_be_emptied_is_not_emptied_by_filters_either() -> None:
    guard = Guard(max_removals=1.0, prevent_destroy=True)
    guarded = apply_serving_guards(a_change(withheld(4, 4)), "base", guard, allow_destroy=True)
    assert (
        guarded.refusal
        == "publication `team` would become empty, and `guard.preventDestroy` of repository `base`"
        " forbids that"
    )
    assert (
        apply_serving_guards(a_change(withheld(3, 4)), "base", guard, allow_destroy=True).refusal
        == ""
    )


def test_what_comes_back_at_once_is_no_emptying() -> None:
    assert (
        apply_serving_guards(
            a_change(withheld(4, 4, released=1)), "base", Guard(), allow_destroy=False
        ).refusal
        == ""
    )


def test_a_change_that_is_refused_already_keeps_its_refusal() -> None:
    change = a_change(withheld(9, 10)).refused("no such version", "write another")
    assert apply_serving_guards(change, "base", Guard(), allow_destroy=False) == change


def a_plan(*changes: ResourceChange) -> Plan:
    return Plan(Digest.of(b"manifests"), changes)


def test_people_see_which_and_why() -> None:
    assert list(render_text(a_plan(a_change(withheld(2, 10, released=1))))) == [
        (
            "~ Publication team   version 3   2 distributions withheld, 1 distribution no longer"
            " withheld   filters decide otherwise"
        ),
        '    - alpha 1.0                    wheel   withheld: denied by "alpha" (rules.deny)',
        '    - alpha 1.1                    wheel   withheld: denied by "alpha" (rules.deny)',
        "    + alpha 2.0                    wheel   no longer withheld",
        "Plan: 0 to add, 1 to change, 0 to destroy. 2 withheld, 1 no longer withheld.",
    ]


def test_many_rows_are_cut_unless_all_are_asked_for() -> None:
    plan = a_plan(a_change(withheld(60, 100)))
    assert list(render_text(plan))[-2] == "    ... 20 more content changes; `--verbose` shows all"
    assert len(list(render_text(plan, verbose=True))) == 62


def test_machines_see_the_entries() -> None:
    guarded = json.loads(b"".join(render_json(a_plan(a_change(withheld(1, 10, released=1))))))
    [change] = guarded["changes"]
    entry = {
        "type": "test.file",
        "group": "alpha",
        "version": "1.0",
        "digest": f"sha256:{'ab' * 32}",
        "size": 10,
    }
    assert change["withheld"] == {
        "added": [entry | {"key": "alpha-1.0", "reason": 'denied by "alpha" (rules.deny)'}],
        "released": [entry | {"key": "alpha-2.0", "version": "2.0"}],
        "total": 2,
    }
    assert (guarded["summary"]["withheld"], guarded["summary"]["released"]) == (1, 1)


def test_it_is_part_of_what_identifies_the_plan() -> None:
    plans = [a_plan(a_change(what)) for what in (None, withheld(1, 10), withheld(2, 10))]
    assert len({str(plan.digest) for plan in plans}) == 3
    assert "withheld" not in json.loads(b"".join(render_json(plans[0])))["changes"][0]


@pytest.mark.parametrize("guard", [Guard(), Guard(max_removals=0), Guard(prevent_destroy=True)])
def test_a_quarantine_is_withheld_whatever_a_guard_says(guard: Guard) -> None:
    for taken, served in ((1, 1), (12, 12), (9, 12)):
        change = a_change(withheld(taken, served, quarantined=taken))
        assert not apply_serving_guards(change, "team", guard, allow_destroy=False).refusal
    beside = a_change(withheld(12, 12, quarantined=10))
    assert apply_serving_guards(beside, "team", guard, allow_destroy=False).refusal
