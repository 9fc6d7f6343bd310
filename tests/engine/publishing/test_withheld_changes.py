"""Withheld units: costs, guards, uploads and removals by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Denied, Refused
from reconciler.plugin import Decision, StoredUnit, UploadConduit
from tests.engine.publishing.withheld import (
    BOTH,
    PINNED,
    change,
    declare,
    shown,
    status,
    two_groups,
)
from tests.support.rehearsal import (
    Rehearsal,
    publication,
    repository,
    rules,
)
from tests.support.scripted_plugins import LINE


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as stage:
        yield stage


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
