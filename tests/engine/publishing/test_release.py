"""One publication is released: rendered, completed, pointed to and exported, under its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Writer
from reconciler.engine.publishing import exports
from reconciler.engine.publishing import release as module
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy, release_target
from reconciler.engine.publishing.render import render
from reconciler.engine.run import checkpoints
from reconciler.engine.run.checkpoints import Checkpoint, listen
from reconciler.engine.run.lease import HeldLease
from reconciler.errors import Conflict, GuardRefusal, LeaseHeld, StateFault
from reconciler.model import ActualPublication, Filter, Guard, IdentifiedUnit
from tests.support import databases
from tests.support.databases import NOW, a_unit, database
from tests.support.engine_states import (
    FakeRegistry,
    a_publication,
    a_repository,
    a_source,
    desired,
    rules,
    writing_session,
)


@dataclass
class Site:
    """A repository `team` in a database, and what is declared about its publication."""

    folder: Path
    writer: Writer
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    filters: tuple[Filter, ...] = ()
    guard: Guard | None = None
    how: dict[str, Any] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def change(self, *keys: str, leaves: tuple[IdentifiedUnit, ...] = ()) -> None:
        """`group/key` of each unit that comes in."""
        id_ = self.writer.actual_state().repositories["team"].id
        databases.change(self.writer, id_, joins=[unit(key) for key in keys], leaves=leaves)

    @property
    def publication(self) -> Any:
        return a_publication("team", **self.how)

    def policy(self) -> ReleasePolicy:
        names = tuple(filter_.meta.name for filter_ in self.filters)
        repository = a_repository("team", a_source("up"), filters=names)
        return ReleasePolicy(desired(repository, self.publication, *self.filters), guard=self.guard)

    def session(self) -> Any:
        return writing_session(self.folder, self.writer, registry=self.registry)

    def release(self) -> str:
        actual = self.writer.actual_state()
        return asyncio.run(
            release_publication(self.session(), self.publication, actual, policy=self.policy())
        )

    @property
    def current(self) -> ActualPublication:
        return self.writer.actual_state().publications["team"]

    def served(self) -> list[str]:
        return sorted(
            entry.path for entry in self.writer.all_entries(self.current.id, self.current.number)
        )

    def exported(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file()
        )


def unit(path: str) -> IdentifiedUnit:
    group, _, key = path.partition("/")
    return a_unit(group, key)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(checkpoints, "_listeners", [])
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_resources([a_repository("team"), a_publication("team")], now=NOW)
        yield Site(tmp_path, writer)


def test_a_version_is_rendered_pointed_to_and_exported_once(site: Site) -> None:
    site.change("a/one", "b/two")
    site.how = {"written": [str(site.out)]}
    steps: list[Checkpoint] = []
    listen(steps.append)
    assert site.release() == f"serves version 1 of team at /team/, exported to {site.out}"
    assert steps == [
        Checkpoint.LEASE_TAKEN,
        *[Checkpoint.PAGE_RENDERED] * 3,
        Checkpoint.PUBLICATION_COMPLETE,
        Checkpoint.POINTER_SET,
        Checkpoint.EXPORT_SWITCHED,
    ]
    assert site.served() == site.exported() == ["a/one", "b/two", "index"]
    assert site.release() == ""
    assert len(site.registry.rendered) == 1


def test_only_groups_that_differ_are_rendered_as_long_as_the_rendering_is_the_same(
    site: Site,
) -> None:
    site.change("a/one", "b/two")
    site.release()
    site.change("c/three", leaves=(unit("b/two"),))
    site.release()
    assert site.served() == ["a/one", "c/three", "index"]
    site.registry.revision = 2
    assert site.release() == "serves version 2 of team at /team/"
    assert site.registry.rendered == [["a", "b"], ["b", "c"], ["a", "c"]]


def test_what_filters_withhold_is_not_served_and_comes_back(site: Site) -> None:
    site.change("a/one", "a/two", "b/three")
    site.release()
    site.filters = (rules("house", deny=("one", "three")),)
    assert site.release() == ("serves version 1 of team at /team/ without 2 that filters withhold")
    assert site.served() == ["a/two", "index"]
    site.filters = (rules("house", deny=("three",)),)
    site.release()
    assert site.served() == ["a/one", "a/two", "index"]
    assert site.registry.rendered == [["a", "b"], ["a", "b"], ["a"]]


def test_new_reasons_alone_render_nothing(site: Site) -> None:
    site.change("a/one", "a/two")
    site.filters = (rules("house", deny=("one",)),)
    site.release()
    site.filters = (rules("other", deny=("one",)),)
    assert site.release() == ""
    withheld = site.writer.withheld(site.current.id, site.current.number)
    assert [row.reason for row in withheld.values()] == ["other.deny"]
    assert len(site.registry.rendered) == 1


def test_the_guard_keeps_what_filters_alone_would_take(site: Site) -> None:
    site.change("a/one", "a/two")
    site.release()
    site.filters, site.guard = (rules("house", deny=("one", "two")),), Guard()
    with pytest.raises(GuardRefusal, match="would lose all of its 2 files"):
        site.release()
    assert site.served() == ["a/one", "a/two", "index"]
    site.guard = None  # confirmed with the plan
    site.release()
    assert site.served() == ["index"]


def test_a_run_that_waited_for_the_lease_does_not_go_back(site: Site) -> None:
    """It decided on version 1; another run has released version 2 when the lease is free."""
    site.change("a/one")
    stale = site.writer.actual_state()
    target = release_target(site.session(), site.publication, stale, policy=site.policy())
    assert target.version.number == 1
    site.change("b/two")
    site.release()
    assert site.current.version == 2
    message = asyncio.run(
        release_publication(site.session(), site.publication, stale, policy=site.policy())
    )
    assert message == ""
    assert site.served() == ["a/one", "b/two", "index"]


def test_a_lost_lease_is_found_before_the_pointer_and_before_each_export(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.change("a/one")
    site.how = {"written": [str(site.out)]}
    steps: list[Checkpoint] = []
    lost_after = Checkpoint.PUBLICATION_COMPLETE
    listen(steps.append)

    def check(self: Any) -> None:
        if steps[-1] is lost_after:
            raise LeaseHeld("the lease was lost")

    monkeypatch.setattr(HeldLease, "check", check)
    with pytest.raises(LeaseHeld):
        site.release()
    assert not site.out.exists()
    assert site.current.number == 0
    lost_after = Checkpoint.POINTER_SET
    with pytest.raises(LeaseHeld):
        site.release()
    assert site.current.number == 1
    assert not site.out.exists()


def test_a_complete_publication_is_only_pointed_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that died between the two left it."""
    site.change("a/one")
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "point", lambda self, id_, number, now: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            site.release()
    site.release()
    assert site.served() == ["a/one", "index"]
    assert len(site.registry.rendered) == 1


