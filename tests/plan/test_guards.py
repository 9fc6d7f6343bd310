"""The guards, case by case."""

from __future__ import annotations

import pytest

from reconciler.model import Guard, Kind, Ref
from reconciler.plan import Action, ContentChanges, Counts, ResourceChange, apply_guards
from tests.support.plans import Lines

TEAM = Ref(Kind.REPOSITORY, "team")


def losing(removed: int, units: int, added: int = 0, *, quarantined: int = 0) -> ResourceChange:
    content = ContentChanges(
        Lines(),
        Counts(added=added, removed=removed),
        units=units,
        plural="distributions",
        quarantined=quarantined,
    )
    return ResourceChange(Action.UPDATE, TEAM, content=content)


@pytest.mark.parametrize(
    ("removed", "units", "added", "guard", "refused"),
    [
        (3, 10, 0, Guard(), False),  # just 30 %
        (4, 10, 0, Guard(), True),
        (8, 9, 0, Guard(), False),  # below ten a share says nothing
        (9, 9, 0, Guard(), True),  # but empty is empty
        (1, 1, 0, Guard(), True),
        (1, 1, 1, Guard(), False),  # replaced
        (10, 10, 10, Guard(), True),  # all of them replaced
        (0, 0, 0, Guard(), False),
        (0, 0, 5, Guard(), False),
        (2, 100, 0, Guard(max_removals=1), True),
        (1, 100, 0, Guard(max_removals=1), False),
        (1, 3, 0, Guard(max_removals=0), True),
        (99, 100, 0, Guard(max_removals=1.0), False),
        (100, 100, 0, Guard(max_removals=1.0), True),  # down to empty has no setting
        (1, 100, 0, Guard(max_removals=0.0), True),
    ],
)
def test_how_much_may_go(removed: int, units: int, added: int, guard: Guard, refused: bool) -> None:
    assert (
        bool(apply_guards(losing(removed, units, added), guard, allow_destroy=False).refusal)
        is refused
    )
    assert not apply_guards(losing(removed, units, added), guard, allow_destroy=True).refusal


def test_the_message_names_the_setting_the_numbers_and_the_flag() -> None:
    change = apply_guards(losing(4, 10), Guard(), allow_destroy=False)
    assert (
        change.refusal == "repository `team` would lose 4 of its 10 distributions (40%), more than"
        " `guard.maxRemovals` (30%) lets pass"
    )
    assert "`--allow-destroy`" in change.hint
    assert "`guard.maxRemovals`" in change.hint
    assert (
        "(12)" in apply_guards(losing(40, 100), Guard(max_removals=12), allow_destroy=False).refusal
    )


@pytest.mark.parametrize("allow_destroy", [True, False])
def test_nothing_overrides_prevent_destroy(allow_destroy: bool) -> None:
    guard = Guard(prevent_destroy=True)
    deletion = ResourceChange(Action.DELETE, TEAM)
    for change in (losing(5, 5), deletion):
        assert (
            "`guard.preventDestroy`"
            in apply_guards(change, guard, allow_destroy=allow_destroy).refusal
        )


@pytest.mark.parametrize("guard", [Guard(), Guard(max_removals=0), Guard(prevent_destroy=True)])
def test_what_is_in_quarantine_is_protected_by_no_guard_and_counts_nowhere(guard: Guard) -> None:
    """The kind: a guard that goes on serving hostile content until a person finds the flag."""
    for removed, units in ((1, 1), (40, 40), (15, 40)):
        change = losing(removed, units, quarantined=removed)
        assert not apply_guards(change, guard, allow_destroy=False).refusal
    rest = apply_guards(losing(25, 40, quarantined=20), Guard(), allow_destroy=False)
    assert not rest.refusal, "5 of 20"
    rest = apply_guards(losing(40, 40, quarantined=20), Guard(), allow_destroy=False)
    assert rest.refusal == "repository `team` would lose all of its 20 distributions"


def test_deleting_a_repository_needs_the_flag_and_other_kinds_do_not() -> None:
    assert (
        "--allow-destroy"
        in apply_guards(ResourceChange(Action.DELETE, TEAM), Guard(), allow_destroy=False).hint
    )
    assert not apply_guards(
        ResourceChange(Action.DELETE, TEAM), Guard(), allow_destroy=True
    ).refusal
    for kind in (Kind.REMOTE, Kind.FILTER, Kind.PUBLICATION):
        assert not apply_guards(
            ResourceChange(Action.DELETE, Ref(kind, "x")), Guard(), allow_destroy=False
        ).refusal


def test_a_share_that_somebody_wrote_down_counts_however_few_units_there_are() -> None:
    """The floor belongs to the default: with `maxRemovals: 0%` nothing may leave."""
    assert not apply_guards(losing(1, 3), Guard(), allow_destroy=False).refusal
    assert apply_guards(losing(1, 3), Guard(max_removals=0.0, floor=0), allow_destroy=False).refusal
