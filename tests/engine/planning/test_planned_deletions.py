"""What is pruned, in which order, and what a guard or missing bytes keep."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.engine.planning.planned_deletions import planned_deletions, undeclared
from reconciler.model import (
    ActualRepository,
    ActualResource,
    ActualState,
    Artifact,
    DesiredState,
    Digest,
    Kind,
    Ref,
)
from reconciler.plan import ADD, REFUSE, REMOVE, ChangeLine, ResourceChange
from tests.support.engine_states import a_publication, a_repository, desired, planned
from tests.support.plans import changed, content

FILE, UNIT = Digest.of(b"file"), Digest.of(b"unit")
TEAM = Ref(Kind.REPOSITORY, "team")


def actual(*refs: tuple[Kind, str], guard: Mapping[str, Any] | None = None) -> ActualState:
    """Recorded resources; repositories hold one unit in version 2."""
    resources = {
        Ref(*ref): ActualResource(Ref(*ref), {}, {}, {"guard": guard} if guard else {})
        for ref in refs
    }
    repositories = {
        ref.name: ActualRepository(number, ref.name, 2, Digest.of(b""), 1)
        for number, ref in enumerate(resources)
        if ref.kind is Kind.REPOSITORY
    }
    return ActualState(resources, repositories)


@dataclass
class OnlyFrom:
    """A reader: by version, the artifacts that only the remotes that go have."""

    versions: Mapping[int, Mapping[Digest, set[Digest]]] = field(default_factory=dict)

    def only_from(
        self, remotes: Sequence[str], id_: int, number: int, *, others: Collection[str]
    ) -> Any:
        return dict(self.versions.get(number, {}))


def deletions(
    state: DesiredState,
    recorded: ActualState,
    *changes: ResourceChange,
    reader: OnlyFrom | None = None,
    allow_destroy: bool = False,
) -> dict[str, str]:
    """The refusal of each deletion, empty where it goes."""
    session: Any = SimpleNamespace(reader=reader or OnlyFrom())
    planned_ = asyncio.run(
        planned_deletions(
            session,
            state,
            recorded,
            changes={change.ref: change for change in changes},
            allow_destroy=allow_destroy,
        )
    )
    return {str(deletion.ref): deletion.refusal for deletion in planned_}


def test_publications_go_before_repositories_and_those_before_what_feeds_them() -> None:
    recorded = actual(
        (Kind.REMOTE, "up"),
        (Kind.REPOSITORY, "b"),
        (Kind.FILTER, "rules"),
        (Kind.REPOSITORY, "a"),
        (Kind.PUBLICATION, "shown"),
        (Kind.REPOSITORY, "kept"),
    )
    assert [str(ref) for ref in undeclared(desired(a_repository("kept")), recorded)] == [
        "publication/shown",
        "repository/a",
        "repository/b",
        "filter/rules",
        "remote/up",
    ]


def test_a_guard_that_keeps_one_keeps_all() -> None:
    recorded = actual((Kind.PUBLICATION, "shown"), (Kind.REPOSITORY, "team"))
    refusals = deletions(desired(), recorded)
    assert "with all its versions" in refusals["repository/team"]
    assert refusals["publication/shown"] == (
        "publication/shown stays as long as repository/team does"
    )
    assert set(deletions(desired(), recorded, allow_destroy=True).values()) == {""}
    guarded = actual((Kind.REPOSITORY, "team"), guard={"preventDestroy": True})
    assert deletions(desired(), guarded, allow_destroy=True)["repository/team"]


def team(*lines: ChangeLine, refusal: str = "") -> ResourceChange:
    return planned(
        Kind.REPOSITORY, "team", content=content([changed(*lines)]), version=(2, 3), refusal=refusal
    )


def line(op: str, *, url: str = "") -> ChangeLine:
    artifacts = [Artifact("file", FILE.hex, 1, url)]
    return ChangeLine(op, "test.file", "unit", UNIT, artifacts=artifacts)


ELSEWHERE = "https://other.example.org/file"
NEEDED = {2: {FILE: {UNIT}}}
RECORDED = actual((Kind.REMOTE, "up"), (Kind.REPOSITORY, "team"))


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (team(), True),
        (team(line(REMOVE)), False),  # the version no longer holds it
        (team(line(REMOVE), refusal="too many"), True),
        (team(line(ADD, url=ELSEWHERE)), False),  # another source has it
        (team(line(ADD)), True),
        (team(line(REFUSE, url=ELSEWHERE)), True),
    ],
)
def test_a_remote_that_alone_has_needed_bytes_is_kept(
    change: ResourceChange, refused: bool
) -> None:
    state = desired(a_repository("team"))
    refusals = deletions(state, RECORDED, change, reader=OnlyFrom(NEEDED))
    assert ("1 file of repository `team`" in refusals["remote/up"]) is refused
    allowed = deletions(state, RECORDED, change, reader=OnlyFrom(NEEDED), allow_destroy=True)
    assert allowed["remote/up"] == ""


@pytest.mark.parametrize(("version", "refused"), [(1, True), ("latest", False)])
def test_bytes_of_a_version_that_a_publication_is_pinned_to_are_needed(
    version: str | int, refused: bool
) -> None:
    state = desired(a_repository("team"), a_publication("old", version=version))
    shown = planned(Kind.PUBLICATION, "old", version=(1, 1 if version == 1 else 3))
    reader = OnlyFrom({1: {FILE: {UNIT}}})
    refusals = deletions(state, RECORDED, team(), shown, reader=reader)
    assert bool(refusals["remote/up"]) is refused
