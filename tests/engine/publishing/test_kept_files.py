"""A directory export keeps the files of the tree before, not its pages, for one more apply.

Kind: files that vanish under the feet of a reader, and files that outlive the rule against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.engine.publishing.withheld import declare, two_groups
from tests.support.rehearsal import Rehearsal, publication

LATER = timedelta(minutes=10, seconds=1)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        declare(site, exporting())
        site.applied()
        site.now += timedelta(hours=1)
        yield site


def exporting(grace: str = "10m") -> str:
    return publication(more=f"grace: {grace}, exports: [{{directory: {{path: www}}}}]")


def upstream_has(site: Rehearsal, *keys: str) -> None:
    site.says("a", *map(site.file, keys), validator="-".join(keys) or None)
    site.applied()


def files(site: Rehearsal, group: str = "a") -> list[str]:
    """Names of the files in the folder of a group, without its pages."""
    names = (path.name for path in (site.folder / "www" / group).iterdir())
    return sorted(name for name in names if not name.startswith("index"))


def test_dropped_files_are_kept_for_one_more_apply_and_its_pages_are_not(site: Rehearsal) -> None:
    upstream_has(site, "one", "four")
    assert files(site) == ["four", "one", "two"]
    site.drops("b")
    site.applied()
    assert files(site, "b") == ["three"]
    assert (site.folder / "www" / "index" / "index").read_text() == "a"
    upstream_has(site, "one", "four", "five")
    assert not (site.folder / "www" / "b").exists()


def test_each_tree_keeps_the_files_of_the_one_before(site: Rehearsal) -> None:
    upstream_has(site, "one", "four")
    assert files(site) == ["four", "one", "two"]
    upstream_has(site, "one", "five")
    assert files(site) == ["five", "four", "one"]
    upstream_has(site, "one", "six")
    assert files(site) == ["five", "one", "six"]


def test_an_apply_that_changes_nothing_ends_it_once_the_grace_is_over(site: Rehearsal) -> None:
    upstream_has(site, "one")
    site.applied()
    assert files(site) == ["one", "two"]
    site.now += LATER
    site.applied()
    assert files(site) == ["one"]
    upstream_has(site, "one", "two")
    assert files(site) == ["one", "two"]


def test_without_grace_nothing_is_kept(site: Rehearsal) -> None:
    declare(site, exporting("0s"))
    upstream_has(site, "one")
    assert files(site) == ["one"]


def test_what_a_rule_took_away_is_not_kept(site: Rehearsal) -> None:
    declare(site, exporting(), deny="two")
    site.applied()
    assert files(site) == ["one"]


def test_a_deny_reaches_what_is_kept(site: Rehearsal) -> None:
    upstream_has(site, "one")
    assert files(site) == ["one", "two"]
    declare(site, exporting(), deny="two")
    site.applied()
    assert files(site) == ["one"]


def test_what_is_kept_gives_way_to_what_is_new(site: Rehearsal) -> None:
    """A folder where a file was, and a file where it was kept."""
    upstream_has(site, "one", "two/within")
    assert files(site) == ["one", "two"]
    assert (site.folder / "www" / "a" / "two" / "within").is_file()
    upstream_has(site, "one", "two")
    assert (site.folder / "www" / "a" / "two").is_file()


def test_removal_of_kept_files_leaves_alone_the_names_that_new_files_took(site: Rehearsal) -> None:
    """A folder where a dropped file was, and a file where its folder was."""
    upstream_has(site, "one", "folder/within")
    upstream_has(site, "two/within", "folder")
    assert files(site) == ["folder", "one", "two"]
    site.now += LATER
    site.applied()
    assert files(site) == ["folder", "two"]
    upstream_has(site, "two/within", "folder", "four")
    upstream_has(site, "two/within", "folder", "five")
    assert files(site) == ["five", "folder", "four", "two"]


def test_a_tree_advances_beside_names_that_new_files_took(site: Rehearsal) -> None:
    upstream_has(site, "two/within")
    assert files(site) == ["one", "two"]
    upstream_has(site, "two/within", "four")
    upstream_has(site, "two/within", "five")
    assert files(site) == ["five", "four", "two"]
    assert (site.folder / "www" / "a" / "two" / "within").is_file()


def test_a_tree_that_was_lost_is_written_anew(site: Rehearsal) -> None:
    upstream_has(site, "one")
    (site.folder / ".www.export" / "a.json").write_text("no marker")
    (site.folder / ".www.export" / "b.json").unlink()
    upstream_has(site, "one", "four")
    assert files(site) == ["four", "one"]
