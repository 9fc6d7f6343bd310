"""An age counts from when an apply first read of a file, where nothing else dates it.

The kind: a rule about time that asks upstream alone what time it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, rules
from tests.support.scripted_plugins import NOW

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """A source of which `young` waits since its first sight, and that has validators for all."""
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), rules("settled: [young]"), repository())
        site.says("a", site.file("young"), site.file("grown"), validator="1")
        site.validator("all of it")
        yield site


def test_a_file_comes_in_at_its_age_though_its_page_never_changes(site: Rehearsal) -> None:
    site.applied()
    assert site.held() == ["a/grown"]
    site.now = NOW + DAY - MOMENT
    site.script.forget()
    site.applied()
    assert (site.held(), site.script.asked) == (["a/grown"], [])
    site.now = NOW + DAY
    site.applied()
    assert site.held() == ["a/grown", "a/young"]
    assert site.settled()


def test_a_plan_records_no_first_sight(site: Rehearsal) -> None:
    assert site.content().counts.refused == {"rules.settled": 1}
    site.now = NOW + DAY
    site.applied()
    assert site.held() == ["a/grown"]


def test_an_apply_that_changes_nothing_records_a_first_sight(site: Rehearsal) -> None:
    site.says("a", site.file("grown"), validator="1")
    site.applied()
    number = site.number()
    site.says("a", site.file("grown"), site.file("young"), validator="2")
    site.validator("more")
    site.now = NOW + DAY
    site.applied()
    assert site.number() == number
    site.now = NOW + 2 * DAY
    site.applied()
    assert site.held() == ["a/grown", "a/young"]


def test_other_bytes_under_the_same_name_are_another_file(site: Rehearsal) -> None:
    site.applied()
    site.now = NOW + DAY
    site.says("a", site.file("young", b"replaced"), site.file("grown"), validator="2")
    site.validator("replaced")
    site.applied()
    assert site.held() == ["a/grown"]
    site.now = NOW + 2 * DAY
    site.applied()
    assert site.held() == ["a/grown", "a/young"]


def test_bytes_without_a_declared_digest_are_measured_at_their_first_sight(
    site: Rehearsal,
) -> None:
    """Their wait begins once, not again when they are downloaded."""
    site.says("a", site.file("young", named=False), site.file("grown"), validator="1")
    site.applied()
    assert site.held() == ["a/grown"]
    site.now = NOW + DAY
    site.applied()
    assert site.held() == ["a/grown", "a/young"]


def test_bytes_that_one_repository_saw_are_known_to_all(site: Rehearsal) -> None:
    site.applied()
    other = repository("other", "remote: {name: up}")
    site.declare(site.remote(), rules("settled: [young]"), repository(), other)
    site.now = NOW + DAY
    site.applied()
    assert site.held("other") == ["a/grown", "a/young"]


def test_a_first_sight_is_no_part_of_any_digest(site: Rehearsal, tmp_path: Path) -> None:
    site.applied()
    site.now = NOW + DAY
    site.applied()
    with rehearsal(tmp_path / "plain") as plain:
        plain.declare(plain.remote(), repository())
        plain.says("a", *(plain.file(key) for key in ("young", "grown")))
        plain.applied()
        assert plain.digest() == site.digest()


@pytest.mark.parametrize("copied", [False, True], ids=["what it holds", "what it copied"])
def test_a_publication_withholds_what_only_its_own_filter_dates(
    site: Rehearsal, copied: bool
) -> None:
    """No source reads by that filter: the release sees the unit first, and records it."""
    own = rules("settled: [young]").replace("global: true", "global: false")
    shown = "copied" if copied else "team"
    copies = [repository("copied", copy())] if copied else []
    page = publication(of=shown, more="filters: [rules]")
    site.declare(site.remote(), own, repository(), *copies, page)
    site.applied()
    assert site.held() == ["a/grown", "a/young"]
    assert _withheld(site) == {"young"}
    site.now = NOW + DAY
    site.applied()
    assert _withheld(site) == set()


def test_explain_says_what_a_plan_would_decide(site: Rehearsal) -> None:
    site.applied()
    for now, accepted in ((NOW + DAY - MOMENT, False), (NOW + DAY, True)):
        site.now = now
        [group] = site.explain("a")["sources"][0]["groups"]
        assert {unit["key"]: unit["accepted"] for unit in group["units"]}["young"] is accepted


def _withheld(site: Rehearsal) -> set[str]:
    def keys(reader: object) -> set[str]:
        current = reader.actual_state().publications["team"]  # type: ignore[attr-defined]
        units = reader.withheld(current.id, current.number).values()  # type: ignore[attr-defined]
        return {unit.key for unit in units}

    withheld: set[str] = site.ask(keys)
    return withheld
