"""What filters refuse is not served, wherever it came from: publications leave it out although
their versions hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Denied
from reconciler.plugin import Decision
from tests.engine.publishing.withheld import (
    BOTH,
    PINNED,
    change,
    declare,
    moved,
    rows,
    shown,
    status,
    two_groups,
)
from tests.support.rehearsal import (
    Rehearsal,
    copy,
    publication,
    repository,
    resource,
    rules,
    source,
)
from tests.support.scripted_plugins import LINE, NOW, LineSource


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as stage:
        yield stage


def test_one_plan_takes_what_is_denied_out_of_everything_that_is_served(stage: Rehearsal) -> None:
    declare(stage)
    stage.applied()
    stage.upload("sent", b"sent")
    declare(stage, deny="one, sent")
    assert [(line.op, line.key) for one in stage.content().spool for line in one.lines] == [
        ("-", "one")
    ]
    assert rows(stage) == ["- uploads/sent rules.deny"]
    assert rows(stage, "pinned") == ["- a/one rules.deny"]
    stage.applied()
    assert stage.settled()
    assert (shown(stage), shown(stage, "pinned")) == (["a/two", "b/three"], ["a/two", "b/three"])
    assert (status(stage), status(stage, "pinned")) == (
        {"uploads/sent": "rules.deny"},
        {"a/one": "rules.deny"},
    )
    assert stage.held() == ["a/two", "b/three", "uploads/sent"], "an upload stays in the repository"
    answers = stage.get("/pinned/a/one", "/team/uploads/sent", "/team/a/two")
    assert [response.status for response in answers] == [404, 404, 200]


def test_what_is_allowed_again_comes_back_and_only_its_groups_are_rendered(
    stage: Rehearsal,
) -> None:
    declare(stage)
    stage.applied()
    stage.upload("sent", b"sent")
    declare(stage, deny="one, sent, three")
    stage.applied()
    assert moved(stage, "pinned") == ["a/one", "b/three", "index/"]
    declare(stage, deny="three")
    assert (rows(stage), rows(stage, "pinned")) == (["+ uploads/sent"], ["+ a/one"])
    stage.applied()
    assert moved(stage, "pinned") == ["a/one"]
    declare(stage)
    stage.applied()
    assert stage.settled()
    assert shown(stage) == ["a/one", "a/two", "b/three", "uploads/sent"]
    assert (status(stage), status(stage, "pinned")) == ({}, {})


def test_a_group_of_which_nothing_is_left_is_in_no_index(stage: Rehearsal) -> None:
    declare(stage)
    stage.applied()
    declare(stage, deny="three")
    stage.applied()
    assert stage.get("/pinned/index/")[0].body == b"a"
    fresh = publication("fresh", more="version: 1")  # rendered whole
    declare(stage, PINNED, fresh, deny="three")
    assert rows(stage, "fresh") == ["- b/three rules.deny"]
    assert change(stage, "fresh").refusal == "", "nothing is taken from what was never served"
    stage.applied()
    assert stage.get("/fresh/index/")[0].body == b"a"
    declare(stage, PINNED, fresh)
    stage.applied()
    assert [one.body for one in stage.get("/pinned/index/", "/fresh/index/")] == [b"a\nb", b"a\nb"]


def test_additive_repositories_keep_what_publications_withhold(stage: Rehearsal) -> None:
    base = repository("team", more="sync: {mode: additive}")
    declare(stage, publication(), base=base)
    stage.applied()
    declare(stage, publication(), base=base, deny="one")
    assert rows(stage) == ["- a/one rules.deny"]
    stage.applied()
    assert (stage.number(), stage.held()) == (1, ["a/one", "a/two", "b/three"])
    assert (shown(stage), status(stage)) == (["a/two", "b/three"], {"a/one": "rules.deny"})
    stage.says("c", stage.file("four"), validator="1")
    stage.applied()
    assert (shown(stage), status(stage)) == (
        ["a/two", "b/three", "c/four"],
        {"a/one": "rules.deny"},
    )
    assert stage.settled()


def test_what_a_source_brought_that_is_declared_no_more_is_reached(stage: Rehearsal) -> None:
    stage.says("x", stage.file("left"), name="other")
    base = [stage.remote(), stage.remote("other")]
    stage.declare(
        *base,
        repository("team", source("up"), source("other"), more="sync: {mode: additive}"),
        publication(),
    )
    stage.applied()
    stage.declare(
        *base,
        rules("deny: [left]"),
        repository("team", source("up"), more="sync: {mode: additive}"),
        publication(),
    )
    stage.applied()
    assert "x/left" in stage.held()
    assert status(stage) == {"x/left": "rules.deny"}


def test_copies_are_reached_when_they_are_pinned_and_when_they_follow(stage: Rehearsal) -> None:
    follows = repository("copy", copy())
    pinned = publication("old", of="copy", more="version: 1")
    declare(stage, follows, publication("copy", of="copy"), pinned)
    stage.applied()
    declare(stage, follows, publication("copy", of="copy"), pinned, deny="one")
    assert rows(stage, "old") == ["- a/one rules.deny"]
    stage.applied()
    assert stage.held("copy") == ["a/two", "b/three"]
    assert (shown(stage, "copy"), shown(stage, "old")) == (
        ["a/two", "b/three"],
        ["a/two", "b/three"],
    )


def test_what_time_alone_changes_is_asked_again_when_it_has_come_and_uploads_do_not_wait(
    stage: Rehearsal,
) -> None:
    declare(stage, PINNED, publication())
    stage.applied()
    stage.upload("sent", b"sent")
    stage.declare(
        stage.remote(),
        rules("later: [one, sent]"),
        repository("team", *BOTH),
        PINNED,
        publication(),
    )
    stage.applied()
    assert (status(stage, "pinned"), status(stage)) == ({"a/one": "rules.later"}, {})
    assert stage.settled()
    stage.now = NOW + timedelta(days=2)
    assert rows(stage, "pinned") == ["+ a/one"]
    stage.applied()
    assert status(stage, "pinned") == {}
    assert stage.settled()


def test_a_publication_has_filters_of_its_own(stage: Rehearsal) -> None:
    own = resource("Filter", "own", "type: lines, deny: [three]")
    strict = publication("strict", more="filters: [own]")
    stage.declare(stage.remote(), own, repository("team", *BOTH), publication(), strict)
    stage.applied()
    assert (shown(stage), shown(stage, "strict")) == (
        ["a/one", "a/two", "b/three"],
        ["a/one", "a/two"],
    )
    stage.says("c", stage.file("four"), validator="1")
    stage.upload("three", b"3")
    assert shown(stage, "strict") == [
        "a/one",
        "a/two",
    ], "what is uploaded is told by the repository's filters, and shown by the publication's too"
    stage.applied()
    assert shown(stage, "strict") == ["a/one", "a/two", "c/four"]
    assert status(stage, "strict") == {"b/three": "own.deny", "uploads/three": "own.deny"}
    assert stage.settled()


def test_an_unreachable_upstream_does_not_keep_a_deny_from_what_is_served(stage: Rehearsal) -> None:
    declare(stage)
    stage.applied()
    stage.script.failing["declare"] = OSError("no answer")
    declare(stage, deny="one")
    assert rows(stage) == rows(stage, "pinned") == ["- a/one rules.deny"]
    assert stage.apply().failed
    assert stage.held() == ["a/one", "a/two", "b/three"]
    assert shown(stage) == shown(stage, "pinned") == ["a/two", "b/three"]
    del stage.script.failing["declare"]
    stage.applied()
    assert (stage.held(), status(stage), status(stage, "pinned")) == (
        ["a/two", "b/three"],
        {},
        {"a/one": "rules.deny"},
    )


def test_other_words_for_the_same_decision_publish_nothing(stage: Rehearsal) -> None:
    declare(stage, PINNED, deny="one")
    declare(stage, PINNED)
    stage.applied()
    declare(stage, PINNED, deny="one")
    stage.applied()
    before = stage.ask(lambda reader: reader.actual_state().publications["pinned"])
    renamed = resource("Filter", "house", "type: lines, global: true, deny: [one]")
    stage.declare(stage.remote(), renamed, repository("team", *BOTH), PINNED)
    assert not change(stage, "pinned").reason
    stage.applied(prune=True)
    after = stage.ask(lambda reader: reader.actual_state().publications["pinned"])
    assert (after.number, after.digest) == (before.number, before.digest)
    assert status(stage, "pinned") == {"a/one": "house.deny"}


def test_moving_to_another_version_carries_only_what_that_one_holds(stage: Rehearsal) -> None:
    declare(stage, PINNED)
    stage.applied()
    stage.says("a", stage.file("two"), validator="2")
    stage.says("d", stage.file("five"), validator="1")
    declare(stage, PINNED, deny="one, five")
    stage.applied()
    stage.says("e", stage.file("six"), validator="1")
    declare(stage, publication("pinned", more="version: latest"), deny="one, five")
    assert rows(stage, "pinned") == []
    stage.applied()
    assert (shown(stage, "pinned"), status(stage, "pinned")) == (["a/two", "b/three", "e/six"], {})
    declare(stage, PINNED, deny="one, five")
    assert rows(stage, "pinned") == ["- a/one rules.deny"]
    stage.applied()
    assert (shown(stage, "pinned"), status(stage, "pinned")) == (
        ["a/two", "b/three"],
        {"a/one": "rules.deny"},
    )


class Shy(LineSource):
    """A source that by default does not even take what it has been told to take here."""

    skip: tuple[str, ...] = ("one",)


class Needy(LineSource):
    """A source that cannot be without one of its keys."""

    upstream: str


@pytest.mark.parametrize("options", [Shy, Needy])
def test_what_a_sources_own_keys_do_by_default_withholds_nothing(
    options: type[LineSource], stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.registry.importer("lines").cls, "options", options)
    base = repository(
        "team", "remote: {name: up, upstream: up, skip: []}", "upload: {upstream: none}"
    )
    declare(stage, PINNED, base=base)
    stage.applied()
    declare(stage, PINNED, base=base, deny="three")
    assert rows(stage, "pinned") == ["- b/three rules.deny"]
    declare(stage, PINNED, base=base, deny="one")
    assert rows(stage, "pinned") == ["- a/one rules.deny"]


class TestRecalling:
    """Filters may ask for what only the bytes of a unit tell."""

    @pytest.fixture(autouse=True)
    def by_bytes(self, stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """`deny` means bytes: what a unit's artifact says."""
        line, recalled = stage.registry.content_type(LINE), []

        def recall(unit: Any, filters: Sequence[Any], read: Any) -> Any:
            recalled.append(unit.key)
            assert read("no such path") is None
            said = read(unit.artifacts[0].path)
            return type(unit)(
                unit.type,
                unit.key,
                {**unit.metadata, "_says": said.decode() if said is not None else None},
                unit.artifacts,
            )

        def select(
            group: str, units: Sequence[Any], options: Any, filters: Sequence[Any], now: Any
        ) -> list[Decision]:
            denied = {word for filter_ in filters for word in filter_.options.deny}
            return [
                Decision(
                    unit,
                    unit.metadata.get("_says") not in denied,
                    f"says {unit.metadata.get('_says')}",
                )
                for unit in units
            ]

        monkeypatch.setattr(line, "recall", classmethod(lambda cls, *given: recall(*given)))
        monkeypatch.setattr(line, "select", select)
        return recalled

    def test_of_what_publications_show(self, stage: Rehearsal, by_bytes: list[str]) -> None:
        stage.says("a", stage.file("one", b"good"), stage.file("two", b"bad"), validator="2")
        base = repository(
            "team", more="sync: {mode: additive}"
        )  # of a mirror the sync has the word, with what its importer has read
        declare(stage, PINNED, base=base)
        stage.applied()
        assert by_bytes == [], "no filter, no question"
        declare(stage, PINNED, base=base, deny="bad")
        assert rows(stage, "pinned") == ["- a/two says bad"]
        stage.applied()
        assert shown(stage, "pinned") == ["a/one", "b/three"]

    def test_of_what_is_uploaded(self, stage: Rehearsal) -> None:
        declare(stage, publication(), deny="bad")
        stage.applied()
        with pytest.raises(Denied, match="says bad"):
            stage.upload("sent", b"bad")
        stage.upload("sent", b"good")
        assert "uploads/sent" in shown(stage)

    def test_of_what_is_copied(self, stage: Rehearsal) -> None:
        stage.says("a", stage.file("one", b"good"), stage.file("two", b"bad"), validator="2")
        declare(stage, publication(), repository("copy", copy()))
        stage.applied()
        own = resource("Filter", "own", "type: lines, deny: [bad]")
        declare(stage, own, publication(), repository("copy", copy(), more="filters: [own]"))
        stage.applied()
        assert stage.held("copy") == ["a/one", "b/three"]

    def test_a_copy_is_decided_again_once_the_bytes_are_there(self, stage: Rehearsal) -> None:
        stage.says("a", stage.file("one", b"good"), stage.file("two", b"bad"), validator="2")
        declare(
            stage,
            resource("Filter", "own", "type: lines, deny: [bad]"),
            publication(),
            repository("copy", copy(), more="filters: [own]"),
        )
        stage.applied()
        stage.applied()
        assert stage.held("copy") == ["a/one", "b/three"]
        assert stage.settled()


