"""Operations on what publications fetched for clients, for `room_operations`."""

from __future__ import annotations

from reconciler.database import Entry, GzipPage, PulledFile, PulledGroup
from reconciler.model import Digest
from tests.support.databases import NOW
from tests.support.large_states import MEDIA_TYPE, LargeState, artifact_of, path_of, unit_digest

_HELD = artifact_of(1, 0)


def pulled(state: LargeState) -> None:
    writer, of = state.writer, state.publication_id
    entry = Entry(path_of(1, 0), MEDIA_TYPE, "pulled", False, _HELD, 10)
    group = PulledGroup(
        "pulled", NOW, NOW, NOW, Digest.of(b"rules"), [entry], [unit_digest(1, 0)], True
    )
    writer.write_pulled(of, group, {Digest.of(b"page"): GzipPage(b"page", 4)})
    writer.pulled_checked(of, "pulled", checked=NOW, due=NOW)
    assert writer.pending_groups(of, limit=10) == [group]
    writer.pulled_settled(of, [group])
    assert not writer.pending_groups(of, limit=10)
    assert writer.pulled_group(of, "pulled")
    loose = PulledFile(Digest.of(b"loose"), 10, NOW)
    writer.pulled_used(of, [loose, PulledFile(_HELD, 10, NOW)])
    assert writer.pulled_size(of) == 20
    assert writer.loose_files(of) == [loose]
    writer.forget_pulled_files(of, [loose.digest])
