"""Totals of uploads are those of the units that the source `upload` brought, and hold a quota."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.database import StagedGroup, StagedMember, Writer
from reconciler.errors import QuotaExceeded
from reconciler.model import UPLOAD, Quota, UploadTotals, artifact_digest
from tests.support.databases import (
    NOW,
    a_unit,
    by_group,
    change,
    committed,
    created_repository,
    database,
)

SIZE = 7
UNITS = [a_unit(group, key, artifact=True, size=SIZE) for group in "ab" for key in ("1", "2")]
# (source, indexes of the units that it holds afterwards)
histories = st.lists(
    st.tuples(st.sampled_from([UPLOAD, "remote:a"]), st.sets(st.integers(0, 3))),
    min_size=1,
    max_size=6,
)


def stored(writer: Writer) -> None:
    sizes = {artifact_digest(artifact): SIZE for unit in UNITS for artifact in unit.artifacts}
    writer.record_units(by_group(*UNITS), sizes)


@settings(max_examples=10, deadline=None)
@given(histories)
def test_kept_totals_are_those_of_uploaded_units(history: list[tuple[str, set[int]]]) -> None:
    """Other sources may hold the same units; a commit that makes no version counts as well."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        stored(writer)
        held: dict[str, set[int]] = {UPLOAD: set(), "remote:a": set()}
        for source, wanted in history:
            change(
                writer,
                id_,
                joins=[UNITS[index] for index in sorted(wanted - held[source])],
                leaves=[UNITS[index] for index in sorted(held[source] - wanted)],
                source=source,
            )
            held[source] = wanted
            count = len(held[UPLOAD])
            assert writer.upload_totals(id_) == UploadTotals(count, count * SIZE)


@pytest.mark.parametrize("quota", [Quota(files=1), Quota(size=2 * SIZE - 1)])
def test_of_two_that_race_for_what_is_left_one_is_refused_and_leaves_nothing(
    quota: Quota, tmp_path: Path
) -> None:
    """Both were prepared while there was room for either."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        stored(writer)
        first, second = UNITS[0], UNITS[2]
        with writer.stage(id_) as faster, writer.stage(id_) as slower:
            for stage, unit in ((faster, first), (slower, second)):
                stage.add(
                    [StagedGroup(unit.group, UPLOAD, None, committed(unit.group))],
                    [StagedMember(unit.group, unit.digest, UPLOAD, True)],
                )
            faster.commit({}, {}, NOW, quota=quota)
            with pytest.raises(QuotaExceeded, match="more would be too") as caught:
                slower.commit({}, {}, NOW, quota=quota)
        assert "raise `quota`" in (caught.value.hint or "")
        assert writer.upload_totals(id_) == UploadTotals(1, SIZE)
        assert writer.actual_state().repositories["team"].number == 1
        assert writer.current_units(id_, ["a", "b"]).keys() == {"a"}


def test_what_does_not_grow_is_never_too_much() -> None:
    held = UploadTotals(10, 1_000)
    for growth in (UploadTotals(-1, -100), UploadTotals(0, 0), UploadTotals(0, -1)):
        Quota(size=10, files=1).check(held, growth)
    with pytest.raises(QuotaExceeded, match=r"1,000 B of|1000 B of 10 B are uploaded, 1 B more"):
        Quota(size=10).check(held, UploadTotals(0, 1))
    with pytest.raises(QuotaExceeded, match="10 of 10 files are uploaded, 1 more"):
        Quota(files=10).check(held, UploadTotals(1, 0))
