"""What filters refuse is not served, wherever it came from: publications leave it out although
their versions hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Denied, Refused
from reconciler.model import Kind
from reconciler.plan import ResourceChange
from reconciler.plugin import Decision, StoredUnit, UploadConduit
from tests.support.rehearsal import (
    LINE,
    NOW,
    LineSource,
    Rehearsal,
    copy,
    publication,
    rehearsal,
    repository,
    resource,
    rules,
    source,
)

BOTH = ("remote: {name: up}", "upload: {}")
PINNED = publication("pinned", more="version: 1")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as stage:
        stage.says("a", stage.file("one"), stage.file("two"), validator="1")
        stage.says("b", stage.file("three"), validator="1")
        yield stage


def declare(stage: Rehearsal, *more: str, deny: str = "", base: str = "") -> None:
    """A mirror with uploads, and what is said about it. `deny`: keys; `base`: the repository, if it
    is another.
    """
    filters = [rules(f"deny: [{deny}]")] if deny else []
    stage.declare(
        stage.remote(),
        *filters,
        base or repository("team", *BOTH),
        *(more or (publication(), PINNED)),
    )


def change(stage: Rehearsal, name: str, **how: Any) -> ResourceChange:
    [found] = [
        change
        for change in stage.plan(**how).changes
        if change.ref.kind is Kind.PUBLICATION and change.ref.name == name
    ]
    return found


def rows(stage: Rehearsal, name: str = "team", **how: Any) -> list[str]:
    """What a plan says of withheld units: `- group/key reason`, `+ group/key`."""
    withheld = change(stage, name, **how).withheld
    return (
        [
            f"{line.op} {one.head.name}/{line.key} {line.reason}".strip()
            for one in withheld.spool
            for line in one.lines
        ]
        if withheld
        else []
    )


def shown(stage: Rehearsal, name: str = "team") -> list[str]:
    """Paths that are served, without the index."""

    def of(reader: Any) -> list[str]:
        state = reader.actual_state().publications[name]
        return [
            entry.path for entry in reader.all_entries(state.id, state.number) if not entry.page
        ]

    found: list[str] = stage.ask(of)
    return found


def status(stage: Rehearsal, name: str = "team") -> dict[str, str]:
    """What is recorded as withheld, with the reasons."""

    def of(reader: Any) -> dict[str, str]:
        state = reader.actual_state().publications[name]
        found = reader.withheld(state.id, state.number)
        assert state.verdict.units == len(found)
        return {f"{one.group}/{one.key}": one.reason for one in found.values()}

    found: dict[str, str] = stage.ask(of)
    return found


def moved(stage: Rehearsal, name: str = "team") -> list[str]:
    """Paths that the last publication changed."""

    def of(reader: Any) -> list[str]:
        state = reader.actual_state().publications[name]
        return sorted(
            {
                one.entry.path
                for one in reader.entries_between(state.id, state.number - 1, state.number)
            }
        )

    found: list[str] = stage.ask(of)
    return found


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


class TestCosts:
    """Nobody is asked about what cannot have changed."""

    def test_an_apply_with_nothing_to_do_asks_about_nothing(self, stage: Rehearsal) -> None:
        declare(stage)
        stage.applied()
        stage.upload("sent", b"sent")
        declare(stage, deny="one, sent")
        stage.applied()
        stage.script.forget()
        stage.applied()
        assert stage.script.decided == []

    def test_what_the_run_has_decided_itself_is_not_asked_about_again(
        self, stage: Rehearsal
    ) -> None:
        declare(stage, publication(), deny="one")
        stage.applied()
        assert sorted(stage.script.decided) == ["a", "b"], "once each, by the sync"
        stage.upload("sent", b"sent")
        stage.script.forget()
        declare(stage, publication(), deny="two")
        stage.applied()
        assert sorted(stage.script.decided) == [
            "a",
            "b",
            "uploads",
            "uploads",
        ], "the sync's, and uploads while planning and publishing"

    def test_only_groups_that_differ_are_asked_about(self, stage: Rehearsal) -> None:
        base = repository("team", more="sync: {mode: additive}")
        declare(stage, publication(), base=base, deny="one")
        stage.applied()
        stage.says("b", stage.file("three"), stage.file("four"), validator="2")
        stage.script.forget()
        stage.applied()
        assert stage.script.decided == ["b", "b"], "by the sync, and for what is published"


class TestGuards:
    """What filters take from what is served counts as removed."""

    def site(self, stage: Rehearsal, deny: str = "") -> None:
        base = repository("team", *BOTH, removals="1")
        declare(stage, publication(), PINNED, base=base, deny=deny)

    def test_too_much_is_refused_everywhere_and_passes_with_the_flag(
        self, stage: Rehearsal
    ) -> None:
        self.site(stage)
        stage.applied()
        stage.upload("sent", b"sent")
        self.site(stage, "one, three, sent")
        refusals = [change(stage, name, destroy=False).refusal for name in ("team", "pinned")]
        assert refusals[0].startswith(
            "publication `team` would lose 3 of its 4 lines (75%), more than `guard.maxRemovals`"
            " (1) of repository `team`"
        )
        assert refusals[1].startswith("publication `pinned` would lose 2 of its 3 lines (67%)")
        report = stage.apply(destroy=False)
        assert {
            outcome.ref: outcome.result
            for outcome in report.outcomes
            if "team" in outcome.ref or "pinned" in outcome.ref
        } == dict.fromkeys(["repository/team", "publication/team", "publication/pinned"], "failed")
        assert shown(stage) == ["a/one", "a/two", "b/three", "uploads/sent"]
        assert not stage.plan(destroy=True).failed
        stage.applied()
        assert (shown(stage), shown(stage, "pinned")) == (["a/two"], ["a/two"])

    def test_as_much_as_the_guard_lets_pass_passes(self, stage: Rehearsal) -> None:
        self.site(stage)
        stage.applied()
        self.site(stage, "one")
        stage.applied(destroy=False)
        assert shown(stage, "pinned") == ["a/two", "b/three"]
        self.site(stage, "one, two")
        stage.applied(destroy=False)
        assert shown(stage, "pinned") == ["b/three"], "one more is one"

    def test_down_to_empty_is_refused(self, stage: Rehearsal) -> None:
        declare(stage, PINNED)
        stage.applied()
        declare(stage, PINNED, deny="one, two, three")
        assert (
            change(stage, "pinned", destroy=False).refusal
            == "publication `pinned` would lose all of its 3 lines: filters withhold them"
        )

    def test_an_upload_does_not_do_what_the_guard_has_refused(self, stage: Rehearsal) -> None:
        self.site(stage)
        stage.applied()
        for name in ("sent", "meant"):
            stage.upload(name, name.encode())
        self.site(stage, "sent, meant")
        assert stage.apply(destroy=False).failed
        taken = stage.upload("harmless", b"harmless")
        assert taken.shown == ()
        [delayed] = taken.delayed
        assert (
            "publication `team` does not show it yet: publication `team` would lose 2 of its 5"
            " lines" in delayed
        )
        assert "uploads/sent" in shown(stage)
        stage.applied()
        assert "uploads/harmless" in shown(stage)


class TestUploads:
    """A file that a filter refuses does not come in."""

    def test_it_is_refused_with_the_reason_and_nothing_is_recorded(self, stage: Rehearsal) -> None:
        declare(stage, publication(), deny="sent")
        stage.applied()
        with pytest.raises(Denied, match=r"`sent` is refused: rules\.deny"):
            stage.upload("sent", b"sent")
        assert (stage.number(), stage.has(b"sent")) == (1, False)

    def test_the_source_speaks_first_and_is_no_filter(self, stage: Rehearsal) -> None:
        declare(
            stage,
            publication(),
            base=repository("team", "remote: {name: up}", "upload: {skip: [sent]}"),
            deny="sent",
        )
        stage.applied()
        with pytest.raises(Refused, match="skipped") as refusal:
            stage.upload("sent", b"sent")
        assert not isinstance(refusal.value, Denied)

    def test_time_does_not_concern_uploads(self, stage: Rehearsal) -> None:
        stage.declare(
            stage.remote(), rules("later: [sent]"), repository("team", *BOTH), publication()
        )
        stage.applied()
        stage.upload("sent", b"sent")
        assert "uploads/sent" in shown(stage)

    def test_it_is_judged_among_what_was_uploaded_before(
        self, stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A rule that compares: only the last key of the alphabet is let in."""

        def select(
            group: str, units: Sequence[Any], options: Any, filters: Sequence[Any], now: Any
        ) -> list[Decision]:
            last = max(unit.key for unit in units)
            return [
                Decision(unit, not filters or unit.key == last, "not the last") for unit in units
            ]

        monkeypatch.setattr(stage.registry.content_type(LINE), "select", select)
        stage.declare(rules("deny: []"), repository("team", "upload: {}"), publication())
        stage.applied()
        stage.upload("b", b"b")
        with pytest.raises(Denied, match="not the last"):
            stage.upload("a", b"a")
        stage.upload("c", b"c")
        assert (shown(stage), status(stage)) == (["uploads/c"], {"uploads/b": "not the last"})


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


def test_a_stored_unit_is_removed_by_hand_although_it_is_withheld(stage: Rehearsal) -> None:
    declare(stage, publication())
    stage.applied()
    stage.upload("sent", b"sent")
    declare(stage, publication(), deny="sent")
    stage.applied()
    given: list[StoredUnit] = []

    def remove(conduit: UploadConduit, units: Sequence[StoredUnit]) -> Sequence[StoredUnit]:
        given.extend(units)
        return units

    stage.script.on_remove = remove
    stage.remove("sent")
    assert [one.key for one in given] == ["sent"]
    assert (stage.held(), status(stage)) == (["a/one", "a/two", "b/three"], {})
    assert stage.settled()
