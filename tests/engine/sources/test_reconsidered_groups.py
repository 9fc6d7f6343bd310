"""A decision that names a moment is taken again at that very moment, and not before it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules
from tests.support.scripted_plugins import NOW

DUE = NOW + timedelta(days=1)  # of the rule `later`
MOMENT = timedelta(microseconds=1)


def withheld_until_due(site: Rehearsal) -> None:
    site.declare(site.remote(), rules("later: [young]"), repository())
    site.says("a", site.file("young"), site.file("grown"), validator="1")
    site.applied()
    assert site.held() == ["a/grown"]


@pytest.mark.parametrize(
    ("now", "held"),
    [
        (DUE - MOMENT, ["a/grown"]),
        (DUE, ["a/grown", "a/young"]),
        (DUE + MOMENT, ["a/grown", "a/young"]),
    ],
)
@pytest.mark.parametrize("whole", [False, True], ids=["validator of the group", "of the source"])
def test_a_unit_comes_in_at_the_moment_that_its_refusal_names(
    now: datetime, held: list[str], whole: bool, tmp_path: Path
) -> None:
    with rehearsal(tmp_path) as site:
        site.validator("all of it" if whole else None)
        withheld_until_due(site)
        site.now = now
        site.applied()
        assert site.held() == held


def test_an_importer_sees_no_validator_of_a_group_that_is_due(tmp_path: Path) -> None:
    """Before the moment the group counts as unchanged; at the moment it is read."""
    with rehearsal(tmp_path) as site:
        withheld_until_due(site)
        site.script.forget()
        site.now = DUE - MOMENT
        site.applied()
        assert site.script.asked == []
        site.now = DUE
        site.applied()
        assert site.script.asked == ["up/a"]
