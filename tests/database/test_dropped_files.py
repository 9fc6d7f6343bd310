"""Dates of publications, and files that they dropped: what is served when, says the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.database import Entry, GzipPage, ServedPublication, Writer
from reconciler.errors import PluginFault
from reconciler.model import EMPTY_VERSION, Digest
from tests.support.databases import NOW, created_publication, database

SECOND = timedelta(seconds=1)
TIMES = {b"day": 86400, b"hour": 3600, b"none": 0}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        yield opened.writer()


def publish(writer: Writer, id_: int, *paths: str, body: str = "") -> int:
    """Complete a publication that holds these files and nothing else."""
    files = [
        Entry(path, "text/plain", "a", False, Digest.of(f"{path} {body}".encode()), 1)
        for path in paths
    ]
    with writer.publish(
        id_,
        version=0,
        version_digest=EMPTY_VERSION,
        digest=Digest.of(repr(paths).encode()),
        now=NOW,
        full=False,
    ) as stage:
        stage.replace_group("a", files, {})
        return stage.complete().number


def served(writer: Writer) -> ServedPublication:
    [record] = writer.served()
    return record


def modified(writer: Writer, path: str, now: datetime = NOW) -> datetime:
    content = writer.content(served(writer), path, now=now)
    assert content is not None
    return content.modified


def test_no_two_publications_have_the_same_date(writer: Writer) -> None:
    """Two bodies of a path within a second must not look the same to a client that has a date."""
    id_ = created_publication(writer)
    half = timedelta(milliseconds=500)
    expected = [NOW + SECOND * number for number in (1, 2, 3)]
    for number, date in enumerate(expected):
        writer.point(id_, publish(writer, id_, "x", body=str(number)), NOW + half)
        assert modified(writer, "x") == date
    writer.point(id_, publish(writer, id_, "x", body="much later"), NOW + SECOND * 60)
    assert modified(writer, "x") == NOW + SECOND * 60


def test_the_date_is_when_clients_saw_it_first(writer: Writer) -> None:
    """Not when its rendering began, nor when a later publication repeated it."""
    id_ = created_publication(writer)
    first = publish(writer, id_, "x")
    writer.point(id_, first, NOW + timedelta(hours=1))
    writer.point(id_, publish(writer, id_, "x", "y"), NOW + timedelta(hours=2))
    assert modified(writer, "x") == NOW + timedelta(hours=1)
    assert modified(writer, "y") == NOW + timedelta(hours=2)


def test_only_what_is_said_to_linger_does_and_for_the_grace_alone(writer: Writer) -> None:
    id_ = created_publication(writer)
    writer.point(id_, publish(writer, id_, "x", "y", "z"), NOW)
    last = publish(writer, id_, "z")
    dropped = writer.dropped_files(id_, NOW)
    assert [(file.entry.path, file.added, file.removed) for file in dropped] == [
        ("x", 1, 2),
        ("y", 1, 2),
    ]
    writer.set_lingering(id_, lingering=dropped[:1], gone=dropped[1:])
    shown = [writer.content(served(writer), path, now=NOW) for path in "xyz"]
    assert [content is not None and not content.lingers for content in shown] == [True] * 3
    writer.point(id_, last, NOW + SECOND)
    for seconds, paths in ((1, "xz"), (600, "xz"), (601, "z")):
        now = NOW + SECOND * seconds
        assert [
            path for path in "xyz" if writer.content(served(writer), path, now=now) is not None
        ] == list(paths)
    assert dropped[0].entry.digest.raw in writer.needed_artifacts(), "gc leaves what grace serves"


def test_a_decision_is_a_new_generation_only_where_it_differs(writer: Writer) -> None:
    id_ = created_publication(writer)
    writer.point(id_, publish(writer, id_, "x"), NOW)
    writer.point(id_, publish(writer, id_, "y"), NOW + SECOND)
    seen = [writer.generation()]
    for lingers in (True, True, False):
        dropped = writer.dropped_files(id_, NOW)
        halves = (dropped, []) if lingers else ([], dropped)
        writer.set_lingering(id_, lingering=halves[0], gone=halves[1])
        seen.append(writer.generation())
    assert seen[0] != seen[1] == seen[2] != seen[3]


def test_what_ended_long_ago_is_not_looked_at(writer: Writer) -> None:
    id_ = created_publication(writer)
    writer.point(id_, publish(writer, id_, "x"), NOW)
    writer.point(id_, publish(writer, id_, "y"), NOW + SECOND)
    writer.point(id_, publish(writer, id_, "z"), NOW + timedelta(hours=1))
    [file] = writer.dropped_files(id_, NOW + timedelta(minutes=50))
    assert file.entry.path == "y"


def by_hash(body: bytes, *, linger: int, immutable: bool = False, path: str = "") -> Entry:
    """A page below its digest that lingers."""
    digest = Digest.of(body)
    name = path or f"by-hash/{digest.hex}"
    return Entry(
        name, "text/plain", None, True, digest, len(body), immutable=immutable, linger=linger
    )


def publish_whole(writer: Writer, id_: int, *entries: Entry, full: bool = False) -> int:
    with writer.publish(
        id_,
        version=0,
        version_digest=EMPTY_VERSION,
        digest=Digest.of(repr(entries).encode()),
        now=NOW,
        full=full,
    ) as stage:
        stage.replace_group(None, entries, {entry.digest: GzipPage(b"", 1) for entry in entries})
        return stage.complete().number


def test_each_path_lingers_as_long_as_its_publisher_says(writer: Writer) -> None:
    """A day and an hour beside each other; a page that says nothing has no grace."""
    id_ = created_publication(writer)
    day, hour, none = (by_hash(text, linger=time) for text, time in TIMES.items())
    writer.point(id_, publish_whole(writer, id_, day, hour, none), NOW)
    last = publish_whole(writer, id_)
    dropped = writer.dropped_files(id_, NOW, longest=NOW)
    assert {file.entry for file in dropped} == {day, hour}
    writer.set_lingering(id_, lingering=dropped, gone=[])
    writer.point(id_, last, NOW + SECOND)
    assert served(writer).linger == 86400
    for seconds, shown in ((1, {day, hour}), (3601, {day}), (86401, set())):
        now = NOW + SECOND * seconds
        contents = [
            writer.content(served(writer), each.path, now=now) for each in (day, hour, none)
        ]
        assert {each.entries[0] for each in contents if each is not None} == shown
        kept = writer.lingering_by_themselves(id_, last, now=now, longest=86400)
        assert {each.entry for each in kept} == shown
    assert writer.remove_unused_pages(dry_run=True) == (0, 0), "gc leaves what lingers"


def test_other_bytes_never_come_under_a_path_that_was_immutable(writer: Writer) -> None:
    """Not after the path was gone, nor without the promise, nor in a publication made anew."""
    id_ = created_publication(writer)
    first = by_hash(b"first", linger=0, immutable=True, path="dl/one-1.0.txt")
    publish_whole(writer, id_, first)
    publish_whole(writer, id_)
    for immutable in (True, False):
        other = by_hash(b"other", linger=0, immutable=immutable, path=first.path)
        with pytest.raises(PluginFault, match="was published as immutable"):
            publish_whole(writer, id_, other, full=True)
    assert publish_whole(writer, id_, first) == 3


def test_an_immutable_path_is_so_as_every_media_type(writer: Writer) -> None:
    """Kind: a promise of a path that holds for one of its representations alone."""
    id_ = created_publication(writer)
    first = by_hash(b"first", linger=0, immutable=True, path="dl/one")
    publish_whole(writer, id_, first)
    other = replace(first, media_type="application/json", digest=Digest.of(b"other"))
    for entries in ([other], [first, other]):
        with pytest.raises(PluginFault, match="was published as immutable"):
            publish_whole(writer, id_, *entries)
    publish_whole(writer, id_, replace(first, media_type="application/json"))
    mixed = replace(first, path="dl/two"), replace(other, path="dl/two", immutable=False)
    for each in (id_, created_publication(writer, "fresh", "fresh")):
        with pytest.raises(PluginFault, match="`dl/two` is immutable as one media type, and not"):
            publish_whole(writer, each, *mixed)
    both = replace(first, path="dl/two"), replace(other, path="dl/two")
    publish_whole(writer, id_, *both)
    publish_whole(writer, id_, *both)
