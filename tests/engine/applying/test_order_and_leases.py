"""What waits and what does not: copies for their base, runs for leases, remotes for those who need
them; revocations and folders for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Lease, Writer
from reconciler.engine import Checkpoint, listen
from reconciler.engine.applying.report import Report
from reconciler.engine.run import checkpoints, lease
from reconciler.model import Kind, Ref, identify
from tests.support.databases import change
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, source
from tests.support.scripted_plugins import NOW

LATER = "policy: on-demand"
MINE = "upload: {}"
ACCESS = "access: {upload: [{token: {env: T_TOKEN}}]}"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_TOKEN", "a token of this test")
    monkeypatch.setattr(checkpoints, "_listeners", [])
    with rehearsal(tmp_path) as found:
        found.says("a", found.file("one"), found.file("two"))
        yield found


def results(report: Report) -> dict[str, str]:
    return {outcome.ref: outcome.result for outcome in report.outcomes}


@pytest.mark.parametrize("pin", ["latest", "2"])
def test_a_copy_waits_for_a_base_that_did_not_become_what_was_planned(
    pin: str, stage: Rehearsal
) -> None:
    stage.declare(
        stage.remote(),
        repository(),
        repository("prod", copy()),
        repository("last", copy("prod")),
        publication("last", of="last"),
    )
    stage.applied()
    stage.says("a", stage.file("one"), stage.file("bad"), stage.file("four"))
    stage.server.on("/bad", status(503))
    chain = repository("prod", copy(version=pin)), repository("last", copy("prod"))
    stage.declare(stage.remote(), repository(), *chain, publication("last", of="last"))
    report = stage.apply()
    assert results(report) | {"publication/last": ""} == {
        **results(report),
        "repository/team": "failed",
        "repository/prod": "blocked",
        "repository/last": "blocked",
        "publication/last": "",
    }
    [said] = [outcome.message for outcome in report.outcomes if outcome.ref == "repository/prod"]
    assert said == "repository/team did not become what was planned: repository/prod waits"
    assert stage.held("prod") == stage.held("last") == ["a/one", "a/two"]
    assert stage.number("last") == 1


def test_a_copy_of_a_base_whose_lease_another_run_has_waits_and_comes_later(
    stage: Rehearsal,
) -> None:
    stage.declare(
        stage.remote(), repository(), repository("prod", copy()), publication("prod", of="prod")
    )
    held = taken(stage, "repository/team")
    outcome = results(stage.apply())
    assert (
        outcome["repository/team"],
        outcome["repository/prod"],
        outcome["publication/prod"],
    ) == ("failed", "blocked", "blocked")
    assert stage.number("prod") == 0
    released(stage, held)
    stage.applied()
    assert stage.held("prod") == stage.held() == ["a/one", "a/two"]
    assert stage.settled()


def test_a_copy_of_an_older_version_waits_for_nobody(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository())
    stage.applied()
    stage.says("a", stage.file("bad"))
    stage.server.on("/bad", status(503))
    stage.declare(stage.remote(), repository(), repository("prod", copy(version="1")))
    outcome = results(stage.apply())
    assert (outcome["repository/team"], outcome["repository/prod"]) == ("failed", "done")
    assert stage.held("prod") == ["a/one", "a/two"]


def writing(stage: Rehearsal, act: Any) -> Any:
    with stage.home.database(read_only=False) as database:
        return act(database.writer())


def taken(stage: Rehearsal, name: str) -> Lease:
    found: Lease = writing(stage, lambda writer: writer.acquire(name, ttl_seconds=60, now=NOW))
    return found


def released(stage: Rehearsal, held: Lease) -> None:
    writing(stage, lambda writer: writer.release(held))


def test_an_apply_waits_for_the_lease_of_a_publication(
    stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STEP", 0.01)
    stage.declare(stage.remote(), repository(), publication())
    held = taken(stage, "publication/team")
    tries: list[str] = []
    acquire = Writer.acquire

    def trying(self: Writer, name: str, **more: Any) -> Lease:
        tries.append(name)
        if tries.count("publication/team") == 3:
            self.release(held)
        return acquire(self, name, **more)

    monkeypatch.setattr(Writer, "acquire", trying)
    stage.applied()
    assert tries.count("publication/team") == 3
    assert stage.settled()


def test_a_lease_that_stays_is_told(stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PATIENCE", 0.05)
    monkeypatch.setattr(lease, "STEP", 0.01)
    stage.declare(stage.remote(), repository(), publication())
    taken(stage, "publication/team")
    assert "the lease `publication/team` is held" in stage.failed("publication/team")


def test_what_others_move_is_left_out_and_the_rest_is_committed(stage: Rehearsal) -> None:
    """The second round has but one group to commit."""
    for number in range(6):
        stage.says(f"g{number}", stage.file(f"file{number}"))
    stage.declare(stage.remote(), repository("team", "remote: {name: up}", MINE), publication())
    moved = iter(["g0", "g0"])
    numbers: list[int] = []

    def upload(reached: Checkpoint) -> None:
        if reached is Checkpoint.BEFORE_FLIP and (name := next(moved, "")):
            numbers.append(stage.number())
            if len(numbers) == 1:
                writing(stage, lambda writer: joined(stage, writer, name))

    listen(upload)
    stage.applied()
    assert numbers == [0, 2], "the first round commits what nobody moved"
    assert {f"g{number}/file{number}" for number in range(6)} <= set(stage.held())
    assert stage.downloads() == sorted(set(stage.downloads()))


def joined(stage: Rehearsal, writer: Writer, group: str) -> None:
    unit = identify(stage.bare(f"theirs in {group}"), group)
    change(
        writer, writer.actual_state().repositories["team"].id, joins=[unit], source="remote:theirs"
    )


def test_the_folder_of_the_manifests_follows_them(
    stage: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.declare(stage.remote(), repository(), publication())
    stage.applied()
    text = stage.manifest.read_text(encoding="utf-8")
    stage.manifest = tmp_path / "elsewhere" / "site.yaml"
    stage.manifest.parent.mkdir()
    stage.manifest.write_text(text, encoding="utf-8")
    assert stage.settled()
    stage.applied()
    assert {
        resource.folder
        for resource in stage.ask(lambda reader: reader.actual_state()).resources.values()
    } == {str(stage.manifest.parent)}
    updates: list[Any] = []
    monkeypatch.setattr(Writer, "update_metadata", lambda self, rows: updates.extend(rows))
    stage.applied()
    assert updates == []


def recorded(stage: Rehearsal, kind: Kind, name: str) -> Any:
    return stage.ask(lambda reader: reader.actual_state()).resources[Ref(kind, name)]


def test_who_is_no_longer_named_is_let_in_no_longer_although_the_content_waits(
    stage: Rehearsal,
) -> None:
    guarded = repository("team", "remote: {name: up}", MINE, removals="0")
    stage.declare(stage.remote(), guarded, publication(more=ACCESS))
    stage.applied()
    before = recorded(stage, Kind.PUBLICATION, "team")
    assert before.secrets
    stage.says("a", stage.file("one"))
    stage.declare(
        stage.remote(),
        guarded,
        publication(more="access: {upload: [{token: {env: T_OTHER}}]}").replace(
            "path: team", "path: moved"
        ),
    )
    report = stage.apply(destroy=False)
    assert results(report)["publication/team"] == "blocked"
    after = recorded(stage, Kind.PUBLICATION, "team")
    assert after.spec == {**before.spec, "access": {"upload": [{"token": {"env": "T_OTHER"}}]}}
    assert after.secrets == {}
    stage.declare(stage.remote(), guarded, publication())
    stage.apply(destroy=False)
    assert "access" not in recorded(stage, Kind.PUBLICATION, "team").spec


def test_a_remote_that_alone_has_bytes_is_not_pruned(stage: Rehearsal) -> None:
    stage.declare(stage.remote(more=LATER), repository(), repository("prod", copy()))
    stage.applied()
    stage.declare(
        repository("prod", "upload: {}"),
        repository("team", "upload: {}", more="sync: {mode: additive}"),
    )
    said = stage.failed("remote/up", destroy=False, prune=True)
    assert "2 files of repository `prod` can be had from `up` alone" in said
    assert "`policy: immediate`" in said
    assert Ref(Kind.REMOTE, "up") in stage.ask(lambda reader: reader.actual_state()).resources
    stage.applied(prune=True)
    assert Ref(Kind.REMOTE, "up") not in stage.ask(lambda reader: reader.actual_state()).resources


def test_a_remote_goes_when_another_has_the_same_or_nothing_is_left_of_it(stage: Rehearsal) -> None:
    stage.declare(stage.remote(more=LATER), repository())
    stage.applied()
    stage.declare(stage.remote("new", more=LATER), repository("team", "remote: {name: new}"))
    stage.applied(destroy=False, prune=True)
    stage.says("b", stage.file("three"), name="other")
    stage.declare(stage.remote("other", more=LATER), repository("team", source("other")))
    stage.apply()
    stage.applied(destroy=False, prune=True)
    assert stage.held() == ["b/three"]
