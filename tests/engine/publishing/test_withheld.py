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
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


def test_one_plan_takes_what_is_denied_out_of_everything_that_is_served(site: Rehearsal) -> None:
    declare(site)
    site.applied()
    site.upload("sent", b"sent")
    declare(site, deny="one, sent")
    assert [(line.op, line.key) for change in site.content().spool for line in change.lines] == [
        ("-", "one")
    ]
    assert rows(site) == ["- uploads/sent rules.deny"]
    assert rows(site, "pinned") == ["- a/one rules.deny"]
    site.applied()
    assert site.settled()
    assert (shown(site), shown(site, "pinned")) == (["a/two", "b/three"], ["a/two", "b/three"])
    assert (status(site), status(site, "pinned")) == (
        {"uploads/sent": "rules.deny"},
        {"a/one": "rules.deny"},
    )
    assert site.held() == ["a/two", "b/three", "uploads/sent"], "an upload stays in the repository"
    answers = site.get("/pinned/a/one", "/team/uploads/sent", "/team/a/two")
    assert [response.status for response in answers] == [404, 404, 200]


def test_what_is_allowed_again_comes_back_and_only_its_groups_are_rendered(
    site: Rehearsal,
) -> None:
    declare(site)
    site.applied()
    site.upload("sent", b"sent")
    declare(site, deny="one, sent, three")
    site.applied()
    assert moved(site, "pinned") == ["a/one", "b/three", "index/"]
    declare(site, deny="three")
    assert (rows(site), rows(site, "pinned")) == (["+ uploads/sent"], ["+ a/one"])
    site.applied()
    assert moved(site, "pinned") == ["a/one"]
    declare(site)
    site.applied(prune=True)
    assert site.settled()
    assert shown(site) == ["a/one", "a/two", "b/three", "uploads/sent"]
    assert (status(site), status(site, "pinned")) == ({}, {})


def test_a_group_of_which_nothing_is_left_is_in_no_index(site: Rehearsal) -> None:
    declare(site)
    site.applied()
    declare(site, deny="three")
    site.applied()
    assert site.get("/pinned/index/")[0].body == b"a"
    fresh = publication("fresh", more="version: 1")  # rendered whole
    declare(site, PINNED, fresh, deny="three")
    assert rows(site, "fresh") == ["- b/three rules.deny"]
    assert change(site, "fresh").refusal == "", "nothing is taken from what was never served"
    site.applied()
    assert site.get("/fresh/index/")[0].body == b"a"
    declare(site, PINNED, fresh)
    site.applied(prune=True)
    assert [response.body for response in site.get("/pinned/index/", "/fresh/index/")] == [
        b"a\nb",
        b"a\nb",
    ]


def test_additive_repositories_keep_what_publications_withhold(site: Rehearsal) -> None:
    base = repository("team", more="sync: {mode: additive}")
    declare(site, publication(), base=base)
    site.applied()
    declare(site, publication(), base=base, deny="one")
    assert rows(site) == ["- a/one rules.deny"]
    site.applied()
    assert (site.number(), site.held()) == (1, ["a/one", "a/two", "b/three"])
    assert (shown(site), status(site)) == (["a/two", "b/three"], {"a/one": "rules.deny"})
    site.says("c", site.file("four"), validator="1")
    site.applied()
    assert (shown(site), status(site)) == (
        ["a/two", "b/three", "c/four"],
        {"a/one": "rules.deny"},
    )
    assert site.settled()


def test_what_a_source_brought_that_is_declared_no_more_is_reached(site: Rehearsal) -> None:
    site.says("x", site.file("left"), name="other")
    base = [site.remote(), site.remote("other")]
    site.declare(
        *base,
        repository("team", source("up"), source("other"), more="sync: {mode: additive}"),
        publication(),
    )
    site.applied()
    site.declare(
        *base,
        rules("deny: [left]"),
        repository("team", source("up"), more="sync: {mode: additive}"),
        publication(),
    )
    site.applied()
    assert "x/left" in site.held()
    assert status(site) == {"x/left": "rules.deny"}


