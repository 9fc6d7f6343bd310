"""What is pruned, in which order, and what a guard or missing bytes keep."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.database import ArtifactOrigin
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

    def origins_of(self, digests: Any) -> Any:
        return {digest: [ArtifactOrigin("up", "https://example.org/")] for digest in digests}


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


REPOSITORY, PUBLICATION, FILTER, REMOTE = (
    Kind.REPOSITORY,
    Kind.PUBLICATION,
    Kind.FILTER,
    Kind.REMOTE,
)


def takes(*remotes: str, copies: str = "", **more: Any) -> dict[str, Any]:
    sources: list[dict[str, Any]] = [{"remote": {"name": name}} for name in remotes]
    return {"sources": sources + ([{"repository": {"name": copies}}] if copies else []), **more}


GUARDED: dict[str, Any] = {"guard": {"preventDestroy": True}, "type": "python"}
SITE: dict[tuple[Kind, str], dict[str, Any]] = {
    (PUBLICATION, "shown"): {"repository": "team", "path": "t/simple"},
    (PUBLICATION, "other"): {"repository": "other", "filters": ["lone"]},
    (PUBLICATION, "of-copy"): {"repository": "copy"},
    (REPOSITORY, "team"): takes("up", filters=["house"], **GUARDED),
    (REPOSITORY, "copy"): takes("side", copies="team"),
    (REPOSITORY, "other"): takes("up", "away"),
    (FILTER, "house"): {},
    (FILTER, "everywhere"): {"global": True, "type": "python"},
    (FILTER, "lone"): {},
    (REMOTE, "up"): {},
    (REMOTE, "side"): {},
    (REMOTE, "away"): {},
}


def test_a_refusal_keeps_its_own_subject_only_and_says_by_which_relation() -> None:
    """The guarded repository stays, what shows and copies it, and what all of these need."""
    refusals = deletions(desired(a_repository("declared")), recorded(SITE), allow_destroy=True)
    assert {ref: reason for ref, reason in refusals.items() if reason} == {
        "repository/team": (
            "repository `team` would be removed, and its `guard.preventDestroy` forbids that"
        ),
        "publication/shown": (
            "publication/shown stays: it shows repository/team, which stays; without it, clients"
            " would find nothing at `/t/simple/`"
        ),
        "repository/copy": "repository/copy stays: it copies from repository/team, which stays",
        "publication/of-copy": (
            "publication/of-copy stays: it shows repository/copy, which stays; without it, clients"
            " would find nothing at `/of-copy/`"
        ),
        "remote/up": "remote/up stays: repository/team, which stays, takes content from it",
        "remote/side": "remote/side stays: repository/copy, which stays, takes content from it",
        "filter/house": "filter/house stays: repository/team, which stays, is filtered by it",
        "filter/everywhere": (
            "filter/everywhere stays: repository/team, which stays, is filtered by it"
        ),
    }
    assert {ref for ref, reason in refusals.items() if not reason} == {
        "publication/other",
        "repository/other",
        "filter/lone",
        "remote/away",
    }


def test_a_publication_goes_alone_once_its_repository_is_declared_again() -> None:
    """The refusal advises it: a manifest keeps the repository then, and no guard."""
    state = desired(a_repository("team"), a_repository("declared"))
    refusals = deletions(state, recorded(SITE), allow_destroy=True)
    assert (refusals["publication/shown"], "repository/team" in refusals) == ("", False)


def test_a_refused_change_keeps_what_its_recorded_state_needs() -> None:
    """The manifest takes content from elsewhere, but that is refused: its old remote stays."""
    site = recorded({(REPOSITORY, "team"): takes("up"), (REMOTE, "up"): {}, (REMOTE, "away"): {}})
    change = planned(REPOSITORY, "team", refusal="too many")
    refusals = deletions(desired(a_repository("team")), site, change)
    assert refusals == {
        "remote/up": "remote/up stays: repository/team, which stays, takes content from it",
        "remote/away": "",
    }


def test_with_nothing_declared_at_all_one_refusal_keeps_everything() -> None:
    """A prune in the wrong folder takes nothing away, however little depends on it."""
    refusals = deletions(desired(), recorded(SITE))
    assert all(refusals.values())
    assert refusals["filter/lone"].startswith("filter/lone stays: nothing at all is declared here")
    assert set(deletions(desired(), recorded({(FILTER, "lone"): {}})).values()) == {""}


def recorded(site: Mapping[tuple[Kind, str], Mapping[str, Any]]) -> ActualState:
    plain = actual(*site)
    return ActualState(
        {Ref(*ref): ActualResource(Ref(*ref), {}, {}, spec) for ref, spec in site.items()},
        plain.repositories,
    )


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
