"""RemoteArtifacts: what is still to be downloaded, by the policy of the remote."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.database import ArtifactOrigin
from reconciler.engine.session.session import Session
from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.source_artifacts import RemoteArtifacts
from reconciler.engine.sources.source_responses import GroupComparison
from reconciler.errors import PluginFault
from reconciler.model import ON_DEMAND, Artifact, Digest, Unit, artifact_digest, identify
from reconciler.plan import ADD, ChangeLine, GroupChange, GroupLine
from reconciler.plugin import Decision
from tests.support.remotes import remote

URL, OTHER_URL = "https://example.org/one", "https://example.org/elsewhere"


def artifact(name: str, url: str = URL, size: int | None = 5) -> Artifact:
    return Artifact(name, Digest.of(name.encode()).hex, size, url)


ONE = artifact("one")


class Record:
    """A reader: bytes that are stored, and origins that are recorded."""

    def __init__(
        self, stored: Collection[Artifact] = (), origins: Iterable[tuple[Artifact, str, str]] = ()
    ) -> None:
        self._stored = {artifact_digest(artifact) for artifact in stored}
        self._origins: dict[Digest, list[ArtifactOrigin]] = {}
        for artifact, name, url in origins:
            self._origins.setdefault(artifact_digest(artifact), []).append(
                ArtifactOrigin(name, url)
            )

    def stored(self, digests: Collection[Digest]) -> set[Digest]:
        return self._stored & set(digests)

    def known_sizes(self, digests: Collection[Digest]) -> dict[Digest, int]:
        return {}

    def recorded_urls(self, remote: str, digests: Collection[bytes]) -> dict[bytes, str]:
        return {
            digest.raw: origin.url
            for digest, origins in self._origins.items()
            for origin in origins
            if digest.raw in digests and origin.remote == remote
        }


def artifacts_of(record: Record, policy: str = "immediate") -> RemoteArtifacts:
    session = cast("Session", SimpleNamespace(reader=record))
    return RemoteArtifacts(session, remote(policy=policy))


def unfetched(record: Record, *parts: Artifact, policy: str, other_rules: bool = True) -> Any:
    unit = identify(Unit("test.file", "one", {}, list(parts)), "alpha")
    comparison = GroupComparison(GroupChange(GroupLine("alpha", "remote:upstream"), []), [unit])
    committed = cast("CommittedState", SimpleNamespace(has_other_rules=lambda name: other_rules))
    result = asyncio.run(artifacts_of(record, policy).unfetched([comparison], committed))
    return {name: [unit.key for unit in units] for name, units in result.items()}


def test_bytes_that_an_earlier_policy_left_upstream_are_fetched() -> None:
    assert unfetched(Record(), ONE, policy="immediate") == {"alpha": ["one"]}
    assert unfetched(Record(stored=[ONE]), ONE, policy="immediate") == {}
    assert unfetched(Record(), ONE, policy="immediate", other_rules=False) == {}


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([(ONE, "upstream", URL)], {}),
        ([(ONE, "upstream", OTHER_URL)], {"alpha": ["one"]}),
        ([(ONE, "another", URL)], {"alpha": ["one"]}),
        ([], {"alpha": ["one"]}),
    ],
)
def test_bytes_on_demand_that_moved_are_recorded_anew(origins: Any, expected: Any) -> None:
    assert unfetched(Record(origins=origins), ONE, policy=ON_DEMAND) == expected
    assert unfetched(Record([ONE], origins), ONE, policy=ON_DEMAND) == {}, "stored: never asked for"


def test_only_bytes_that_are_not_stored_are_downloaded() -> None:
    line = ChangeLine(ADD, "test.file", "one", artifacts=[ONE, artifact("two", size=7)])
    change = GroupChange(GroupLine("alpha", "remote:upstream"), [line])

    def download(record: Record, policy: str) -> int:
        [result] = asyncio.run(artifacts_of(record, policy).with_downloads([change]))
        return result.lines[0].download

    assert download(Record(), "immediate") == 12
    assert download(Record(stored=[ONE]), "immediate") == 7
    assert download(Record(), ON_DEMAND) == 0


def test_what_needs_no_measuring_is_not_measured() -> None:
    unnamed = Unit("test.file", "one", {}, [Artifact("one", "", 5, URL)])
    decisions = [
        Decision(Unit("test.file", "two", {}, [ONE]), accepted=True),
        Decision(unnamed, accepted=False, reason="denied"),
    ]
    assert asyncio.run(artifacts_of(Record()).measured(decisions)) is None


def test_an_artifact_with_neither_digest_nor_url_is_a_fault_of_the_plugin() -> None:
    unnamed = Unit("test.file", "one", {}, [Artifact("one", "", 5, "")])
    with pytest.raises(PluginFault, match="artifact `one` has neither a sha256 nor a URL"):
        asyncio.run(artifacts_of(Record()).measured([Decision(unnamed, accepted=True)]))
