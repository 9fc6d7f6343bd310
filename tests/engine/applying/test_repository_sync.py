"""The content changes of a repository become a version; what fails is named and waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.database import Reader, Writer, scratchpad_digest
from reconciler.engine.applying.repository_sync import RepositorySync, SyncResult
from reconciler.engine.run import checkpoints
from reconciler.engine.run.checkpoints import Checkpoint, listen
from reconciler.errors import Refused
from reconciler.model import (
    Artifact,
    CheckedTree,
    Digest,
    IdentifiedUnit,
    Unit,
    group_digest,
    identify,
)
from reconciler.plan import ADD, REMOVE, ChangeLine, Failure, GroupChange, GroupLine
from reconciler.remote import Mirrors, Trust
from reconciler.store import LocalStore
from tests.support.databases import NOW, SELECTION, database
from tests.support.databases import change as other_run
from tests.support.engine_states import a_remote, a_repository, a_source, desired, writing_session
from tests.support.plans import content

UP = "remote:up"
NOTE = {"importer:test": {"seen": 1}}


@dataclass
class Upstream:
    """A remote by URL: bytes, or an error. `asked`: the URLs in order."""

    bodies: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetcher(self, remote: Any) -> Upstream:
        return self

    def mirrors(self, remote: Any) -> Mirrors:
        return Mirrors(remote, "")

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> Any:
        self.asked.append(url)
        body = self.bodies.get(url, Refused(f"{url}: 403"))
        if isinstance(body, Exception):
            raise body
        yield Body(url, body)


class Body:
    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, url: str, body: bytes) -> None:
        self.url, self.length, self._body = url, len(body), body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


@dataclass
class Site:
    folder: Path
    writer: Writer
    upstream: Upstream
    known: dict[str, IdentifiedUnit] = field(default_factory=dict)

    @property
    def repository_id(self) -> int:
        return self.writer.actual_state().repositories["team"].id

    def unit(self, key: str, *, group: str = "a", served: bool = True) -> IdentifiedUnit:
        """A unit with one file. `served`: upstream has it."""
        url, body = f"https://index.example.org/{key}", f"bytes of {key}".encode()
        if served:
            self.upstream.bodies[url] = body
        artifact = Artifact(key, Digest.of(body).hex, len(body), url)
        self.known[key] = identify(Unit("test.file", key, {}, [artifact]), group)
        return self.known[key]

    def group(self, *lines: ChangeLine, name: str = "a") -> GroupChange:
        """Changes of a group, based on what it holds now."""
        held = [unit.digest for unit in self.members().get(name, [])]
        before = group_digest(held) if held else None
        return GroupChange(
            GroupLine(name, UP, before, validator="v1", selection=SELECTION), list(lines)
        )

    def members(self) -> Mapping[str, Any]:
        state = self.writer.actual_state().repositories["team"]
        names = list(self.writer.group_names(state.id, state.number))
        return self.writer.current_units(state.id, names)

    def held(self) -> set[str]:
        keys = {unit.digest: key for key, unit in self.known.items()}
        return {keys[unit.digest] for units in self.members().values() for unit in units}

    def sync(self, *groups: GroupChange, policy: str = "immediate", **more: Any) -> SyncResult:
        planned = replace(
            content(groups),
            **{
                "touched": True,
                "sources": {UP: ("v1", SELECTION)},
                "scratchpads": NOTE,
                "seen": {"importer:test": scratchpad_digest(self.note())},
                **more,
            },
        )
        repository = a_repository("team", a_source("up"))
        session = writing_session(self.folder, self.writer, remotes=self.upstream)
        sync = RepositorySync(session, desired(repository, a_remote("up", policy)), {"by": "test"})
        return asyncio.run(
            sync.sync(repository, planned, repository_id=self.repository_id, plugin_version="1.0")
        )

    def note(self) -> Any:
        return self.writer.scratchpad(self.repository_id, "importer:test")

    def ask(self, question: Any) -> Any:
        reader: Reader = self.writer
        return question(reader, self.repository_id)


def added(unit: IdentifiedUnit) -> ChangeLine:
    return ChangeLine(
        ADD,
        unit.unit.type,
        unit.unit.key,
        unit.digest,
        body=msgspec.Raw(unit.body),
        artifacts=list(unit.unit.artifacts),
        download=sum(artifact.size or 0 for artifact in unit.unit.artifacts),
    )


def removed(unit: IdentifiedUnit) -> ChangeLine:
    return ChangeLine(REMOVE, unit.unit.type, unit.unit.key, unit.digest)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(checkpoints, "_listeners", [])
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_resources([a_repository("team")], now=NOW)
        yield Site(tmp_path, writer, Upstream())


def validator(site: Site) -> str | None:
    recorded: str | None = site.writer.committed_sources(site.repository_id)[UP].validator
    return recorded


def test_a_version_holds_what_was_planned(site: Site) -> None:
    first, two = site.unit("one"), site.unit("two", group="b")
    result = site.sync(site.group(added(first)), site.group(added(two), name="b"))
    assert (result.number, result.problems, result.conflict) == (1, [], False)
    assert result.message.startswith("version 1 sha256:")
    assert result.message.endswith(", +2 distributions")
    assert site.held() == {"one", "two"}
    assert site.ask(lambda reader, id_: reader.version(id_, 1).provenance) == {
        "by": "test",
        "plugin": {"id": "test", "version": "1.0"},
    }
    assert site.note() == {"seen": 1}


def test_a_failed_file_keeps_what_its_group_would_lose_and_is_fetched_next_time(
    site: Site,
) -> None:
    """What replaces a removed unit may be what failed."""
    first, other = site.unit("one"), site.unit("other", group="b")
    site.sync(site.group(added(first)), site.group(added(other), name="b"))
    new, bad = site.unit("new"), site.unit("bad", served=False)
    result = site.sync(
        site.group(added(new), added(bad), removed(first)), site.group(removed(other), name="b")
    )
    assert result.number is None, "copies of this repository have to wait"
    [problem] = result.problems
    assert problem.startswith("remote:up: a: `bad`: ")
    assert ", +1 -1 distributions" in result.message
    assert site.held() == {"one", "new"}
    assert validator(site) is None
    site.unit("bad")
    site.upstream.asked.clear()
    result = site.sync(site.group(added(bad), removed(first)))
    assert (result.number, result.problems) == (3, [])
    assert (site.held(), validator(site)) == ({"new", "bad"}, "v1")
    assert site.upstream.asked == ["https://index.example.org/bad"]


def test_what_plugins_noted_waits_for_every_file(site: Site) -> None:
    bad = site.unit("bad", served=False)
    site.sync(site.group(added(site.unit("one")), added(bad)))
    assert site.note() is None


def test_bytes_are_stored_before_rows_and_rows_before_the_version(site: Site) -> None:
    seen: list[tuple[Checkpoint, bool, int]] = []
    first = site.unit("one")
    digest = Digest.parse(first.unit.artifacts[0].sha256)

    def note(step: Checkpoint) -> None:
        stored = bool(site.writer.stored([digest]))
        seen.append((step, stored, site.writer.actual_state().repositories["team"].number))

    listen(note)
    site.sync(site.group(added(first)))
    assert seen == [
        (Checkpoint.LEASE_TAKEN, False, 0),
        (Checkpoint.BYTES_WRITTEN, False, 0),
        (Checkpoint.ROWS_STAGED, True, 0),
        (Checkpoint.BEFORE_FLIP, True, 0),
        (Checkpoint.AFTER_FLIP, True, 1),
    ]


def test_bytes_are_durable_before_a_row_refers_to_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []
    record = Writer.record_units

    def recording(self: Writer, *units: Any) -> None:
        writes.append("rows")
        record(self, *units)

    monkeypatch.setattr(LocalStore, "sync", lambda self: writes.append("durable"))
    monkeypatch.setattr(Writer, "record_units", recording)
    site.sync(site.group(added(site.unit("one"))))
    assert writes == ["durable", "rows"]


def test_a_group_that_another_run_changed_is_left_out_and_planned_again(site: Site) -> None:
    first, two = site.unit("one"), site.unit("two", group="b")
    theirs = site.known["theirs"] = identify(Unit("test.file", "theirs", {}, []), "a")

    def interfere(step: Checkpoint) -> None:
        if step is Checkpoint.BEFORE_FLIP:
            other_run(site.writer, site.repository_id, joins=[theirs], source="remote:other")

    listen(interfere)
    result = site.sync(site.group(added(first)), site.group(added(two), name="b"))
    assert (result.conflict, result.number) == (True, None), result
    assert result.problems == ["changed since they were planned: `a`"]
    assert site.held() == {"theirs", "two"}


def test_files_of_an_on_demand_remote_stay_upstream(site: Site) -> None:
    first = site.unit("one")
    assert site.sync(site.group(added(first)), policy="on-demand").number == 1
    assert site.upstream.asked == []
    digest = Digest.parse(first.unit.artifacts[0].sha256)
    [origin] = site.writer.artifact_origins(digest)
    assert (origin.remote, origin.url) == ("up", "https://index.example.org/one")


def test_nothing_to_record_makes_no_version_and_takes_no_lease(site: Site) -> None:
    steps: list[Checkpoint] = []
    listen(steps.append)
    assert site.sync(touched=False) == SyncResult()
    failure = Failure("remote:up", None, "cannot be read")
    assert site.sync(touched=False, failures=(failure,)).problems == [str(failure)]
    assert steps == []


def test_a_source_that_could_not_be_listed_is_not_opened(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secrets may not be readable, which would fail everything else."""

    def fail(self: Upstream, remote: Any) -> Upstream:
        raise AssertionError("opened")

    monkeypatch.setattr(Upstream, "fetcher", fail)
    failure = Failure("remote:up", None, "its secret cannot be read")
    assert site.sync(failures=(failure,), sources={}).problems == [str(failure)]


