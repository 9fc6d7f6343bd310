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
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_TOKEN", "a token of this test")
    monkeypatch.setattr(checkpoints, "_listeners", [])
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        yield site


def results(report: Report) -> dict[str, str]:
    return {outcome.ref: outcome.result for outcome in report.outcomes}


def chain(site: Rehearsal, *, version: str = "latest") -> None:
    """Declare that `prod` copies a version of `team`, and that `last` copies `prod`."""
    site.declare(
        site.remote(),
        repository(),
        repository("prod", copy(version=version)),
        repository("last", copy("prod")),
        publication("last", of="last"),
    )


def failing_chain(site: Rehearsal) -> str:
    """Apply the chain, then let upstream offer a file that does not come.

    Return the digest of the version of `team` that is planned.
    """
    chain(site)
    site.applied()
    site.says("a", site.file("one"), site.file("bad"), site.file("four"))
    site.server.on("/bad", status(503))
    chain(site, version="2")  # where something is pinned, a plan says the digest
    digest = site.content().version_digest
    assert digest is not None
    return str(digest)


@pytest.mark.parametrize("by_digest", [False, True], ids=["latest", "digest"])
def test_a_copy_waits_for_a_base_that_did_not_become_what_was_planned(
    by_digest: bool, site: Rehearsal
) -> None:
    planned = failing_chain(site)
    chain(site, version=f"'{planned}'" if by_digest else "latest")
    report = site.apply()
    assert results(report) | {"publication/last": ""} == {
        **results(report),
        "repository/team": "failed",
        "repository/prod": "blocked",
        "repository/last": "blocked",
        "publication/last": "",
    }
    [said] = [outcome.message for outcome in report.outcomes if outcome.ref == "repository/prod"]
    assert said == "repository/team did not become what was planned: repository/prod waits"
    assert site.held("prod") == site.held("last") == ["a/one", "a/two"]
    assert site.number("last") == 1


def test_a_copy_of_a_number_that_its_base_has_not_reached_fails_and_those_behind_it_stay(
    site: Rehearsal,
) -> None:
    failing_chain(site)
    chain(site, version="2")
    report = site.apply()
    outcome = results(report)
    assert outcome["repository/team"] == outcome["repository/prod"] == "failed"
    assert outcome["repository/last"] == "unchanged"
    [said] = [outcome.message for outcome in report.outcomes if outcome.ref == "repository/prod"]
    assert "has no version `2` yet: this plan makes it" in said
    assert site.held("prod") == site.held("last") == ["a/one", "a/two"]
    assert site.number("last") == 1


def test_a_copy_of_a_base_whose_lease_another_run_has_waits_and_comes_later(
    site: Rehearsal,
) -> None:
    site.declare(
        site.remote(), repository(), repository("prod", copy()), publication("prod", of="prod")
    )
    held = taken(site, "repository/team")
    outcome = results(site.apply())
    assert (
        outcome["repository/team"],
        outcome["repository/prod"],
        outcome["publication/prod"],
    ) == ("failed", "blocked", "blocked")
    assert site.number("prod") == 0
    released(site, held)
    site.applied()
    assert site.held("prod") == site.held() == ["a/one", "a/two"]
    assert site.settled()


def test_a_copy_of_an_older_version_waits_for_nobody(site: Rehearsal) -> None:
    site.declare(site.remote(), repository())
    site.applied()
    site.says("a", site.file("bad"))
    site.server.on("/bad", status(503))
    site.declare(site.remote(), repository(), repository("prod", copy(version="1")))
    outcome = results(site.apply())
    assert (outcome["repository/team"], outcome["repository/prod"]) == ("failed", "done")
    assert site.held("prod") == ["a/one", "a/two"]


def writing(site: Rehearsal, act: Any) -> Any:
    with site.home.database(read_only=False) as database:
        return act(database.writer())


def taken(site: Rehearsal, name: str) -> Lease:
    found: Lease = writing(site, lambda writer: writer.acquire(name, ttl_seconds=60, now=NOW))
    return found


def released(site: Rehearsal, held: Lease) -> None:
    writing(site, lambda writer: writer.release(held))


