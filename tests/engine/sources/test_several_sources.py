"""Several sources of one repository: the first that answers for a name owns it; a name changes
hands whole, and nothing is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import Digest
from tests.support.faulty import body, status
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.soundness import check_sound
from tests.support.upstream import Upstream, upstream
from tests.support.wheels import build_wheel

ONE, TWO = "name: house", "name: world"


@pytest.fixture
def house() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", salt="house", padding=9)
        served.release("only-house", "1.0")
        yield served


@pytest.fixture
def world() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "6.6.6", salt="world", padding=9)
        served.release("only-world", "1.0")
        yield served


@pytest.fixture
def site(house: Upstream, world: Upstream, tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path)
    declare(mirror, house, world, ONE, TWO)
    mirror.applied()
    return mirror


def declare(site: Mirror, house: Upstream, world: Upstream, *sources: str, more: str = "") -> None:
    site.declare(
        remote(house.url, "house"),
        remote(world.url, "world"),
        repository(sources=sources, more=more),
        publication(),
    )


def names(site: Mirror) -> list[str]:
    return [name.removesuffix("-py3-none-any.whl") for name in site.filenames()]


def digest_of_alpha(site: Mirror) -> str:
    with site.home.database() as database:
        reader = database.reader()
        state = reader.actual_state().repositories["team"]
        [unit] = [
            unit
            for unit in reader.units(state.id, state.number, ["alpha"])["alpha"]
            if unit.metadata["version"] == "1.0"
        ]
        return unit.artifacts[0].sha256


def sha256(index: Upstream) -> str:
    return Digest.of(index.sent("alpha-1.0-py3-none-any.whl")).hex


def test_the_first_source_owns_the_name(site: Mirror) -> None:
    assert names(site) == ["alpha-1.0", "only_house-1.0", "only_world-1.0"]
    assert not site.pending()


@pytest.mark.parametrize("more", ["", "sync: {mode: additive}"])
def test_an_outage_is_no_dependency_confusion(
    more: str, house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, world, ONE, TWO, more=more)
    house.on("/simple/", status(503))
    world.release("alpha", "9.9")
    world.release("only-world", "1.1")
    assert site.apply().code == 1
    assert names(site) == ["alpha-1.0", "only_house-1.0", "only_world-1.0", "only_world-1.1"]


def test_a_page_that_fails_keeps_the_name_with_its_owner(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    house.on(house.page_path("alpha"), status(503))
    world.release("alpha", "9.9")
    assert site.apply().code == 1
    assert names(site) == ["alpha-1.0", "only_house-1.0", "only_world-1.0"]


def test_a_name_changes_hands_when_the_sources_are_ordered_anew(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    """The same filename with other bytes: it leaves with one source and comes with the other, in
    one version.
    """
    declare(site, house, world, TWO, ONE)
    assert [change["key"] for change in site.changes()["removed"]] == ["alpha-1.0-py3-none-any.whl"]
    site.applied()
    assert names(site) == ["alpha-1.0", "alpha-6.6.6", "only_house-1.0", "only_world-1.0"]
    assert digest_of_alpha(site) == sha256(world)
    assert not site.pending()
    check_sound(site.home)


def test_a_name_that_could_not_change_hands_yet_does_so_later(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    """As long as its old owner cannot be read nothing of it is removed; what waits for that is
    asked for again.
    """
    declare(site, house, world, TWO, ONE)
    house.on("/simple/", status(503))
    assert site.apply().code == 1
    assert digest_of_alpha(site) == sha256(house)
    house.restore()
    site.applied()
    assert digest_of_alpha(site) == sha256(world)
    assert not site.pending()


def test_a_name_that_its_owner_drops_goes_to_the_next(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    house.drop("alpha")
    site.applied()
    assert names(site) == ["alpha-1.0", "alpha-6.6.6", "only_house-1.0", "only_world-1.0"]
    assert digest_of_alpha(site) == sha256(world)
    assert not site.pending()


def test_a_name_that_its_owner_answers_with_404_goes_to_the_next_once_that_is_approved(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, world, "name: house, include: [alpha]", "name: world, include: [alpha]")
    site.applied()
    house.on(house.page_path("alpha"), status(404))
    held = names(site)
    done = site.apply()
    assert done.code == 1
    assert "remote:house: alpha: upstream took it away" in done.out
    assert names(site) == held, "no stranger takes a name because its owner stumbles"
    assert digest_of_alpha(site) == sha256(house)
    site.applied("--allow-destroy")
    assert names(site) == ["alpha-1.0", "alpha-6.6.6"]
    assert digest_of_alpha(site) == sha256(world)
    assert not site.pending()


def test_a_name_in_quarantine_goes_to_nobody(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    page = (
        b'{"meta": {"api-version": "1.4"}, "name": "alpha", "project-status": {"status":'
        b' "quarantined"}, "files": []}'
    )
    house.on(
        house.page_path("alpha"), body(page, content_type="application/vnd.pypi.simple.v1+json")
    )
    for _ in range(2):
        site.applied()
        assert names(site) == ["only_house-1.0", "only_world-1.0"]
    assert not site.pending()


def test_what_a_dependency_is_called_is_free_for_nobody_while_its_requirer_cannot_be_read(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    house.offer("only-house", build_wheel("only-house", "2.0", requires=["alpha"]))
    world.drop("alpha")
    declare(site, house, world, "name: house, include: [only-house], dependencies: true", TWO)
    site.applied()
    assert names(site) == ["alpha-1.0", "only_house-1.0", "only_house-2.0", "only_world-1.0"]
    house.on(house.page_path("only-house"), status(503))
    world.release("alpha", "9.0")
    assert site.apply().code == 1
    assert names(site) == ["alpha-1.0", "only_house-1.0", "only_house-2.0", "only_world-1.0"]


def test_a_name_that_one_of_two_sources_never_had_is_no_failure(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(
        site,
        house,
        world,
        "name: house, include: [only-world]",
        "name: world, include: [only-world]",
    )
    site.applied("--allow-destroy")
    assert names(site) == ["only_world-1.0"]


def test_a_takeover_whose_file_fails_loses_nothing(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    world.on(world.file_path("alpha-1.0-py3-none-any.whl"), status(500))
    declare(site, house, world, TWO, ONE)
    assert site.apply().code == 1
    assert names(site) == ["alpha-1.0", "alpha-6.6.6", "only_house-1.0", "only_world-1.0"]
    assert digest_of_alpha(site) == sha256(house), "what it had waits for what shall replace it"
    world.restore()
    site.applied()
    assert digest_of_alpha(site) == sha256(world)
    assert not site.pending()
    check_sound(site.home)


def test_a_source_that_goes_takes_along_what_it_brought(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, world, TWO)
    site.applied()
    assert names(site) == ["alpha-1.0", "alpha-6.6.6", "only_world-1.0"]
    assert not site.pending()


def test_the_same_content_from_another_source_only_changes_hands(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, house, ONE)
    site.applied("--allow-destroy")
    before = site.version()
    declare(site, house, house, TWO)
    assert [site.changes()[sign] for sign in ("added", "removed", "changed")] == [[], [], []]
    site.applied()
    assert site.version() == before
    assert not site.pending()


def test_in_additive_mode_what_another_source_holds_is_kept_out_with_a_reason(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, world, TWO, ONE, more="sync: {mode: additive}")
    assert "held by remote:house" in site.plan().out
    site.applied()
    assert digest_of_alpha(site) == sha256(house)
    assert names(site) == ["alpha-1.0", "alpha-6.6.6", "only_house-1.0", "only_world-1.0"]
    assert not site.pending()


def test_a_takeover_that_cannot_be_read_takes_nothing_away(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    """The new owner answers for its list and not for the page: what the old owner brought stays
    until the page was read.
    """
    declare(site, house, world, TWO, ONE)
    world.on(world.page_path("alpha"), status(503))
    assert site.apply().code == 1
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
    assert [change["group"] for change in site.changes()["removed"]] == []
    world.restore()
    site.applied()
    assert "alpha-6.6.6-py3-none-any.whl" in site.filenames()


@pytest.mark.parametrize("broken", ["page", "listing"])
def test_a_renamed_remote_that_cannot_be_read_takes_nothing_away(
    broken: str, house: Upstream, tmp_path: Path
) -> None:
    site = Mirror(
        tmp_path, remote(house.url, "old"), repository(sources=["name: old"]), publication()
    )
    site.applied()
    before = site.filenames()
    site.declare(remote(house.url, "new"), repository(sources=["name: new"]), publication())
    house.on(house.page_path("alpha") if broken == "page" else "/simple/", status(503))
    assert site.apply("--prune").code == 1
    assert site.filenames() == before
    house.restore()
    site.applied("--prune")
    assert site.filenames() == before
    assert not site.pending()


def test_what_leaves_with_its_source_says_so(
    house: Upstream, world: Upstream, site: Mirror
) -> None:
    declare(site, house, world, ONE)
    assert {change["reason"] for change in site.changes()["removed"]} == {
        "the manifest no longer names remote:world"
    }
    declare(site, house, world, TWO, ONE)
    assert "remote:world has the name now" in {
        change["reason"] for change in site.changes()["removed"]
    } | {change["reason"] for change in site.changes()["changed"]}


def test_another_index_is_read_anew_whatever_its_serials_say(
    house: Upstream, world: Upstream, tmp_path: Path
) -> None:
    """Validators belong to one index: the same serial at another URL says nothing."""
    site = Mirror(tmp_path, remote(house.url), repository(sources=["name: up"]), publication())
    site.applied()
    site.declare(remote(world.url), repository(sources=["name: up"]), publication())
    site.apply("--allow-destroy")
    assert "alpha-6.6.6-py3-none-any.whl" in site.filenames()


def test_a_file_that_upstream_replaced_is_refused_and_the_rest_goes_on(
    house: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(house.url), repository(sources=["name: up"]), publication())
    site.applied()
    house.replace("alpha", "1.0")
    house.release("only-house", "2.0")
    [refused] = site.changes()["refused"]["entries"]
    assert refused["key"] == "alpha-1.0-py3-none-any.whl"
    site.applied()
    assert "only_house-2.0-py3-none-any.whl" in site.filenames()
