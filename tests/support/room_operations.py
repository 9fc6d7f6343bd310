"""Every public operation of the database room, once, with a change of one size for any state.

Those of `WHOLE` answer for everything that they are asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import count

from reconciler.database import (
    Attachment,
    CommittedSource,
    DerivedArtifact,
    DroppedFile,
    Entry,
    EntryKey,
    GzipPage,
    ManualChanges,
    NewEntry,
    PublicationStage,
    RemovedUpload,
    ServedPublication,
    Signature,
    StagedGroup,
    StagedMember,
)
from reconciler.errors import Conflict, PluginFault, StateFault
from reconciler.model import (
    QUARANTINED_STATUS,
    STATUS,
    UPLOAD,
    CheckedTree,
    Chunk,
    ChunkedBody,
    Digest,
    FilterVerdict,
    Kind,
    Mark,
    MarkRecord,
    Ref,
    bucket_of,
)
from tests.support import content_operations
from tests.support.databases import (
    NOW,
    SELECTION,
    a_unit,
    by_group,
    change,
    committed,
    group_digests,
    repository,
)
from tests.support.large_states import (
    MEDIA_TYPE,
    REMOTE,
    SOURCE,
    TYPE,
    LargeState,
    artifact_of,
    group_name,
    page_of,
    path_of,
    unit_digest,
)
from tests.support.pulled_operations import pulled

Operation = Callable[[LargeState], object]

MIB = 1024 * 1024
_FIRST, _SECOND, _THIRD, _FOURTH = map(group_name, range(4))
_ARTIFACTS = [artifact_of(1, 0), artifact_of(1, 1)]
_UNIT = unit_digest(1, 0)
_VERDICT = FilterVerdict(SELECTION, SELECTION, 1)


def _all(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def _served(state: LargeState) -> ServedPublication:
    return ServedPublication(state.publication_id, "team", "team", 1)


def _publish(state: LargeState, *, full: bool = False) -> PublicationStage:
    digest = Digest.of(b"another")
    return state.writer.publish(
        state.publication_id, version=1, version_digest=digest, digest=digest, now=NOW, full=full
    )


def _file(number: int, file: int, group: str | None = None) -> Entry:
    name = group_name(number) if group is None else group
    return Entry(path_of(number, file), MEDIA_TYPE, name, False, artifact_of(number, file), 10)


def _page(number: int, note: bytes) -> Entry:
    path = f"simple/{group_name(number)}/"
    return Entry(path, "text/html", group_name(number), True, Digest.of(note), len(note))


def _replace(stage: PublicationStage, number: int, note: bytes) -> None:
    """Replace a group by its first file and another page: the second file is dropped.

    The page is so large that it is written at once.
    """
    entries = [_file(number, 0), _page(number, note)]
    pages = {Digest.of(note): GzipPage(bytes(4 * MIB), len(note))}
    signed = [Signature(digest, "lines: key", digest) for digest in pages]
    stage.replace_group(group_name(number), entries, pages, signatures=signed)


def publish_one(state: LargeState) -> None:
    with _publish(state) as stage:
        _replace(stage, 0, b"next")
        index = Entry("simple/", "text/html", None, True, page_of(1), 10, immutable=True)
        stage.replace_group(None, [index], {})
        _replace(stage, 0, b"next again")  # what the first call wrote is dropped
        before = {unit_digest(0, 0): "denied", unit_digest(10, 0): "denied"}
        units = {unit_digest(10, 0): "refused", unit_digest(1, 0): "denied"}
        stage.withhold(FilterVerdict(SELECTION, SELECTION, 1), units, before=before)
        state.writer.point(state.publication_id, stage.complete().number, NOW)


def publish_all(state: LargeState) -> None:
    """A publication from which every group but one goes."""
    with _publish(state, full=True) as stage:
        _replace(stage, 1, b"full")
        stage.complete()
    state.writer.point(state.publication_id, 1)


def swept_publication(state: LargeState) -> None:
    """The next publication undoes what a run that ended had begun."""
    _replace(_publish(state), 2, b"never")
    _publish(state).discard()


def clashing_publication(state: LargeState) -> None:
    with _publish(state) as stage:
        _replace(stage, 3, b"three")
        body = GzipPage(bytes(4 * MIB), 5)
        try:
            stage.replace_group("other", [_page(3, b"three")], {Digest.of(b"three"): body})
        except PluginFault:
            return
    raise AssertionError("two groups emitted one path")


def commit_one(state: LargeState) -> None:
    """A unit leaves and another one joins; a listing that was complete is remembered."""
    unit = a_unit(_FIRST, "new.bin")
    state.writer.record_units(by_group(unit), {})
    groups = [
        StagedGroup(_FIRST, SOURCE, _digest(state, _FIRST), committed(_FIRST)),
        StagedGroup(_SECOND, SOURCE, _digest(state, _SECOND), None),
    ]
    leaving = StagedMember(_FIRST, unit_digest(0, 0), SOURCE, False)
    members = [StagedMember(_FIRST, unit.digest, SOURCE, True), leaving]
    with state.writer.stage(state.repository_id, NOW) as stage:
        stage.add(groups, members)
        stage.commit({}, {SOURCE: CommittedSource("v2", SELECTION)}, NOW)


def commit_moved(state: LargeState) -> None:
    """The same units from another source: the intervals are moved back."""
    moved = [unit_digest(2, file) for file in range(2)]
    with state.writer.stage(state.repository_id) as stage:
        stage.add(
            [
                StagedGroup(_THIRD, source, _digest(state, _THIRD), committed(_THIRD))
                for source in (SOURCE, "uploads")
            ],
            [StagedMember(_THIRD, unit, SOURCE, False) for unit in moved]
            + [StagedMember(_THIRD, unit, "uploads", True) for unit in moved],
        )
        stage.commit({}, {}, NOW, scratchpads={"repository": 1}, seen={"repository": None})


def commit_alone(state: LargeState) -> None:
    """A group comes into a bucket that holds no other, and goes again."""
    taken = {bucket_of(group_name(number)) for number in range(state.groups)}
    name = next(name for name in map(str, count()) if bucket_of(name) not in taken)
    unit = a_unit(name, "alone.bin")
    change(state.writer, state.repository_id, joins=[unit])
    change(state.writer, state.repository_id, leaves=[unit])


def commit_upload(state: LargeState) -> None:
    """A file is uploaded, and removed again."""
    unit = a_unit("uploaded", "mine.bin")
    change(state.writer, state.repository_id, joins=[unit], source=UPLOAD)
    assert state.writer.upload_totals(state.repository_id).files == 1
    change(state.writer, state.repository_id, leaves=[unit], source=UPLOAD)


def refused_commits(state: LargeState) -> None:
    """Groups that moved, units that were never recorded, units without bytes."""
    with state.writer.stage(state.repository_id) as stage:
        stage.add([StagedGroup(_FIRST, SOURCE, SELECTION, None)], [])
        try:
            stage.commit({}, {}, NOW)
        except Conflict:
            assert stage.leave_out_moved() == {(_FIRST, SOURCE)}
        try:
            stage.add([], [StagedMember(_FIRST, SELECTION, SOURCE, True)])
        except StateFault:
            return
    raise AssertionError("what was never recorded was staged")


def delisted_keys(state: LargeState) -> None:
    """Upstream lists two files no longer, and then one of them again."""
    writer, of = state.writer, state.repository_id
    keys = [(TYPE, f"{file}.bin") for file in range(2)]
    for delisted, relisted in ((keys, []), ([], keys[:1])):
        with writer.stage(of) as stage:
            digest = _digest(state, _FOURTH)
            group = StagedGroup(
                _FOURTH, SOURCE, digest, committed(_FOURTH), delisted=delisted, relisted=relisted
            )
            stage.add([group], [])
            stage.commit({}, {}, NOW)
    latest = writer.examined(of)[0]
    assert writer.delisted_keys(of, SOURCE, [_FOURTH])
    writer.left_keys(of, SOURCE, [_FOURTH])
    assert writer.delisted_units(of, latest)
    writer.delisted_copies(of, latest, source=SOURCE, of=of)
    assert writer.delisted_digests(of)


def manual_changes(state: LargeState) -> None:
    """A quarantine by hand and a removed upload, and both taken back."""
    writer, of = state.writer, state.repository_id
    mark = MarkRecord(Mark(STATUS, _FIRST, (_FIRST,), QUARANTINED_STATUS), "ada", NOW)
    removed = RemovedUpload(_FIRST, TYPE, "0.bin", b"{}", "ada", NOW)
    back = ManualChanges(unmarked=[(STATUS, _FIRST)], returned=[(_FIRST, TYPE, "0.bin")])
    for changes in (ManualChanges(marks=[mark], removed=[removed]), back):
        with writer.stage(of) as stage:
            stage.commit({}, {}, NOW, manual=changes)
        is_back = changes is back
        assert writer.marks(of) == ([] if is_back else [mark])
        assert writer.quarantined_by_hand(of) == (set() if is_back else {_FIRST})
        assert writer.removed_uploads(of, [_FIRST]) == ([] if is_back else [removed])


def clashing_names(state: LargeState) -> None:
    """A file that excludes another one which joined since names were checked."""
    writer, of = state.writer, state.repository_id
    tree = CheckedTree(writer.examined(of)[0], folded=True)
    other, unit = (a_unit(_THIRD, name, artifact=True) for name in ("Name", "name"))
    sizes = {Digest.parse(joining.artifacts[0].sha256): 1 for joining in (other, unit)}
    writer.record_units(by_group(other, unit), sizes)
    change(writer, of, joins=[other])
    with writer.stage(of) as stage:
        group = StagedGroup(_THIRD, SOURCE, _digest(state, _THIRD), committed(_THIRD))
        stage.add([group], [StagedMember(_THIRD, unit.digest, SOURCE, True)])
        assert stage.leave_out_clashing(tree)


def _digest(state: LargeState, name: str) -> Digest | None:
    return group_digests(state.writer, state.repository_id, [name]).get(name)


def lease(state: LargeState) -> None:
    held = state.writer.acquire("work", ttl_seconds=60, now=NOW)
    state.writer.heartbeat(held, NOW)
    state.writer.oldest_lease(NOW)
    state.writer.release(held)


def run(state: LargeState) -> None:
    id_ = state.writer.start_run(plan_digest=None, manifest_digest=None, provenance={}, now=NOW)
    state.writer.finish_run(id_, [], NOW)
    state.writer.runs(10)


def damage(state: LargeState) -> None:
    writer = state.writer
    writer.record_damage({_ARTIFACTS[0]: "missing"}, NOW)
    assert len(writer.artifact_uses(_ARTIFACTS)) == 2
    writer.damage()
    writer.forget_damage(_ARTIFACTS)
    writer.artifact_stored(_ARTIFACTS[0], 10)
    writer.artifacts_stored({_ARTIFACTS[0]: 10})
    writer.artifacts_removed([artifact_of(3, 0)])
    writer.forget_pages(state.publication_id, [page_of(3)])


def derived(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    made = Digest.of(b"made")
    writer.artifact_stored(artifact_of(1, 1), 10)  # for which the unit 4 has waited
    latest = writer.examined(of)[0]
    assert writer.has_extractable_units(of, latest)
    assert [unit.id for unit in writer.extractable_units(of, latest)] == [4]
    derived = [DerivedArtifact(4, "1.metadata", made)]
    writer.record_derived(derived, {made: 4}, examined=[4])
    writer.mark_examined(of, latest - 1)
    _all(writer.unexamined_units(of, latest - 1, latest))
    writer.derived_artifacts(of, latest, [_FIRST])
    writer.derived_groups(of, latest, 1)
    writer.derivation(of, latest)


def plugins(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    writer.attach(of, [Attachment("importer:test", None)])
    writer.attachments(of)
    writer.every_attachment()
    writer.set_scratchpads(of, {"importer:test": {"a": 1}, "repository": None})
    writer.scratchpad(of, "importer:test")
    writer.detach(of, "importer:test")


def lingering(state: LargeState) -> None:
    writer, of = state.writer, state.publication_id
    dropped = writer.dropped_files(of, NOW - timedelta(days=1))
    kept = [DroppedFile(file.entry, file.added, file.removed, False) for file in dropped]
    writer.set_lingering(of, lingering=kept, gone=[])
    assert writer.lingering_files(of, 1, 2)
    assert not writer.lingering_by_themselves(of, 2, now=NOW, longest=60)
    gone = kept[0].entry.path
    served = ServedPublication(of, "team", "team", 2)
    assert writer.content(served, gone, now=NOW) == writer.lingering(served, gone, now=NOW)


def resources(state: LargeState) -> None:
    writer = state.writer
    more = {"second": [Attachment("importer:test", None)]}
    writer.record_resources([repository("second")], now=NOW, attachments=more)
    actual = writer.actual_state()
    writer.update_metadata([actual.resources[Ref(Kind.REPOSITORY, "second")]])
    writer.repository_ids()
    writer.record_resources([], now=NOW, deleted=[Ref(Kind.REPOSITORY, "second")])


def groups(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    writer.committed_source(of, SOURCE)
    writer.committed_sources(of)
    writer.committed_group(of, SOURCE, _FIRST)
    writer.source_due(of, SOURCE)
    writer.source_incomplete(of, SOURCE)
    writer.withdrawn_groups(of)
    writer.current_units(of, [_FIRST])
    writer.current_units(of, [_FIRST], SOURCE)


def members(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    writer.units(of, 1, [_FIRST])
    writer.members(of, 1, [_FIRST])
    writer.sourced_units(of, 1, [_FIRST])
    writer.unit_sources(of, [_UNIT])
    writer.groups_of_others(of, 1, [SOURCE], names=[_FIRST])


def versions(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    listed = writer.versions(of)
    writer.version(of, listed[0].number)
    writer.counts(of, listed[0].number)
    writer.version_by_digest(of, listed[0].digest)
    writer.actual_state()
    _all(writer.changed_groups(of, 1, 2))
    _all(writer.difference(of, 1, 2))


def publications(state: LargeState) -> None:
    writer, of = state.writer, state.publication_id
    writer.publication(of)
    writer.publication_numbered(of, 1)
    writer.last_complete(of)
    writer.served()
    writer.generation()
    writer.entries(of, 1, path_of(0, 0))
    assert writer.content(_served(state), path_of(1, 1), now=NOW)
    writer.pages([page_of(0)])
    for folder in ("", "files/", f"files/{_FIRST}/", "simple/"):
        assert writer.names_below(_served(state), folder, limit=5)
    _all(writer.entries_between(of, 1, 2))
    _all(writer.appeared_artifacts(of, 2))


def change_indexes(state: LargeState) -> None:
    """An entry leaves an index and one joins another; and once more, in vain."""
    content, of = b"content of a chunk", state.publication_id
    body = ChunkedBody(Digest.of(b"body"), 18, False, 0, [Chunk(SELECTION.raw, 18, 18)])
    for complete in (True, False):
        with _publish(state) as stage:
            indexes = stage.indexes
            [leaving] = indexes.entries_of([_FIRST if complete else _SECOND])
            joining = NewEntry(EntryKey(f"small {complete}", b"a", bytes(16)), _THIRD, b"entry")
            indexes.change([joining], indexes.entries_of([leaving])[leaving])
            assert list(indexes.entries(f"small {complete}"))
            indexes.set_files("large", "{}")
            indexes.set_files("empty", "")
            stage.write_chunks({SELECTION.raw: (content, len(content))})
            entry = Entry("large", "text/plain", "\x01large", True, body.digest, body.size)
            stage.replace_group("\x01large", [entry], {}, chunked=[body])
            stage.withhold(_VERDICT, {}, before={})  # nothing of it differs
            if complete:
                stage.complete()
    assert state.writer.chunked_bodies([body.digest])
    assert state.writer.chunks([SELECTION.raw])
    state.writer.forget_pages(of, [body.digest])


def _render_index(state: LargeState) -> None:
    with _publish(state) as stage:
        assert stage.indexes.files()
        _all(stage.indexes.entries("large"))


def verdicts(state: LargeState) -> None:
    reasons = {unit_digest(10, 0): "refused again"}
    state.writer.judge(state.publication_id, 2, _VERDICT, reasons=reasons)
    assert not state.writer.quarantined_groups(state.publication_id, 2)


SMALL: dict[str, Operation] = {
    "commit_one": commit_one,
    "commit_moved": commit_moved,
    "commit_alone": commit_alone,
    "commit_upload": commit_upload,
    "delisted_keys": delisted_keys,
    "manual_changes": manual_changes,
    "clashing_names": clashing_names,
    "refused_commits": refused_commits,
    "publish_one": publish_one,
    "swept_publication": swept_publication,
    "clashing_publication": clashing_publication,
    "lingering": lingering,
    "browsing": content_operations.browsing,
    "content": content_operations.content,
    "pulled": pulled,
    "groups": groups,
    "members": members,
    "versions": versions,
    "publications": publications,
    "verdicts": verdicts,
    "lease": lease,
    "run": run,
    "damage": damage,
    "derived": derived,
    "plugins": plugins,
    "resources": resources,
    "change_indexes": change_indexes,
}


def _artifacts(state: LargeState) -> None:
    writer = state.writer
    _all(writer.stored_artifacts())
    _all(writer.artifacts_of_repository(state.repository_id))
    _all(writer.artifacts_of_publication(state.publication_id, 1))
    writer.known_artifacts()
    writer.needed_artifacts()
    writer.remove_unused_pages(dry_run=False)


def _version(state: LargeState) -> None:
    writer, of = state.writer, state.repository_id
    _all(writer.version_groups(of, 1))
    _all(writer.version_groups(of, writer.examined(of)[0]))
    _all(writer.group_names(of, 1))
    _all(writer.changed_groups(of, 0, 1))
    writer.groups_of_others(of, 1, ["remote:b"])
    writer.committed_groups(of, SOURCE)
    _all(writer.held_groups(of, SOURCE))


def _delete(state: LargeState) -> None:
    refs = [Ref(kind, "team") for kind in (Kind.PUBLICATION, Kind.REPOSITORY)]
    state.writer.record_resources([], now=NOW, deleted=refs)


WHOLE: dict[str, Operation] = {
    "withheld": lambda state: state.writer.withheld(state.publication_id, 1),
    "page_moments": lambda state: state.writer.page_moments(_served(state), "simple/", "text/html"),
    "render_index": _render_index,
    "publish_all": publish_all,
    "all_entries": lambda state: _all(state.writer.all_entries(state.publication_id, 1)),
    "artifacts": _artifacts,
    "version": _version,
    "publications_showing": lambda state: state.writer.publications_showing(_ARTIFACTS),
    "held_paths": lambda state: _all(state.writer.held_paths(state.repository_id)),
    "find_units": lambda state: state.writer.find_units(state.repository_id, 1, "0.bin"),
    "only_from": lambda state: state.writer.only_from([REMOTE], state.repository_id, 1, others=[]),
    "deletion": _delete,
}
