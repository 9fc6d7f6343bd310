"""Bytes are checked where they are trusted, and the next apply mends damage or names it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from reconciler.database.schema import publication_entry
from reconciler.engine.transfer.stored_bytes import MISSING, OTHER_SIZE, record_damage
from reconciler.model import Digest
from reconciler.plan import render_json
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository

ONE, TWO = b"one" * 10, b"two" * 10
Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        yield site


def applied(site: Rehearsal, *more: str) -> None:
    site.declare(site.remote(), repository(), publication(), *more)
    site.applied()


def hurt(site: Rehearsal, damage: Damage, data: bytes = ONE) -> None:
    damage(site.home.store().path(Digest.of(data)))


def known(site: Rehearsal) -> dict[Digest, str]:
    return {record.digest: record.problem for record in site.ask(lambda reader: reader.damage())}


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_what_a_client_met_is_mended_by_an_apply_that_changes_nothing(
    site: Rehearsal, damage: Damage
) -> None:
    applied(site)
    hurt(site, damage)
    [answer] = site.get("/team/a/one")
    assert answer.status == 503
    assert known(site).keys() == {Digest.of(ONE)}
    plan = site.plan()
    assert plan.pending
    assert (
        "No changes, but repairs. 1 file of the store is missing or damaged: fetched again where a"
        " source has what is to be there." in site.text()
    )
    assert b'"damaged":1' in b"".join(render_json(plan))
    report = site.applied()
    assert [outcome.message for outcome in report.outcomes if "mended" in outcome.message] == [
        "1 damaged file mended"
    ]
    [answer] = site.get("/team/a/one")
    assert (answer.status, answer.body) == (200, ONE)
    assert known(site) == {}
    assert site.settled()
    assert site.number() == 1


def test_what_cannot_be_had_fails_every_apply_by_name_until_it_is_there(site: Rehearsal) -> None:
    applied(site)
    hurt(site, Path.unlink)
    site.get("/team/a/one")
    site.server.on("/one", status(404))
    for _ in range(2):
        message = site.failed()
        assert (
            "`one` is missing from the store or damaged, and cannot be fetched: remote:up: "
            in message
        )
        assert "404" in message
    site.home.store().put(ONE, Digest.of(ONE))  # restored from a backup
    site.applied()
    assert site.settled()


def test_bytes_that_upstream_no_longer_offers_are_named(site: Rehearsal) -> None:
    """An old version holds them, and a publication may be pinned to it."""
    applied(site)
    applied(site, publication("old", more="version: 1"))
    site.says("a", site.file("two"))
    site.applied()
    hurt(site, flip)
    [answer] = site.get("/old/a/one")
    assert answer.status == 503
    assert "no source of the repository offers it any more" in site.failed()


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_sync_builds_on_no_bytes_that_are_missing(site: Rehearsal, damage: Damage) -> None:
    """One look for each artifact of what changes: another repository brings the same file."""
    applied(site)
    hurt(site, damage)
    site.server.requests.clear()
    applied(site, repository("other"), publication("other", of="other"))
    assert site.downloads() == ["/one"]
    assert [response.body for response in site.get("/other/a/one", "/team/a/one")] == [ONE, ONE]


def test_an_apply_looks_at_nothing_that_does_not_change(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(site)
    site.says("b", site.file("three"))
    looked: list[str] = []
    stat = os.stat

    def watched(path: Any, *more: Any, **how: Any) -> os.stat_result:
        if "sha256" in str(path):
            looked.append(str(path))
        return stat(path, *more, **how)

    monkeypatch.setattr("reconciler.store.local_files.os.stat", watched)
    site.applied()
    others = [Digest.of(data).hex[2:] for data in (ONE, TWO)]
    assert looked, "at what is new"
    assert not [path for path in looked if path.endswith(tuple(others))]


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_copy_of_missing_bytes_has_them_mended_first(site: Rehearsal, damage: Damage) -> None:
    applied(site)
    hurt(site, damage)
    applied(site, repository("stage", copy()), publication("stage", of="stage"))
    assert site.get("/stage/a/one")[0].body == ONE
    assert site.number("stage") == 1


def test_a_publication_shows_nothing_new_without_a_look_at_its_bytes(site: Rehearsal) -> None:
    applied(site)
    hurt(site, cut)
    applied(site, publication("second"))
    assert site.get("/second/a/one")[0].body == ONE


def test_a_publication_of_lost_bytes_obeys_its_filters_all_the_same(site: Rehearsal) -> None:
    """A deny must not wait for a file that is nowhere."""
    applied(site)
    hurt(site, Path.unlink)
    site.server.on("/one", status(404))
    site.declare(site.remote(), repository(), publication(), publication("second"))
    assert "`one` is missing" in site.failed()
    answers = site.get("/second/a/one", "/second/a/two")
    assert [answer.status for answer in answers] == [503, 200]


@pytest.mark.parametrize("damage", [flip, cut])
def test_an_export_is_written_anew_because_its_files_are_the_damaged_ones(
    site: Rehearsal, damage: Damage
) -> None:
    public = site.folder / "public"
    site.declare(
        site.remote(),
        repository(),
        publication(more=f"exports: [{{directory: {{path: {public}}}}}]"),
    )
    site.applied()
    hurt(site, damage)
    assert (public / "a" / "one").read_bytes() != ONE, "a link to the same file"
    site.get("/team/a/one")
    site.applied()
    assert (public / "a" / "one").read_bytes() == ONE


def test_an_export_of_missing_bytes_has_them_mended_first(site: Rehearsal) -> None:
    applied(site)
    hurt(site, Path.unlink)
    public = site.folder / "public"
    site.declare(
        site.remote(),
        repository(),
        publication(more=f"exports: [{{directory: {{path: {public}}}}}]"),
    )
    site.applied()
    assert (public / "a" / "one").read_bytes() == ONE


def test_an_uploaded_file_is_mended_by_uploading_it_again(site: Rehearsal) -> None:
    site.declare(repository("team", "upload: {}"), publication())
    site.applied()
    site.upload("mine", b"mine")
    hurt(site, flip, b"mine")
    assert site.get("/team/uploads/mine")[0].status == 503
    message = site.failed()
    assert (
        "`mine` is missing from the store or damaged, and cannot be fetched: it was uploaded"
        in message
    )
    site.upload("mine", b"mine")
    site.applied()
    assert site.get("/team/uploads/mine")[0].body == b"mine"


def test_what_is_on_demand_is_fetched_when_it_is_asked_for(site: Rehearsal) -> None:
    site.declare(site.remote(more="policy: on-demand"), repository(), publication())
    site.applied()
    site.get("/team/a/one")
    hurt(site, flip)
    assert site.get("/team/a/one")[0].body == ONE, "served by a new fetch"
    hurt(site, Path.unlink)
    site.server.on("/one", status(404))
    assert site.get("/team/a/one")[0].status == 502
    site.applied()
    assert known(site) == {}, "it is upstream's to have"


def test_what_an_undeclared_repository_needs_is_mended_too(site: Rehearsal) -> None:
    applied(site)
    hurt(site, Path.unlink)
    site.get("/team/a/one")
    site.declare(repository("empty", "upload: {}"))
    site.applied()
    assert site.get("/team/a/one")[0].body == ONE


def test_a_low_level_importer_is_asked_as_if_nothing_were_unchanged(site: Rehearsal) -> None:
    site.declare(
        site.remote(type="records"),
        repository(type="records"),
        publication(more="publisher: records"),
    )
    site.validator("v1")
    site.applied()
    hurt(site, Path.unlink)
    site.get("/team/a/one")
    site.applied()
    assert site.has(ONE)


def test_files_without_a_declared_digest_are_measured_again(site: Rehearsal) -> None:
    site.says("a", site.file("one", named=False), site.file("two", named=False))
    applied(site)
    hurt(site, flip)
    site.get("/team/a/one")
    site.applied()
    assert site.get("/team/a/one")[0].body == ONE


def test_damage_names_what_is_wrong(site: Rehearsal) -> None:
    applied(site)
    hurt(site, cut)
    hurt(site, Path.unlink, TWO)
    site.says("b", site.file("one"), site.file("two"))
    site.server.on("/one", status(500))
    site.server.on("/two", status(500))
    assert site.apply().failed
    assert known(site) == {Digest.of(ONE): OTHER_SIZE, Digest.of(TWO): MISSING}


def test_damage_of_what_no_unit_has_is_kept_in_mind_while_something_shows_it(
    site: Rehearsal,
) -> None:
    """Files that were extracted for pages belong to no unit, and are not to be forgotten."""
    applied(site)
    derived = Digest.of(b"extracted")
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        writer.artifact_stored(derived, 9)
        with writer._writing.begin() as connection:
            connection.execute(
                update(publication_entry)
                .where(~publication_entry.c.page)
                .values(digest=derived.raw)
            )
        writer.record_damage({derived: MISSING}, site.now)
        site.applied()
        assert set(known(site)) == {derived}
        with writer._writing.begin() as connection:
            connection.execute(delete(publication_entry))
    site.applied()
    assert known(site) == {}


def test_a_group_that_cannot_be_read_holds_up_no_other_one_and_lends_it_no_reason(
    site: Rehearsal,
) -> None:
    """Kind: one failure blocks everything, or gives a false reason."""
    site.says("b", site.file("three"))
    site.says("c", site.file("four"))
    applied(site)
    for data in (b"one" * 10, b"three" * 10, b"four" * 10):
        hurt(site, Path.unlink, data)
    site.get("/team/a/one", "/team/b/three", "/team/c/four")
    site.says("c")
    site.script.failing["b"] = ValueError("b cannot be read")
    message = site.failed()
    assert site.has(b"one" * 10), "mended although `b` failed"
    assert re.search("`three` is missing .*: remote:up: .*b cannot be read", message)
    assert re.search("`four` is missing .*: no source of the repository offers it", message)


def test_what_another_process_has_stored_meanwhile_is_no_damage(site: Rehearsal) -> None:
    """Kind: verify and repair beside uploads. It was read as damaged, and is whole by now."""
    applied(site)
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        writer.record_damage({Digest.of(TWO): MISSING}, site.now)
        problems = {Digest.of(ONE): OTHER_SIZE, Digest.of(TWO): MISSING}
        record_damage(site.home.store(), writer, problems, now=site.now)
    assert known(site) == {}
    assert [answer.status for answer in site.get("/team/a/one", "/team/a/two")] == [200, 200]


def test_a_file_that_the_disk_cannot_read_stops_no_repair(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: damage of the store, whatever form it takes."""
    applied(site)
    with site.home.database(read_only=False) as database:
        database.writer().record_damage({Digest.of(ONE): "unreadable"}, site.now)

    def broken(stream: Any, *arguments: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("reconciler.store.local_files.hashlib.file_digest", broken)
    site.applied()
    monkeypatch.undo()
    assert known(site) == {}
    assert site.get("/team/a/one")[0].body == ONE