def test_an_apply_waits_for_the_lease_of_a_publication(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STEP", 0.01)
    site.declare(site.remote(), repository(), publication())
    held = taken(site, "publication/team")
    tries: list[str] = []
    acquire = Writer.acquire

    def trying(self: Writer, name: str, **more: Any) -> Lease:
        tries.append(name)
        if tries.count("publication/team") == 3:
            self.release(held)
        return acquire(self, name, **more)

    monkeypatch.setattr(Writer, "acquire", trying)
    site.applied()
    assert tries.count("publication/team") == 3
    assert site.settled()


def test_a_lease_that_stays_is_told(site: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "PATIENCE", 0.05)
    monkeypatch.setattr(lease, "STEP", 0.01)
    site.declare(site.remote(), repository(), publication())
    taken(site, "publication/team")
    assert "the lease `publication/team` is held" in site.failed("publication/team")


def test_what_others_move_is_left_out_and_the_rest_is_committed(site: Rehearsal) -> None:
    """The second round has but one group to commit."""
    for number in range(6):
        site.says(f"g{number}", site.file(f"file{number}"))
    site.declare(site.remote(), repository("team", "remote: {name: up}", MINE), publication())
    moved = iter(["g0", "g0"])
    numbers: list[int] = []

    def upload(reached: Checkpoint) -> None:
        if reached is Checkpoint.BEFORE_FLIP and (name := next(moved, "")):
            numbers.append(site.number())
            if len(numbers) == 1:
                writing(site, lambda writer: joined(site, writer, name))

    listen(upload)
    site.applied()
    assert numbers == [0, 2], "the first round commits what nobody moved"
    assert {f"g{number}/file{number}" for number in range(6)} <= set(site.held())
    assert site.downloads() == sorted(set(site.downloads()))


def joined(site: Rehearsal, writer: Writer, group: str) -> None:
    unit = identify(site.bare(f"theirs in {group}"), group)
    change(
        writer, writer.actual_state().repositories["team"].id, joins=[unit], source="remote:theirs"
    )


def test_the_folder_of_the_manifests_follows_them(
    site: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    text = site.manifest.read_text(encoding="utf-8")
    site.manifest = tmp_path / "elsewhere" / "site.yaml"
    site.manifest.parent.mkdir()
    site.manifest.write_text(text, encoding="utf-8")
    assert site.settled()
    site.applied()
    assert {
        resource.folder
        for resource in site.ask(lambda reader: reader.actual_state()).resources.values()
    } == {str(site.manifest.parent)}
    updates: list[Any] = []
    monkeypatch.setattr(Writer, "update_metadata", lambda self, rows: updates.extend(rows))
    site.applied()
    assert updates == []


def recorded(site: Rehearsal, kind: Kind, name: str) -> Any:
    return site.ask(lambda reader: reader.actual_state()).resources[Ref(kind, name)]


def test_who_is_no_longer_named_is_let_in_no_longer_although_the_content_waits(
    site: Rehearsal,
) -> None:
    guarded = repository("team", "remote: {name: up}", MINE, removals="0")
    site.declare(site.remote(), guarded, publication(more=ACCESS))
    site.applied()
    before = recorded(site, Kind.PUBLICATION, "team")
    assert before.secrets
    site.says("a", site.file("one"))
    site.declare(
        site.remote(),
        guarded,
        publication(more="access: {upload: [{token: {env: T_OTHER}}]}").replace(
            "path: team", "path: moved"
        ),
    )
    report = site.apply(destroy=False)
    assert results(report)["publication/team"] == "blocked"
    after = recorded(site, Kind.PUBLICATION, "team")
    assert after.spec == {**before.spec, "access": {"upload": [{"token": {"env": "T_OTHER"}}]}}
    assert after.secrets == {}
    site.declare(site.remote(), guarded, publication())
    site.apply(destroy=False)
    assert "access" not in recorded(site, Kind.PUBLICATION, "team").spec


def test_a_remote_that_alone_has_bytes_is_not_pruned(site: Rehearsal) -> None:
    site.declare(site.remote(more=LATER), repository(), repository("prod", copy()))
    site.applied()
    site.declare(
        repository("prod", "upload: {}"),
        repository("team", "upload: {}", more="sync: {mode: additive}"),
    )
    said = site.failed("remote/up", destroy=False, prune=True)
    assert "2 files of repository `prod` can be had from `up` alone" in said
    assert "`policy: immediate`" in said
    assert Ref(Kind.REMOTE, "up") in site.ask(lambda reader: reader.actual_state()).resources
    site.applied(prune=True)
    assert Ref(Kind.REMOTE, "up") not in site.ask(lambda reader: reader.actual_state()).resources


def test_a_remote_goes_when_another_has_the_same_or_nothing_is_left_of_it(site: Rehearsal) -> None:
    site.declare(site.remote(more=LATER), repository())
    site.applied()
    site.declare(site.remote("new", more=LATER), repository("team", "remote: {name: new}"))
    site.applied(destroy=False, prune=True)
    site.says("b", site.file("three"), name="other")
    site.declare(site.remote("other", more=LATER), repository("team", source("other")))
    site.apply()
    site.applied(destroy=False, prune=True)
    assert site.held() == ["b/three"]