def test_copies_are_reached_when_they_are_pinned_and_when_they_follow(site: Rehearsal) -> None:
    follows = repository("copy", copy())
    pinned = publication("old", of="copy", more="version: 1")
    declare(site, follows, publication("copy", of="copy"), pinned)
    site.applied()
    declare(site, follows, publication("copy", of="copy"), pinned, deny="one")
    assert rows(site, "old") == ["- a/one rules.deny"]
    site.applied()
    assert site.held("copy") == ["a/two", "b/three"]
    assert (shown(site, "copy"), shown(site, "old")) == (
        ["a/two", "b/three"],
        ["a/two", "b/three"],
    )


def test_what_time_alone_changes_is_asked_again_when_it_has_come_and_uploads_do_not_wait(
    site: Rehearsal,
) -> None:
    declare(site, PINNED, publication())
    site.applied()
    site.upload("sent", b"sent")
    site.declare(
        site.remote(),
        rules("later: [one, sent]"),
        repository("team", *BOTH),
        PINNED,
        publication(),
    )
    site.applied()
    assert (status(site, "pinned"), status(site)) == ({"a/one": "rules.later"}, {})
    assert site.settled()
    site.now = NOW + timedelta(days=2)
    assert rows(site, "pinned") == ["+ a/one"]
    site.applied()
    assert status(site, "pinned") == {}
    assert site.settled()


def test_a_publication_has_filters_of_its_own(site: Rehearsal) -> None:
    own = resource("Filter", "own", "type: lines, deny: [three]")
    strict = publication("strict", more="filters: [own]")
    site.declare(site.remote(), own, repository("team", *BOTH), publication(), strict)
    site.applied()
    assert (shown(site), shown(site, "strict")) == (
        ["a/one", "a/two", "b/three"],
        ["a/one", "a/two"],
    )
    site.says("c", site.file("four"), validator="1")
    site.upload("three", b"3")
    assert shown(site, "strict") == [
        "a/one",
        "a/two",
    ], "what is uploaded is told by the repository's filters, and shown by the publication's too"
    site.applied()
    assert shown(site, "strict") == ["a/one", "a/two", "c/four"]
    assert status(site, "strict") == {"b/three": "own.deny", "uploads/three": "own.deny"}
    assert site.settled()


def test_an_unreachable_upstream_does_not_keep_a_deny_from_what_is_served(site: Rehearsal) -> None:
    declare(site)
    site.applied()
    site.script.failing["declare"] = OSError("no answer")
    declare(site, deny="one")
    assert rows(site) == rows(site, "pinned") == ["- a/one rules.deny"]
    assert site.apply().failed
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert shown(site) == shown(site, "pinned") == ["a/two", "b/three"]
    del site.script.failing["declare"]
    site.applied()
    assert (site.held(), status(site), status(site, "pinned")) == (
        ["a/two", "b/three"],
        {},
        {"a/one": "rules.deny"},
    )


def test_other_words_for_the_same_decision_publish_nothing(site: Rehearsal) -> None:
    declare(site, PINNED)
    site.applied()
    declare(site, PINNED, deny="one")
    site.applied()
    before = site.ask(lambda reader: reader.actual_state().publications["pinned"])
    renamed = resource("Filter", "house", "type: lines, global: true, deny: [one]")
    site.declare(site.remote(), renamed, repository("team", *BOTH), PINNED)
    assert not change(site, "pinned").reason
    site.applied(prune=True)
    after = site.ask(lambda reader: reader.actual_state().publications["pinned"])
    assert (after.number, after.digest) == (before.number, before.digest)
    assert status(site, "pinned") == {"a/one": "house.deny"}


def test_moving_to_another_version_carries_only_what_that_one_holds(site: Rehearsal) -> None:
    declare(site, PINNED)
    site.applied()
    site.says("a", site.file("two"), validator="2")
    site.says("d", site.file("five"), validator="1")
    declare(site, PINNED, deny="one, five")
    site.applied()
    site.says("e", site.file("six"), validator="1")
    declare(site, publication("pinned", more="version: latest"), deny="one, five")
    assert rows(site, "pinned") == []
    site.applied()
    assert (shown(site, "pinned"), status(site, "pinned")) == (["a/two", "b/three", "e/six"], {})
    declare(site, PINNED, deny="one, five")
    assert rows(site, "pinned") == ["- a/one rules.deny"]
    site.applied()
    assert (shown(site, "pinned"), status(site, "pinned")) == (
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
    options: type[LineSource], site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.registry.importer("lines").cls, "options", options)
    base = repository(
        "team", "remote: {name: up, upstream: up, skip: []}", "upload: {upstream: none}"
    )
    declare(site, PINNED, base=base)
    site.applied()
    declare(site, PINNED, base=base, deny="three")
    assert rows(site, "pinned") == ["- b/three rules.deny"]
    declare(site, PINNED, base=base, deny="one")
    assert rows(site, "pinned") == ["- a/one rules.deny"]


