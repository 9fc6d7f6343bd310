"""Which changes of a plan are carried out, and what waits for what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.applying.schedule import Schedule
from reconciler.model import Digest, Kind, Publication, Ref, Source
from reconciler.plan import ADD, Action, ChangeLine, ContentChanges, ResourceChange
from tests.support.engine_states import (
    a_plan,
    a_publication,
    a_remote,
    a_repository,
    copy_of,
    desired,
    planned,
)
from tests.support.plans import changed, content

BASE, COPY = Ref(Kind.REPOSITORY, "base"), Ref(Kind.REPOSITORY, "copy")


def additions(count: int) -> ContentChanges:
    lines = [
        ChangeLine(ADD, "test.file", f"file-{number}", Digest.of(b"file"))
        for number in range(count)
    ]
    return content([changed(*lines)] if lines else [])


PLANNED = Digest.of(b"the version that the plan makes")


def base(*, refusal: str = "", count: int = 1, action: Action = Action.UPDATE) -> ResourceChange:
    """The change of `base` from version 1 to 2."""
    return planned(
        Kind.REPOSITORY,
        "base",
        action,
        content=replace(additions(count), version_digest=PLANNED),
        version=(1, 2 if count else 1),
        refusal=refusal,
    )


def copying(source: Source, change: ResourceChange, count: int = 1) -> Schedule:
    """`copy` copies from `base`, and gets so many units."""
    state = desired(a_repository("base"), a_repository("copy", source))
    copy = planned(Kind.REPOSITORY, "copy", content=additions(count), version=(4, 5))
    return Schedule(a_plan(change, copy), state)


@pytest.mark.parametrize(
    ("version", "synced", "waits"),
    [
        ("latest", {}, True),
        ("latest", {"base": 2}, False),
        ("latest", {"base": 3}, False),
        (1, {}, False),
        (str(PLANNED), {}, True),
        (str(PLANNED), {"base": 2}, False),
        ("sha256:" + "0" * 64, {}, False),
    ],
)
def test_a_copy_waits_for_the_version_that_this_run_makes(
    version: str | int, synced: dict[str, int], waits: bool
) -> None:
    schedule = copying(copy_of("base", version), base())
    assert schedule.missing_source("copy", synced) == (BASE if waits else None)
    assert schedule.copied_repositories("copy") == ["base"]


def test_a_copy_waits_for_nothing_where_nothing_was_copied_or_nothing_changes() -> None:
    assert copying(copy_of("base"), base(), count=0).missing_source("copy", {}) is None
    assert copying(copy_of("base"), base(count=0)).missing_source("copy", {}) is None
    assert copying(copy_of("base"), base(refusal="no")).missing_source("copy", {}) is None


def test_refused_and_excluded_changes_are_not_carried_out() -> None:
    state = desired(a_remote("up"), a_remote("down"), a_repository("base"))
    plan = a_plan(
        planned(Kind.REMOTE, "gone", Action.DELETE),
        planned(Kind.REMOTE, "kept", Action.DELETE, refusal="needed"),
        planned(Kind.REMOTE, "up"),
        planned(Kind.REMOTE, "down", refusal="no"),
        base(),
    )
    schedule = Schedule(plan, state)
    assert [change.ref.name for change in schedule.changes(Kind.REMOTE)] == ["up"]
    assert schedule.deletions() == [Ref(Kind.REMOTE, "gone")]
    assert schedule.to_record() == {Ref(Kind.REMOTE, "up"), BASE}
    schedule.exclude(BASE)
    assert schedule.changes(Kind.REPOSITORY) == []
    assert schedule.to_record() == {Ref(Kind.REMOTE, "up")}


@pytest.mark.parametrize(
    ("action", "version", "blocked"),
    [
        (Action.CREATE, 1, True),  # nothing of a repository that is not recorded can be shown
        (Action.UPDATE, "latest", True),
        (Action.UPDATE, 1, False),
    ],
)
def test_a_publication_waits_for_a_version_that_a_refusal_keeps_from_being_made(
    action: Action, version: str | int, blocked: bool
) -> None:
    shown = a_publication("shown", repository="base", version=version)
    schedule, ref = publishing(shown, base(refusal="too many removals", action=action))
    assert schedule.blocking_refusal(shown) == ("repository/base was refused" if blocked else "")
    assert (ref not in schedule.to_record()) is blocked


def test_a_publication_of_a_repository_whose_plugin_failed_says_so() -> None:
    shown = a_publication("shown", repository="base")
    schedule, ref = publishing(shown, base())
    assert schedule.blocking_refusal(shown) == ""
    assert ref in schedule.to_record()
    schedule.exclude(BASE)
    assert schedule.blocking_refusal(shown) == "repository/base failed"
    assert ref not in schedule.to_record()


def test_a_publication_of_a_refused_repository_that_does_not_change_is_not_blocked() -> None:
    shown = a_publication("shown", repository="base")
    schedule, _ = publishing(shown, base(refusal="no", count=0))
    assert schedule.blocking_refusal(shown) == ""


def publishing(shown: Publication, change: ResourceChange) -> tuple[Schedule, Ref]:
    state = desired(a_repository("base"), shown)
    plan = a_plan(change, planned(Kind.PUBLICATION, shown.meta.name))
    return Schedule(plan, state), shown.meta.ref