def test_a_lease_that_another_run_has_fails_the_repository_alone(site: Site) -> None:
    site.writer.acquire("repository/team", ttl_seconds=60, now=NOW)
    result = site.sync(site.group(added(site.unit("one"))))
    assert result.number is None
    assert "the lease `repository/team` is held" in result.text
    assert site.upstream.asked == []


@pytest.mark.parametrize("waits", [False, True])
def test_a_file_that_cannot_lie_beside_another_waits_for_the_next_plan(
    waits: bool, site: Site
) -> None:
    """The other came in since the plan, or was to leave and waits for a failed file."""
    held, tree = site.unit("x/y", group="held"), CheckedTree(1, folded=False)
    site.sync(site.group(added(held), name="held"))
    new = [site.group(added(site.unit("x"))), site.group(added(site.unit("fine")), name="f")]
    if waits:
        bad = site.unit("bad", group="held", served=False)
        result = site.sync(*new, site.group(added(bad), removed(held), name="held"), tree=tree)
    else:
        result = site.sync(*new, tree=tree.everything)
    assert result.problems[-1] == (
        "`x` cannot lie beside `x/y`: one name would be a file and a folder"
    )
    assert (result.number, result.conflict) == (None, True)
    assert site.held() == {"x/y", "fine"}
    assert validator(site) is None
