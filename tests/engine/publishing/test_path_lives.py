"""Paths that outlive a version, paths whose bytes never change, and the moment of a version.

Kind: what a client may rely on once it has read a page, and what no rule may be outlived by.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine.publishing.exports import export
from reconciler.model import Digest
from reconciler.plugin import PublishConduit
from tests.engine.publishing.withheld import declare, two_groups
from tests.support.rehearsal import Rehearsal, publication

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
EXPORTING = publication(more="exports: [{directory: {path: www}}]")
A, ALL = "a/by-hash", "by-hash"


def indexed(conduit: PublishConduit) -> None:
    """Publish lists below their digests for a day, files for an hour, and a page at the root."""
    listed: list[str] = []
    for name in conduit.changed_groups():
        with conduit.group(name) as output:
            units = conduit.units(name)
            if units:
                body = " ".join(unit.key for unit in units).encode()
                path = f"{name}/by-hash/{Digest.of(body).hex}"
                output.page(path, body, "text/plain", linger="1d")
            for unit in units:
                output.file(f"{name}/{unit.key}", unit.artifacts[0], linger=HOUR)
    for name in conduit.groups():
        listed += [f"{name}/{unit.key}" for unit in conduit.units(name)]
    body = " ".join(listed).encode()
    with conduit.whole_repository() as output:
        output.page("", b"the root", "text/html")
        output.page(f"by-hash/{Digest.of(body).hex}", body, "text/plain", linger="1d")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        site.server_keeps_time = True
        site.script.on_publish = indexed
        declare(site, EXPORTING)
        site.applied()
        site.now += HOUR
        yield site


def has(site: Rehearsal, folder: str, body: str) -> tuple[bool, bool]:
    """Return whether a list is served below its digest, and whether the export holds it."""
    path = f"{folder}/{Digest.of(body.encode()).hex}"
    [answer] = site.get(f"/team/{path}")
    file = site.folder / "www" / path
    assert answer.status in (200, 404)
    return answer.status == 200 and answer.text == body, file.is_file()


def upstream_has(site: Rehearsal, *keys: str) -> None:
    site.says("a", *map(site.file, keys), validator="-".join(keys))
    site.applied()


BOTH, NEITHER = (True, True), (False, False)


def test_a_path_stays_for_as_long_as_its_publisher_asks(site: Rehearsal) -> None:
    """Pages too, in the server and in every tree of an export, and not a moment longer."""
    upstream_has(site, "one")
    assert site.plan().empty, "what lingers is nothing to do"
    upstream_has(site, "one", "four")
    upstream_has(site, "one", "five")
    for folder, body in ((A, "one two"), (ALL, "a/one a/two b/three"), (A, "four one")):
        assert has(site, folder, body) == BOTH
    site.now += HOUR + 9 * SECOND  # no two generations have one date
    assert [answer.status for answer in site.get("/team/a/two", "/team/a/one")] == [404, 200]
    site.applied()
    assert sorted(path.name for path in (site.folder / "www/a").iterdir()) == [
        "by-hash",
        "five",
        "one",
    ]
    site.now += DAY
    assert has(site, A, "one two") == (False, True)
    site.applied()
    assert has(site, A, "one two") == has(site, ALL, "a/one a/two b/three") == NEITHER
    assert has(site, A, "five one") == BOTH


def test_a_rule_ends_it_at_once_for_whatever_shows_the_unit(site: Rehearsal) -> None:
    """The list of another group shows nothing of it, and stays."""
    upstream_has(site, "one")
    site.says("b", site.file("three"), site.file("six"), validator="2")
    site.applied()
    declare(site, EXPORTING, deny="two")
    site.applied()
    assert has(site, A, "one two") == has(site, ALL, "a/one a/two b/three") == NEITHER
    assert has(site, "b/by-hash", "three") == has(site, ALL, "a/one b/three") == BOTH


def test_a_rule_against_what_is_still_held_reaches_old_lists(site: Rehearsal) -> None:
    upstream_has(site, "one")
    declare(site, EXPORTING, deny="one")
    site.applied()
    assert has(site, A, "one two") == has(site, A, "one") == has(site, ALL, "a/one b/three")
    assert has(site, A, "one") == NEITHER
    assert has(site, "b/by-hash", "three") == BOTH


def test_what_was_withheld_before_does_not_end_a_list_without_it(site: Rehearsal) -> None:
    declare(site, EXPORTING, deny="two")
    site.applied()
    upstream_has(site, "one", "two", "four")
    assert has(site, A, "one") == has(site, ALL, "a/one b/three") == BOTH
    assert has(site, A, "one two") == NEITHER


def test_a_rule_reaches_bytes_whose_name_earlier_ones_linger_under(site: Rehearsal) -> None:
    """The file of an export is gone, although what had the name before it may linger."""
    site.says("a", site.file("one"), site.file("two", b"newer"), validator="newer")
    site.applied()
    upstream_has(site, "one")
    kept = site.folder / "www" / "a" / "two"
    assert kept.read_bytes() == b"newer"
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        id_ = writer.actual_state().publications["team"].id
        long_ago = datetime(1970, 1, 2, tzinfo=UTC)
        newer = Digest.of(b"newer")
        gone = [
            file
            for file in writer.dropped_files(id_, long_ago, longest=long_ago)
            if file.entry.digest == newer
        ]
        writer.set_lingering(id_, lingering=[], gone=gone)
        record = writer.last_complete(id_)
        assert record is not None
        export(
            writer,
            site.home.store(),
            id_,
            record=record,
            directory=str(site.folder / "www"),
            now=site.now,
        )
    assert not kept.exists()


def test_bytes_that_linger_are_needed(site: Rehearsal) -> None:
    """`gc` removes neither the files nor the pages."""
    upstream_has(site, "one")
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        assert Digest.of(b"two" * 10).raw in writer.needed_artifacts()
        assert writer.remove_unused_pages(dry_run=True) == (0, 0)


def test_other_bytes_under_an_immutable_path_fail_the_publication(site: Rehearsal) -> None:
    """The publication goes on to show the first ones, and these may come back."""
    bodies = iter((b"one", b"other", b"one"))

    def promising(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        with conduit.whole_repository() as output:
            output.page("dl/one-1.0", next(bodies), "text/plain", immutable=True)

    site.script.on_publish = promising
    upstream_has(site, "one")
    [answer] = site.get("/team/dl/one-1.0")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    site.says("a", site.file("four"), validator="4")
    failed = [each for each in site.apply().outcomes if each.result == "failed"]
    assert [str(each.ref) for each in failed] == ["publication/team"]
    assert "`dl/one-1.0` was published as immutable" in failed[0].message
    assert site.get("/team/dl/one-1.0")[0].body == b"one"
    site.applied()


def test_a_page_may_state_the_moment_of_the_version(site: Rehearsal) -> None:
    """It is the same however often the version is rendered."""
    stated: list[tuple[int, datetime]] = []

    def noting(conduit: PublishConduit) -> None:
        stated.append((conduit.version.number, conduit.version.recorded_at))
        indexed(conduit)

    site.script.on_publish = noting
    committed = site.now
    upstream_has(site, "one")
    site.now += DAY
    declare(site, publication(more="dated: [one], exports: [{directory: {path: www}}]"))
    site.applied()
    assert stated == [(2, committed)] * 2
    assert stated[0][1].tzinfo is UTC


def test_the_page_of_the_root_is_served_and_exported(site: Rehearsal) -> None:
    [page, bare] = site.get("/team/", "/team")
    assert (page.status, page.body) == (200, b"the root")
    assert (bare.status, bare.headers["location"]) == (301, "team/")
    exported = site.folder / "www" / "index.html"
    assert exported.read_bytes() == b"the root"
    assert gzip.decompress(exported.with_name("index.html.gz").read_bytes()) == b"the root"
