"""Publications: what is not replaced carries over, nothing incomplete is ever pointed to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.database import Database, Entry, EntryChange, Reader, ServedPublication
from reconciler.errors import Conflict, PluginFault, StateFault
from reconciler.model import EMPTY_VERSION, Digest
from tests.support.databases import NOW, created_publication, database, publication
from tests.support.publishing import an_entry, pages_of, published


def held(reader: Reader, publication_id: int, number: int) -> dict[str, Digest]:
    return {entry.path: entry.digest for entry in reader.all_entries(publication_id, number)}


def expected(**bodies: str) -> dict[str, Digest]:
    return {path: Digest.of(body.encode()) for path, body in bodies.items()}


def test_unchanged_groups_carry_over_and_replaced_ones_do_not(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        first = published(
            writer,
            id_,
            {"alpha": [("a", "1"), ("b", "1")], "beta": [("c", "1")], None: [("all", "1")]},
        )
        second = published(
            writer, id_, {"alpha": [("a", "1"), ("d", "2")], None: [("all", "2")]}, version=1
        )
        third = published(writer, id_, {"beta": []}, full=False)
        fourth = published(writer, id_, {"alpha": [("a", "1")]}, full=True)
        assert [first.number, second.number, third.number, fourth.number] == [1, 2, 3, 4]
        assert held(writer, id_, 1) == expected(a="1", b="1", c="1", all="1")
        assert held(writer, id_, 2) == expected(a="1", d="2", c="1", all="2")
        assert held(writer, id_, 3) == expected(a="1", d="2", all="2")
        assert held(writer, id_, 4) == expected(a="1")
        moves = [
            (change.appears, change.entry.path, change.entry.digest)
            for change in writer.entries_between(id_, 1, 2)
        ]
        before, after = Digest.of(b"1"), Digest.of(b"2")
        assert moves == [
            (False, "all", before),
            (True, "all", after),
            (False, "b", before),
            (True, "d", after),
        ]


contents = st.dictionaries(
    st.sampled_from(["alpha", "beta", None]),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), unique_by=lambda f: f[0]),
    max_size=3,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(contents, st.booleans()), min_size=1, max_size=5))
def test_any_sequence_of_publications_holds_what_a_dictionary_holds(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[dict[str | None, list[tuple[str, str]]], bool]],
) -> None:
    with database(tmp_path_factory.mktemp("publications")) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        groups: dict[str | None, list[tuple[str, str]]] = {}
        history: list[dict[str, Digest]] = [{}]
        for emitted, full in steps:
            named = {
                group: [(f"{group}/{path}", body) for path, body in files]
                for group, files in emitted.items()
            }
            groups = named if full else groups | named
            published(writer, id_, named, full=full)
            history.append(
                {
                    path: Digest.of(body.encode())
                    for files in groups.values()
                    for path, body in files
                }
            )
        for number, content in enumerate(history):
            assert held(writer, id_, number) == content
        for a, before in enumerate(history):
            for b, after in enumerate(history):
                assert advanced(dict(before), list(writer.entries_between(id_, a, b))) == after


def advanced(tree: dict[str, Digest], changes: list[EntryChange]) -> dict[str, Digest]:
    """A tree of files, moved from one publication to another by their difference, in its order."""
    for change in changes:
        if change.appears:
            tree[change.entry.path] = change.entry.digest
        else:
            assert tree.pop(change.entry.path) == change.entry.digest
    return tree


def test_only_a_complete_publication_is_pointed_to(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        assert (writer.publication(id_), writer.last_complete(id_), writer.served()) == (
            None,
            None,
            [],
        )
        quiet = writer.generation()
        stage = writer.publish(
            id_, version=0, version_digest=EMPTY_VERSION, digest=EMPTY_VERSION, now=NOW, full=True
        )
        with pytest.raises(StateFault, match="not complete"):
            writer.point(id_, 1)
        with pytest.raises(StateFault, match="does not exist"):
            writer.point(id_, 7)
        assert writer.last_complete(id_) is None
        record = stage.complete()
        stage.discard()
        assert writer.last_complete(id_) == record
        assert writer.generation() == quiet
        writer.point(id_, 1)
        assert writer.publication(id_) == record
        assert writer.generation() != quiet
        assert writer.served() == [ServedPublication(id_, "team", "team", 1, "test")]
        state = writer.actual_state().publications["team"]
        assert (state.version, state.version_digest, state.digest) == (
            0,
            EMPTY_VERSION,
            EMPTY_VERSION,
        )


def test_the_generation_changes_with_every_pointer_and_path(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        for _ in range(2):
            published(writer, id_, {"alpha": [("a", "1")]})
        seen = [writer.generation()]
        for number in (1, 2, 1):
            writer.point(id_, number)
            seen.append(writer.generation())
        writer.record_resources([publication("team", "elsewhere")], now=NOW)
        seen.append(writer.generation())
        assert writer.served() == [ServedPublication(id_, "team", "elsewhere", 1, "test")]
        writer.record_resources([], now=NOW, deleted=[publication().meta.ref])
        seen.append(writer.generation())
        assert len(set(seen)) == len(seen)
        assert writer.served() == []
        with Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as other:
            assert other.reader().generation() == seen[-1]


def test_what_a_dead_run_left_behind_is_swept_away(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        published(writer, id_, {"alpha": [("a", "1")], "beta": [("b", "1")]})
        dead = writer.publish(
            id_, version=1, version_digest=EMPTY_VERSION, digest=EMPTY_VERSION, now=NOW, full=True
        )
        bodies = [f"page {number}" for number in range(1_500)]
        dead.replace_group(
            "alpha", [an_entry("alpha", body, body) for body in bodies], pages_of(bodies)
        )
        assert held(writer, id_, 1) == expected(a="1", b="1")
        published(writer, id_, {"gamma": [("c", "1")]}, full=True)
        assert held(writer, id_, 2) == expected(c="1")
        assert held(writer, id_, 1) == expected(a="1", b="1")
        with pytest.raises(Conflict):
            dead.complete()
        dead.discard()
        assert held(writer, id_, 2) == expected(c="1")


@pytest.mark.parametrize("spread", [1, 1_200])
def test_two_groups_that_emit_one_path_are_a_fault_of_the_plugin(
    tmp_path: Path, spread: int
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        filler = [(f"other-{number}", "x") for number in range(spread)]
        with pytest.raises(PluginFault, match="`same`"):
            published(
                writer, id_, {"alpha": [("same", "1")], "beta": filler, "gamma": [("same", "2")]}
            )
        published(writer, id_, {"alpha": [("same", "1")], "beta": filler})
        with pytest.raises(PluginFault, match="`same`"):
            published(writer, id_, {"gamma": [("same", "2")]})
        moved = published(writer, id_, {"gamma": [("same", "2")], "beta": filler, "alpha": []})
        assert held(writer, id_, moved.number)["same"] == Digest.of(b"2")


def test_entries_of_one_path_come_in_the_order_of_emission_with_all_they_say(
    tmp_path: Path,
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        html = Entry(
            "simple/a/", "text/html", "a", True, Digest.of(b"page"), 4, ("text/plain", "*/x"), 1
        )
        json = Entry("simple/a/", "application/json", "a", True, Digest.of(b"json"), 4, (), 0)
        file = Entry(
            "files/a.whl", "application/octet-stream", "a", False, Digest.of(b"bytes"), 2**40, (), 0
        )
        with writer.publish(
            id_, version=0, version_digest=EMPTY_VERSION, digest=EMPTY_VERSION, now=NOW, full=True
        ) as stage:
            stage.replace_group("a", [html, json, file], pages_of(["page", "json"]))
            stage.complete()
        assert writer.entries(id_, 1, "simple/a/") == [json, html]
        assert writer.entries(id_, 1, "nothing") == []
        assert list(writer.all_entries(id_, 1)) == [file, json, html]
        assert gzip.decompress(writer.pages([html.digest, file.digest])[html.digest]) == b"page"