@pytest.mark.parametrize(("conflicts", "succeeds"), [(2, True), (3, False)])
def test_a_scratchpad_that_others_wrote_is_rendered_with_again(
    conflicts: int, succeeds: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.change("a/one")
    left = [Conflict("the note moved")] * conflicts

    def rendering(session: Any, target: Any) -> Any:
        if left:
            raise left.pop()
        return render(session, target)

    monkeypatch.setattr(module, "render", rendering)
    if succeeds:
        site.release()
        assert site.served() == ["a/one", "index"]
    else:
        with pytest.raises(Conflict):
            site.release()
        assert site.current.version is None


def test_a_failed_rendering_leaves_what_is_served(site: Site) -> None:
    site.change("a/one")
    site.release()
    site.change("b/two")

    def fail(conduit: Any) -> None:
        raise RuntimeError("out of ink")

    site.registry.on_publish = fail
    with pytest.raises(Exception, match=r"publisher `test` of publication/team failed: .*ink"):
        site.release()
    assert site.served() == ["a/one", "index"]


def test_a_version_that_does_not_exist_is_named(site: Site) -> None:
    site.how = {"version": 7}
    with pytest.raises(StateFault, match="repository `team` has no version `7`"):
        site.release()


def test_an_export_that_broke_off_is_built_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its marker went before its tree was touched, so nothing vouches for what is left of it."""
    site.change("a/one")
    site.how = {"written": [str(site.out)]}
    site.release()
    site.change("b/two")
    site.release()  # both trees exist now
    site.change("c/three", leaves=(unit("a/one"),))
    with monkeypatch.context() as patched:
        patched.setattr(exports, "_flush", lambda tree: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            site.release()
    assert site.exported() == ["a/one", "b/two", "index"], "what is shown stays whole"
    markers = sorted(path.name for path in (site.folder / ".out.export").glob("*.json"))
    assert len(markers) == 1
    site.release()
    assert site.exported() == ["b/two", "c/three", "index"]


def test_a_target_is_served_once_every_export_shows_it(site: Site) -> None:
    site.change("a/one")
    site.release()
    site.how = {"written": [str(site.out)]}
    target = release_target(
        site.session(), site.publication, site.writer.actual_state(), policy=site.policy()
    )
    assert (target.differs, target.served) == (False, False)
    assert replace(target, publication=a_publication("team")).served
    assert site.release() == f"exported to {site.out}"
