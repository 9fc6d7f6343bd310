"""Facts: resources, versions, publications, leases and the journal. The only room that knows SQL.

Comes in: records, units, digests, and the time as an argument. Goes out: the same, never a row, a
session or a statement. Must never know: files of content, networks, manifests' syntax, any
packaging format, the clock.

`Database(url).open(read_only=...)` hands out a `Reader`, through which nothing can be written, or a
`Writer`. The order of writing is bytes (in the store), rows (`record_units`, `stage`), flip
(`Stage.commit`), publication (`publish`, chunks of large pages, their lists together with the
entries, `PublicationStage.complete`), pointer (`point`); deletion goes the other way. A crash
between any two steps leaves rows without references, which the next `stage` or `publish` sweeps
away, and `gc` where they are chunks.
"""

from reconciler.database.commits import Stage
from reconciler.database.database import Database, Reader, Writer
from reconciler.database.index_entries import EntryKey, NewEntry, StagedIndexes
from reconciler.database.plugins import scratchpad_digest
from reconciler.database.publishing import PublicationStage
from reconciler.database.pulled import PulledFile, PulledGroup
from reconciler.database.records import (
    INDEX,
    NO_MANUAL_CHANGES,
    SUMMARY,
    ArtifactOrigin,
    ArtifactUse,
    Attachment,
    CommitResult,
    CommittedGroup,
    CommittedSource,
    CurrentUnit,
    Damage,
    DelistedUnit,
    Derivation,
    DerivedArtifact,
    Difference,
    DroppedFile,
    Entry,
    EntryChange,
    ExaminedUnit,
    FoundUnit,
    GzipPage,
    Lease,
    LingeringEntry,
    ManualChanges,
    Outcome,
    PublicationRecord,
    RemovedUpload,
    RunRecord,
    ServedContent,
    ServedPublication,
    Signature,
    SourcedUnit,
    StagedGroup,
    StagedMember,
    UnitKey,
    VersionRecord,
    WithheldUnit,
    group_label,
    is_mark,
)
from reconciler.database.schema import QUARANTINED, WITHDRAWN, WITHDRAWN_GONE

__all__ = [
    "INDEX",
    "NO_MANUAL_CHANGES",
    "QUARANTINED",
    "SUMMARY",
    "WITHDRAWN",
    "WITHDRAWN_GONE",
    "ArtifactOrigin",
    "ArtifactUse",
    "Attachment",
    "CommitResult",
    "CommittedGroup",
    "CommittedSource",
    "CurrentUnit",
    "Damage",
    "Database",
    "DelistedUnit",
    "Derivation",
    "DerivedArtifact",
    "Difference",
    "DroppedFile",
    "Entry",
    "EntryChange",
    "EntryKey",
    "ExaminedUnit",
    "FoundUnit",
    "GzipPage",
    "Lease",
    "LingeringEntry",
    "ManualChanges",
    "NewEntry",
    "Outcome",
    "PublicationRecord",
    "PublicationStage",
    "PulledFile",
    "PulledGroup",
    "Reader",
    "RemovedUpload",
    "RunRecord",
    "ServedContent",
    "ServedPublication",
    "Signature",
    "SourcedUnit",
    "Stage",
    "StagedGroup",
    "StagedIndexes",
    "StagedMember",
    "UnitKey",
    "VersionRecord",
    "WithheldUnit",
    "Writer",
    "group_label",
    "is_mark",
    "scratchpad_digest",
]
