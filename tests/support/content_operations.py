"""Operations of the database room that read a few groups or artifacts, or record their bytes."""

from __future__ import annotations

from reconciler.database import ArtifactOrigin, ServedPublication
from reconciler.model import Digest
from tests.support.databases import NOW, a_unit, by_group
from tests.support.large_states import REMOTE, LargeState, artifact_of, group_name

_FIRST, _SECOND = map(group_name, range(2))
_ARTIFACTS = [artifact_of(1, 0), artifact_of(1, 1)]


def browsing(state: LargeState) -> None:
    reader, of, shown = state.writer, state.repository_id, state.publication_id
    reader.group_extents(shown, 1, [_FIRST, _SECOND])
    reader.unit_counts(of, 1, [_FIRST, _SECOND])
    reader.group_entries(shown, 1, _FIRST)
    reader.withheld_of(of, 1, [_FIRST, _SECOND], publication_id=shown, number=1)
    reader.moment(ServedPublication(shown, "team", "team", 1))


def content(state: LargeState) -> None:
    writer = state.writer
    writer.stored(_ARTIFACTS)
    writer.stored_sizes(_ARTIFACTS)
    writer.known_sizes(_ARTIFACTS)
    writer.artifact_origins(_ARTIFACTS[0])
    writer.origins_of(_ARTIFACTS)
    writer.signed(Digest.of(b"text"), "lines: key")
    writer.recorded_urls("up", [digest.raw for digest in _ARTIFACTS])
    writer.first_sights(_ARTIFACTS)
    writer.record_first_sights({_ARTIFACTS[0]: NOW})
    unit = a_unit(_FIRST, "stored.bin", artifact=True)
    sha = Digest.parse(unit.artifacts[0].sha256)
    origin = ArtifactOrigin(REMOTE, "http://a.example.org/")
    writer.record_units(by_group(unit), {sha: 3}, {sha: origin})
    writer.record_units(by_group(a_unit(_FIRST, "declared.bin", artifact=True)), {}, {})