class TestRecalling:
    """Filters may ask for what only the bytes of a unit tell."""

    @pytest.fixture(autouse=True)
    def by_bytes(self, site: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """`deny` means bytes: what a unit's artifact says."""
        line, recalled = site.registry.content_type(LINE), []

        def load_metadata(unit: Any, filters: Sequence[Any], read: Any) -> Any:
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

        monkeypatch.setattr(
            line, "load_metadata", classmethod(lambda cls, *given: load_metadata(*given))
        )
        monkeypatch.setattr(line, "select", select)
        return recalled

    def test_of_what_publications_show(self, site: Rehearsal, by_bytes: list[str]) -> None:
        site.says("a", site.file("one", b"good"), site.file("two", b"bad"), validator="2")
        base = repository(
            "team", more="sync: {mode: additive}"
        )  # of a mirror the sync has the word, with what its importer has read
        declare(site, PINNED, base=base)
        site.applied()
        assert by_bytes == [], "no filter, no question"
        declare(site, PINNED, base=base, deny="bad")
        assert rows(site, "pinned") == ["- a/two says bad"]
        site.applied()
        assert shown(site, "pinned") == ["a/one", "b/three"]

    def test_of_what_is_uploaded(self, site: Rehearsal) -> None:
        declare(site, publication(), deny="bad")
        site.applied()
        with pytest.raises(Denied, match="says bad"):
            site.upload("sent", b"bad")
        site.upload("sent", b"good")
        assert "uploads/sent" in shown(site)

    def test_of_what_is_copied(self, site: Rehearsal) -> None:
        site.says("a", site.file("one", b"good"), site.file("two", b"bad"), validator="2")
        declare(site, publication(), repository("copy", copy()))
        site.applied()
        own = resource("Filter", "own", "type: lines, deny: [bad]")
        declare(site, own, publication(), repository("copy", copy(), more="filters: [own]"))
        site.applied()
        assert site.held("copy") == ["a/one", "b/three"]

    def test_a_copy_is_decided_again_once_the_bytes_are_there(self, site: Rehearsal) -> None:
        site.says("a", site.file("one", b"good"), site.file("two", b"bad"), validator="2")
        declare(
            site,
            resource("Filter", "own", "type: lines, deny: [bad]"),
            publication(),
            repository("copy", copy(), more="filters: [own]"),
        )
        site.applied()
        site.applied()
        assert site.held("copy") == ["a/one", "b/three"]
        assert site.settled()


def test_a_content_type_that_cannot_decide_leaves_what_is_shown(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(site, PINNED)
    site.applied()
    declare(site, PINNED, deny="one")
    base = repository("team", more="sync: {mode: additive}")
    declare(site, PINNED, base=base, deny="one")

    def select(*given: Any) -> list[Decision]:
        raise ZeroDivisionError("no")

    with monkeypatch.context() as patched:
        patched.setattr(site.registry.content_type(LINE), "select", select)
        found = change(site, "pinned")
        assert found.refusal.startswith(
            "what filters say of it is not known: `select` for publication/pinned failed:"
            " ZeroDivisionError: no"
        )
        assert site.apply().failed
    assert shown(site, "pinned") == ["a/one", "a/two", "b/three"]
    site.applied()
    assert shown(site, "pinned") == ["a/two", "b/three"]


def test_an_export_leaves_it_out_and_shows_it_again(site: Rehearsal) -> None:
    exported = publication("pinned", more="version: 1, exports: [{directory: {path: public}}]")
    public = site.folder / "public"

    def files() -> list[str]:
        return sorted(
            str(path.relative_to(public))
            for path in public.rglob("*")
            if path.is_file() and path.name != "index"
        )

    declare(site, exported)
    site.applied()
    whole = files()
    declare(site, exported, deny="one")
    site.applied()
    assert [name for name in whole if name not in files()] == ["a/one"]
    declare(site, exported)
    site.applied(prune=True)
    assert files() == whole
