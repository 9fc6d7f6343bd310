"""Of the files that no version needs, those asked for longest ago go first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.database import DerivedArtifact, Writer
from reconciler.engine.pull_through.kept_files import KeptFiles
from reconciler.model import Digest
from reconciler.store import LocalStore
from tests.support.large_states import artifact_of, opened_state

BODIES = [bytes([number]) * 10 for number in range(4)]
LOOSE = [Digest.of(body) for body in BODIES]


@dataclass
class Cache:
    writer: Writer
    store: LocalStore
    publication: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.files = KeptFiles(lambda: self.writer, self.store, lambda: self.now)
        for body, digest in zip(BODIES, LOOSE, strict=True):
            self.store.put(body, digest)
            self.writer.artifact_stored(digest, len(body))

    def use(self, *digests: Digest) -> None:
        for digest in digests:
            self.now += timedelta(seconds=1)
            self.files.used("team", digest, 10)

    def settle(self, max_size: int) -> list[Digest]:
        """Files that are still there, of those that no version needs."""
        self.now += timedelta(minutes=1)
        target: Any = SimpleNamespace(
            name="team",
            shown=SimpleNamespace(id=self.publication),
            pull=SimpleNamespace(max_size=max_size),
        )
        self.files.settle(target)
        return [digest for digest in LOOSE if self.store.has(digest)]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with opened_state(tmp_path, 4) as state:
        yield Cache(state.writer, LocalStore(tmp_path / "store"), state.publication_id)


def test_files_asked_for_longest_ago_go_until_the_rest_fits(cache: Cache) -> None:
    first, second, third, fourth = LOOSE
    cache.use(first, second, third, fourth)
    assert cache.settle(40) == LOOSE
    cache.use(first)
    assert cache.settle(25) == [first, fourth]
    assert cache.writer.pulled_size(cache.publication) == 20
    assert [file.digest for file in cache.writer.loose_files(cache.publication)] == [fourth, first]
    cache.use(first)
    assert cache.settle(20) == [first, fourth], "nothing is too much"


def test_what_a_version_holds_and_what_was_made_here_is_never_evicted(cache: Cache) -> None:
    held, made = artifact_of(1, 0), LOOSE[0]
    cache.writer.record_derived([DerivedArtifact(4, "1.metadata", made)], {made: 10}, examined=[4])
    cache.use(held, *LOOSE)
    assert cache.settle(0) == [made]
    assert cache.writer.pulled_size(cache.publication) == 20


def test_bytes_that_came_in_anew_meanwhile_stay(cache: Cache) -> None:
    cache.use(*LOOSE)
    cache.now -= timedelta(days=1)
    assert cache.settle(0) == LOOSE
