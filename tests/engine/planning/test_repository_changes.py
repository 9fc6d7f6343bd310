"""The content of repositories in a plan: guarded, in the order of copies, each failing alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from reconciler.engine.planning import repository_changes
from reconciler.engine.planning.repository_changes import RepositoryPlanner
from reconciler.errors import StateFault
from reconciler.model import ActualRepository, ActualState, Digest, Kind, Ref, Repository
from reconciler.plan import ADD, REMOVE, Action, ChangeLine, ContentChanges, ResourceChange
from tests.support.databases import NOW
from tests.support.engine_states import a_repository, copy_of, desired, planned
from tests.support.plans import changed, content

UNITS = 20


def lines(op: str, count: int) -> ContentChanges:
    digest = Digest.of(b"unit")
    changes = [ChangeLine(op, "test.file", f"file-{number}", digest) for number in range(count)]
    return content([changed(*changes)] if changes else [], units=UNITS)


@dataclass
class Resolutions:
    """Stands in for `resolve`.

    Attributes:
        contents: What comes of repositories, by name.
        copied: The planned content that each resolution was given.
        approved: Repositories that were resolved with an approval of guarded removals.
    """

    contents: dict[str, ContentChanges | Exception] = field(default_factory=dict)
    copied: dict[str, list[str]] = field(default_factory=dict)
    approved: list[str] = field(default_factory=list)

    async def resolve(
        self,
        session: Any,
        repository: Repository,
        state: Any,
        *,
        others: Any,
        allow_destroy: bool,
        former: Any,
    ) -> ContentChanges:
        name = repository.meta.name
        await asyncio.sleep(0)
        self.copied[name] = sorted(others.planned)
        if allow_destroy:
            self.approved.append(name)
        result = self.contents.get(name, lines(ADD, 1))
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def resolutions(monkeypatch: pytest.MonkeyPatch) -> Resolutions:
    stand_in = Resolutions()
    monkeypatch.setattr(repository_changes, "resolve", stand_in.resolve)
    return stand_in


def plan(
    *repositories: Repository,
    allow_destroy: bool = False,
    refusals: Mapping[str, str] | None = None,
) -> dict[str, ResourceChange]:
    """Plan repositories that are at version 3 with UNITS units."""
    refused = refusals or {}
    names = [repository.meta.name for repository in repositories]
    specs = {
        Ref(Kind.REPOSITORY, name): planned(
            Kind.REPOSITORY, name, Action.NO_OP, refusal=refused.get(name, "")
        )
        for name in names
    }
    actual = ActualState(
        repositories={
            name: ActualRepository(1, name, 3, Digest.of(b"version"), UNITS) for name in names
        }
    )
    session: Any = SimpleNamespace(now=NOW)
    planner = RepositoryPlanner(
        session, desired(*repositories), actual, changes=specs, allow_destroy=allow_destroy
    )
    return asyncio.run(planner.plan_all())


@pytest.mark.parametrize(("removals", "refused"), [(6, False), (7, True)])
def test_more_removals_than_the_guard_lets_pass_are_refused(
    removals: int, refused: bool, resolutions: Resolutions
) -> None:
    resolutions.contents["team"] = lines(REMOVE, removals)
    assert bool(plan(a_repository("team"))["team"].refusal) is refused
    assert resolutions.approved == []
    assert plan(a_repository("team"), allow_destroy=True)["team"].refusal == ""
    assert resolutions.approved == ["team"]


@pytest.mark.parametrize(("left", "approves"), [(timedelta(seconds=1), True), (timedelta(), False)])
def test_a_manifest_approves_of_its_own_removals_until_a_moment(
    left: timedelta, approves: bool, resolutions: Resolutions
) -> None:
    resolutions.contents |= {name: lines(REMOVE, UNITS) for name in ("team", "other")}
    team = msgspec.structs.replace(a_repository("team"), removals_until=NOW + left)
    changes = plan(team, a_repository("other"))
    assert bool(changes["team"].refusal) is not approves
    assert changes["other"].refusal
    assert resolutions.approved == (["team"] if approves else [])


def test_a_copy_is_resolved_with_what_its_base_will_hold(resolutions: Resolutions) -> None:
    changes = plan(a_repository("a-copy", copy_of("base")), a_repository("base"))
    assert resolutions.copied == {"a-copy": ["base"], "base": []}
    assert [change.version for change in changes.values()] == [(3, 4), (3, 4)]
    assert {change.action for change in changes.values()} == {Action.UPDATE}


def test_a_copy_is_not_given_what_a_guard_refused(resolutions: Resolutions) -> None:
    resolutions.contents["base"] = lines(REMOVE, UNITS)
    changes = plan(a_repository("a-copy", copy_of("base")), a_repository("base"))
    assert resolutions.copied["a-copy"] == []
    assert changes["base"].refusal


def test_a_refused_specification_is_not_resolved(resolutions: Resolutions) -> None:
    change = plan(a_repository("team"), refusals={"team": "its plugin says no"})["team"]
    assert resolutions.copied == {}
    assert (change.refusal, change.version) == ("its plugin says no", (3, 3))
    assert change.content is not None
    assert change.content.units == UNITS


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StateFault("the database is away"), "the database is away"),
        (ZeroDivisionError("oops"), "cannot be resolved: ZeroDivisionError: oops"),
    ],
)
def test_a_repository_that_cannot_be_resolved_fails_alone(
    error: Exception, message: str, resolutions: Resolutions
) -> None:
    resolutions.contents["bad"] = error
    changes = plan(a_repository("bad"), a_repository("good"))
    assert changes["bad"].content is not None
    [failure] = changes["bad"].content.failures
    assert failure.message.startswith(message)
    assert failure.group is None
    assert changes["bad"].action is Action.NO_OP
    assert changes["good"].action is Action.UPDATE


def test_bytes_that_were_left_upstream_come_without_a_new_version(
    resolutions: Resolutions,
) -> None:
    nothing = lines(ADD, 0)
    resolutions.contents["team"] = replace(nothing, counts=replace(nothing.counts, download=5))
    change = plan(a_repository("team"))["team"]
    assert (change.action, change.version) == (Action.UPDATE, (3, 3))