def test_a_content_type_that_cannot_decide_leaves_what_is_shown(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(stage, PINNED)
    stage.applied()
    declare(stage, PINNED, deny="one")
    base = repository("team", more="sync: {mode: additive}")
    declare(stage, PINNED, base=base, deny="one")

    def select(*given: Any) -> list[Decision]:
        raise ZeroDivisionError("no")

    with monkeypatch.context() as patched:
        patched.setattr(stage.registry.content_type(LINE), "select", select)
        found = change(stage, "pinned")
        assert found.refusal.startswith(
            "what filters say of it is not known: `select` for publication/pinned failed:"
            " ZeroDivisionError: no"
        )
        assert stage.apply().failed
    assert shown(stage, "pinned") == ["a/one", "a/two", "b/three"]
    stage.applied()
    assert shown(stage, "pinned") == ["a/two", "b/three"]


def test_an_export_leaves_it_out_and_shows_it_again(stage: Rehearsal) -> None:
    exported = publication("pinned", more="version: 1, exports: [{directory: {path: public}}]")
    public = stage.folder / "public"

    def files() -> list[str]:
        return sorted(
            str(path.relative_to(public))
            for path in public.rglob("*")
            if path.is_file() and path.name != "index"
        )

    declare(stage, exported)
    stage.applied()
    whole = files()
    declare(stage, exported, deny="one")
    stage.applied()
    assert [name for name in whole if name not in files()] == ["a/one"]
    declare(stage, exported)
    stage.applied()
    assert files() == whole
