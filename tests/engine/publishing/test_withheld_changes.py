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
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


class TestCosts:
    """Nobody is asked about what cannot have changed."""

    def test_an_apply_with_nothing_to_do_asks_about_nothing(self, site: Rehearsal) -> None:
        declare(site)
        site.applied()
        site.upload("sent", b"sent")
        declare(site, deny="one, sent")
        site.applied()
        site.script.forget()
        site.applied()
        assert site.script.decided == []

    @pytest.mark.parametrize(("grace", "dropped"), [("0s", []), ("10m", ["a", "a"])])
    def test_what_the_run_has_decided_itself_is_not_asked_about_again(
        self, grace: str, dropped: list[str], site: Rehearsal
    ) -> None:
        """Ask again only about a dropped file that could linger.

        `dropped`: once with its filter and once without, to know whose refusal it is.
        """
        served = publication(more=f"grace: {grace}")
        declare(site, served, deny="one")
        site.applied()
        assert sorted(site.script.decided) == ["a", "b"], "once each, by the sync"
        site.upload("sent", b"sent")
        site.script.forget()
        declare(site, served, deny="two")
        site.applied()
        assert sorted(site.script.decided[:4]) == [
            "a",
            "b",
            "uploads",
            "uploads",
        ], "the sync's, and uploads while planning and publishing"
        assert site.script.decided[4:] == dropped
        assert shown(site) == ["a/one", "b/three", "uploads/sent"]

    def test_only_groups_that_differ_are_asked_about(self, site: Rehearsal) -> None:
        base = repository("team", more="sync: {mode: additive}")
        declare(site, publication(), base=base, deny="one")
        site.applied()
        site.says("b", site.file("three"), site.file("four"), validator="2")
        site.script.forget()
        site.applied()
        assert site.script.decided == ["b", "b", "b"], (
            "by the sync, in the plan, and when it is published"
        )


class TestGuards:
    """What filters take from what is served counts as removed."""

    def declare_site(self, site: Rehearsal, deny: str = "") -> None:
        base = repository("team", *BOTH, removals="1")
        declare(site, publication(), PINNED, base=base, deny=deny)

    def test_too_much_is_refused_everywhere_and_passes_with_the_flag(self, site: Rehearsal) -> None:
        self.declare_site(site)
        site.applied()
        site.upload("sent", b"sent")
        self.declare_site(site, "one, three, sent")
        refusals = [change(site, name, destroy=False).refusal for name in ("team", "pinned")]
        assert refusals[0].startswith(
            "publication `team` would lose 3 of its 4 lines (75%), more than `guard.maxRemovals`"
            " (1) of repository `team`"
        )
        assert refusals[1].startswith("publication `pinned` would lose 2 of its 3 lines (67%)")
        report = site.apply(destroy=False)
        assert {
            outcome.ref: outcome.result
            for outcome in report.outcomes
            if "team" in outcome.ref or "pinned" in outcome.ref
        } == dict.fromkeys(["repository/team", "publication/team", "publication/pinned"], "failed")
        assert shown(site) == ["a/one", "a/two", "b/three", "uploads/sent"]
        assert not site.plan(destroy=True).failed
        site.applied()
        assert (shown(site), shown(site, "pinned")) == (["a/two"], ["a/two"])

    def test_as_much_as_the_guard_lets_pass_passes(self, site: Rehearsal) -> None:
        self.declare_site(site)
        site.applied()
        self.declare_site(site, "one")
        site.applied(destroy=False)
        assert shown(site, "pinned") == ["a/two", "b/three"]
        self.declare_site(site, "one, two")
        site.applied(destroy=False)
        assert shown(site, "pinned") == ["b/three"], "one more is one"

    def test_down_to_empty_is_refused(self, site: Rehearsal) -> None:
        declare(site, PINNED)
        site.applied()
        declare(site, PINNED, deny="one, two, three")
        assert (
            change(site, "pinned", destroy=False).refusal
            == "publication `pinned` would lose all of its 3 lines: filters withhold them"
        )

    def test_an_upload_does_not_do_what_the_guard_has_refused(self, site: Rehearsal) -> None:
        self.declare_site(site)
        site.applied()
        for name in ("sent", "meant"):
            site.upload(name, name.encode())
        self.declare_site(site, "sent, meant")
        assert site.apply(destroy=False).failed
        taken = site.upload("harmless", b"harmless")
        assert taken.shown == ()
        [delayed] = taken.delayed
        assert (
            "publication `team` does not show it yet: publication `team` would lose 2 of its 5"
            " lines" in delayed
        )
        assert "uploads/sent" in shown(site)
        site.applied()
        assert "uploads/harmless" in shown(site)


class TestUploads:
    """A file that a filter refuses does not come in."""

    def test_it_is_refused_with_the_reason_and_nothing_is_recorded(self, site: Rehearsal) -> None:
        declare(site, publication(), deny="sent")
        site.applied()
        with pytest.raises(Denied, match=r"`sent` is refused: rules\.deny"):
            site.upload("sent", b"sent")
        assert (site.number(), site.has(b"sent")) == (1, False)

    def test_the_source_speaks_first_and_is_no_filter(self, site: Rehearsal) -> None:
        declare(
            site,
            publication(),
            base=repository("team", "remote: {name: up}", "upload: {skip: [sent]}"),
            deny="sent",
        )
        site.applied()
        with pytest.raises(Refused, match="skipped") as refusal:
            site.upload("sent", b"sent")
        assert not isinstance(refusal.value, Denied)

    def test_time_does_not_concern_uploads(self, site: Rehearsal) -> None:
        site.declare(
            site.remote(), rules("later: [sent]"), repository("team", *BOTH), publication()
        )
        site.applied()
        site.upload("sent", b"sent")
        assert "uploads/sent" in shown(site)

    def test_it_is_judged_among_what_was_uploaded_before(
        self, site: Rehearsal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A rule that compares: only the last key of the alphabet is let in."""

        def select(
            group: str, units: Sequence[Any], options: Any, filters: Sequence[Any], now: Any
        ) -> list[Decision]:
            last = max(unit.key for unit in units)
            return [
                Decision(unit, not filters or unit.key == last, "not the last") for unit in units
            ]

        monkeypatch.setattr(site.registry.content_type(LINE), "select", select)
        site.declare(rules("deny: []"), repository("team", "upload: {}"), publication())
        site.applied()
        site.upload("b", b"b")
        with pytest.raises(Denied, match="not the last"):
            site.upload("a", b"a")
        site.upload("c", b"c")
        assert (shown(site), status(site)) == (["uploads/c"], {"uploads/b": "not the last"})


def test_a_stored_unit_is_removed_by_hand_although_it_is_withheld(site: Rehearsal) -> None:
    declare(site, publication())
    site.applied()
    site.upload("sent", b"sent")
    declare(site, publication(), deny="sent")
    site.applied()
    given: list[StoredUnit] = []

    def remove(conduit: UploadConduit, units: Sequence[StoredUnit]) -> Sequence[StoredUnit]:
        given.extend(units)
        return units

    site.script.on_remove = remove
    site.remove("sent")
    assert [unit.key for unit in given] == ["sent"]
    assert (site.held(), status(site)) == (["a/one", "a/two", "b/three"], {})
    assert site.settled()
