"""`latest`, a number and a digest resolve to one recorded version, or to none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from reconciler.database import Reader, VersionRecord
from reconciler.engine.sources.version_reference import ResolvedVersion, VersionReference
from reconciler.model import ActualRepository, Digest

DIGESTS = [Digest.of(text) for text in (b"empty", b"one", b"two", b"one")]
STATE = ActualRepository(7, "team", 3, DIGESTS[3], 1)


@dataclass
class Versions:
    """The two questions that a reader answers; `asked` counts them."""

    asked: list[str] = field(default_factory=list)

    def version(self, repository_id: int, number: int) -> VersionRecord | None:
        self.asked.append(f"version {number}")
        assert repository_id == STATE.id
        if not 0 <= number < len(DIGESTS):
            return None
        return VersionRecord(number, DIGESTS[number], datetime(2026, 1, 1, tzinfo=UTC), 0, 0, 0)

    def version_by_digest(self, repository_id: int, digest: Digest) -> int | None:
        self.asked.append("digest")
        numbers = [number for number, one in enumerate(DIGESTS) if one == digest]
        return max(numbers, default=None)


def resolve(value: str | int, repository: ActualRepository | None = STATE) -> int | None:
    resolved = VersionReference(value).resolve(cast(Reader, Versions()), repository)
    if resolved is None:
        return None
    assert resolved.digest == DIGESTS[resolved.number]
    return resolved.number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("latest", 3),
        (3, 3),
        (2, 2),
        (4, None),
        (str(DIGESTS[2]), 2),
        (str(DIGESTS[1]), 3),
        (str(Digest.of(b"other")), None),
    ],
)
def test_each_form_resolves_to_a_recorded_version(value: str | int, number: int | None) -> None:
    assert resolve(value) == number


def test_a_repository_that_is_not_recorded_has_no_version() -> None:
    assert [resolve(value, None) for value in ("latest", 1, str(DIGESTS[1]))] == [None] * 3


def test_latest_costs_no_query() -> None:
    versions = Versions()
    resolved = VersionReference("latest").resolve(cast(Reader, versions), STATE)
    assert (resolved, versions.asked) == (ResolvedVersion(3, DIGESTS[3]), [])


def test_latest_and_the_next_number_cover_a_version_that_is_being_made() -> None:
    covering = [value for value in ("latest", 4, 3, str(DIGESTS[3])) if _covers(value, 4)]
    assert covering == ["latest", 4]


def _covers(value: str | int, number: int) -> bool:
    return VersionReference(value).covers(number)
