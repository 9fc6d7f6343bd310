"""Counts that are kept with versions are those of the units that versions hold."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.database import Writer
from reconciler.model import IdentifiedUnit, Unit, identify
from tests.support.databases import change, created_repository, database

TYPES, SOURCES = ("test.file", "test.note"), ("remote:a", "remote:b")

units = st.builds(
    lambda type_, group, key, note: identify(Unit(type_, key, {"note": note}, []), group),
    st.sampled_from(TYPES),
    st.sampled_from(["alpha", "beta"]),
    st.sampled_from(["one", "two"]),
    st.sampled_from("12"),
)
# (source, units that are there afterwards)
histories = st.lists(
    st.tuples(st.sampled_from(SOURCES), st.lists(units, max_size=6, unique_by=lambda u: u.digest)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=10, deadline=None)
@given(histories)
def test_kept_counts_are_those_of_the_units(
    history: list[tuple[str, list[IdentifiedUnit]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        by_digest: dict[str, dict[str, IdentifiedUnit]] = {source: {} for source in SOURCES}
        for source, wanted in history:
            before = _all(by_digest)
            now = {str(unit.digest): unit for unit in wanted}
            held = by_digest[source]
            result = change(
                writer,
                id_,
                joins=[unit for digest, unit in now.items() if digest not in held],
                leaves=[unit for digest, unit in held.items() if digest not in now],
                source=source,
            )
            by_digest[source] = now
            _check(writer, id_, before, _all(by_digest))
            assert result.created == (before.keys() != _all(by_digest).keys())


def _all(by_source: dict[str, dict[str, IdentifiedUnit]]) -> dict[str, IdentifiedUnit]:
    return {digest: unit for held in by_source.values() for digest, unit in held.items()}


def _check(
    writer: Writer,
    repository_id: int,
    before: dict[str, IdentifiedUnit],
    after: dict[str, IdentifiedUnit],
) -> None:
    number = writer.actual_state().repositories["team"].number
    types = Counter(unit.unit.type for unit in after.values())
    assert writer.counts(repository_id, number) == types
    assert writer.actual_state().repositories["team"].units == len(after)
    if before.keys() == after.keys():
        return
    came, went = (
        Counter(
            (unit.unit.type, unit.group, unit.unit.key)
            for digest, unit in there.items()
            if digest not in other
        )
        for there, other in ((after, before), (before, after))
    )
    changed = (came & went).total()
    record = writer.version(repository_id, number)
    assert record is not None
    assert (record.added, record.removed, record.changed) == (
        came.total() - changed,
        went.total() - changed,
        changed,
    )
    assert writer.versions(repository_id)[0] == record
