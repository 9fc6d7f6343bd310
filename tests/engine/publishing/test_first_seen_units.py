"""Publications may date what upstream does not by when it was first seen: the same for ever.

The kind: a time that is shown, and is another one at every look.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import ActualPublication
from tests.engine.publishing.withheld import moved
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, rules
from tests.support.scripted_plugins import NOW

DAY = timedelta(days=1)
DATED = "dated: [a, c, d]"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        begun(site)
        yield site


def begun(site: Rehearsal, *, more: str = DATED) -> None:
    """A publication of `a` and `b`, of which it dates `a`."""
    site.declare(site.remote(), repository(), publication(more=more))
    site.says("g", site.file("a"), site.file("b"))
    site.applied()


def seen(site: Rehearsal, *keys: str) -> list[datetime | None]:
    answers = site.get(*(f"/team/{key}.seen" for key in keys))
    return [
        datetime.fromisoformat(answer.body.decode()) if answer.status == 200 else None
        for answer in answers
    ]


def current(site: Rehearsal) -> ActualPublication:
    state: Any = site.ask(lambda reader: reader.actual_state())
    published: ActualPublication = state.publications["team"]
    return published


def test_a_first_sight_is_shown_and_stays(site: Rehearsal) -> None:
    assert seen(site, "g/a", "g/b") == [NOW, None]
    before = current(site)
    site.now = NOW + DAY
    assert site.settled()
    site.applied()
    assert current(site) == before, "the same moments are the same publication"
    site.says("h", site.file("c"))
    site.applied()
    assert seen(site, "g/a", "h/c") == [NOW, NOW + DAY]
    assert moved(site) == ["h/c", "h/c.seen", "index/"], "what is older is not rendered again"


def test_what_a_source_saw_earlier_counts(tmp_path: Path) -> None:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), rules("settled: [a]"), repository(), publication(more=DATED))
        site.says("g", site.file("a"), site.file("b"))
        site.applied()
        site.now = NOW + DAY
        site.applied()
        assert site.held() == ["g/a", "g/b"]
        assert seen(site, "g/a") == [NOW]


def test_what_is_shown_is_part_of_the_identity(site: Rehearsal, tmp_path: Path) -> None:
    digests = []
    for name, moment in (("same", NOW), ("later", NOW + DAY)):
        with rehearsal(tmp_path / name) as other:
            other.now = moment
            begun(other)
            assert other.digest() == site.digest(), "of a version it is no part"
            digests.append(current(other).digest)
    assert digests[0] == current(site).digest != digests[1]


def test_it_comes_and_goes_with_the_key(site: Rehearsal) -> None:
    begun(site, more="dated: []")
    assert seen(site, "g/a") == [None]
    plain = current(site).digest
    site.now = NOW + DAY
    begun(site, more="dated: [nothing of it]")
    assert seen(site, "g/a") == [None]
    begun(site)
    assert seen(site, "g/a") == [NOW]
    begun(site, more="dated: []")
    assert current(site).digest == plain
