"""Grace: files that a new version merely dropped stay reachable, what a rule took away does not.

Kind: files that vanish under the feet of a reader, and files that outlive the rule against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.database import DerivedArtifact
from reconciler.errors import Withdrawn
from reconciler.model import Digest
from tests.engine.publishing.withheld import BOTH, declare, two_groups
from tests.support.rehearsal import Rehearsal, publication, repository

GRACE = timedelta(minutes=10)
SECOND = timedelta(seconds=1)
TWO = "/team/a/two"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        site.server_keeps_time = True
        declare(site, publication())
        site.applied()
        site.now += timedelta(hours=1)
        yield site


def drop_two(site: Rehearsal) -> None:
    """Upstream no longer has the file `two`."""
    site.says("a", site.file("one"), validator="2")
    site.applied()


def status(site: Rehearsal, path: str = TWO) -> int:
    [answer] = site.get(path)
    return answer.status


def test_a_file_that_a_version_dropped_stays_for_ten_minutes(site: Rehearsal) -> None:
    drop_two(site)
    [page, file] = site.get("/team/index/", TWO)
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
    assert (file.status, file.body) == (200, b"two" * 10)
    site.now += GRACE - SECOND
    assert status(site) == 200
    site.now += SECOND * 2
    assert status(site) == 404


def test_what_was_made_out_of_a_dropped_file_stays_with_it(site: Rehearsal) -> None:
    """As core metadata of a wheel that no index declares: the page that clients have names it."""
    made = b"made out of two"
    digest = Digest.of(made)
    site.home.store().put(made, digest)
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        team = writer.actual_state().repositories["team"]
        units = writer.unexamined_units(team.id, 0, team.number)
        [two] = [unit for unit in units if unit.unit.key == "two"]
        writer.record_derived(
            [DerivedArtifact(two.id, "two.made", digest)], {digest: len(made)}, examined=[two.id]
        )
    site.applied()
    assert status(site, f"{TWO}.made") == 200
    site.now += timedelta(hours=1)
    drop_two(site)
    assert status(site, f"{TWO}.made") == 200
    declare(site, publication(), deny="two")
    site.applied()
    assert status(site, f"{TWO}.made") == 404


def test_a_page_has_no_grace(site: Rehearsal) -> None:
    site.drops("b")
    site.applied()
    [page, file] = site.get("/team/index/", "/team/b/three")
    assert (page.body, file.status) == (b"a", 200)


def test_the_grace_counts_from_when_clients_lose_the_page(site: Rehearsal) -> None:
    """Later versions do not prolong it, and those in between do not end it."""
    drop_two(site)
    for minute in range(9):
        site.now += timedelta(minutes=1)
        site.upload(f"mine-{minute}", b"my own")
        assert status(site) == 200
    site.now += timedelta(minutes=1, seconds=1)
    assert status(site) == 404


@pytest.mark.parametrize(("grace", "seconds"), [("0s", 0), ("30s", 30), ("1d", 86400)])
def test_a_publication_says_how_long(grace: str, seconds: int, site: Rehearsal) -> None:
    declare(site, publication(more=f"grace: {grace}"))
    drop_two(site)
    assert status(site) == (200 if seconds else 404)
    site.now += timedelta(seconds=max(0, seconds - 1))
    assert status(site) == (200 if seconds else 404)
    site.now += SECOND * 2
    assert status(site) == 404


def test_what_a_filter_took_out_of_a_version_is_gone_at_once(site: Rehearsal) -> None:
    declare(site, publication(), deny="two")
    site.applied()
    assert [status(site), status(site, "/team/a/one")] == [404, 200]


def test_what_is_withheld_is_gone_at_once(site: Rehearsal) -> None:
    site.upload("mine", b"my own")
    declare(site, publication(), deny="mine")
    site.applied()
    assert status(site, "/team/uploads/mine") == 404


def test_a_deny_reaches_what_is_in_grace(site: Rehearsal) -> None:
    drop_two(site)
    assert status(site) == 200
    declare(site, publication(), deny="two")
    site.applied()
    assert status(site) == 404


def test_a_project_in_quarantine_is_gone_at_once(site: Rehearsal) -> None:
    site.says("a", validator="2")
    site.script.failing["a"] = Withdrawn("quarantined: malware")
    site.applied()
    assert "a/two" not in site.held()
    assert status(site) == 404


def test_a_file_that_is_replaced_under_its_path_is_the_new_one(site: Rehearsal) -> None:
    site.says("a", site.file("one"), site.file("two", b"other bytes"), validator="2")
    site.applied()
    [answer] = site.get(TWO)
    assert answer.body == b"other bytes"


def test_a_file_that_comes_back_is_served_as_ever(site: Rehearsal) -> None:
    drop_two(site)
    site.says("a", site.file("one"), site.file("two"), validator="3")
    site.applied()
    site.now += timedelta(days=1)
    assert status(site) == 200


def test_what_an_uploader_removed_stays_for_the_grace(site: Rehearsal) -> None:
    site.upload("mine", b"my own")
    site.remove("mine")
    assert status(site, "/team/uploads/mine") == 200
    site.now += GRACE + SECOND
    assert status(site, "/team/uploads/mine") == 404


def test_a_file_of_another_repository_does_not_linger(site: Rehearsal) -> None:
    """Its rules were others, which no one asks any more."""
    declare(
        site,
        repository("other", *BOTH),
        publication(of="other"),
        base=repository("team", *BOTH),
    )
    site.says("a", site.file("one"), validator="2")
    site.applied()
    assert status(site) == 404
