"""Records that the database room takes and returns: plain data, no SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from reconciler.model import GRACE, Artifact, Digest, FilterVerdict, MarkRecord, StoredUnit


class DeclaredUnit(Protocol):
    """A unit to record: an IdentifiedUnit, or a line of a plan that has a digest."""

    @property
    def digest(self) -> Digest | None: ...

    @property
    def type(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def body(self) -> bytes | msgspec.Raw:
        """The canonical JSON whose digest is the unit's."""
        ...

    @property
    def artifacts(self) -> Sequence[Artifact]: ...


class CommittedSource(msgspec.Struct, frozen=True):
    """State of a source at its last completed listing.

    `validator`: of the listing, or of the whole source; `selection`: digest of the options that
    decided then.
    """

    validator: str | None
    selection: Digest | None


class CommittedGroup(msgspec.Struct, frozen=True):
    """State of a group of a source when it was last read completely.

    `validator` is None when something of it failed. `selection`: digest of the options, filters and
    content-type revisions that decided; `reconsider_at`: when time alone changes a decision.
    `offered`: digest of all units that upstream offered where every one of them was let in, else
    None.
    """

    name: str
    validator: str | None
    selection: Digest
    reconsider_at: datetime | None = None
    offered: Digest | None = None


class ArtifactOrigin(msgspec.Struct, frozen=True):
    """An origin of bytes: the name of a remote, and the URL without query and user info.

    `needs_page`: it had some, so that the page has to be read again for the whole of it.
    """

    remote: str
    url: str
    needs_page: bool = False


class Attachment(msgspec.Struct, frozen=True):
    """A plugin that a repository uses.

    `owner`: `importer:<id>` or `publisher:<id>`; `config`: digest of its configuration.
    """

    owner: str
    config: Digest | None


class CurrentUnit(msgspec.Struct, frozen=True):
    """A member of a repository's latest version and the source that brought it."""

    digest: Digest
    body: bytes
    source: str


class DelistedUnit(msgspec.Struct, frozen=True):
    """A unit of a version that upstream no longer lists, and the source that brought it.

    `brought_by`: number of all sources that bring it to the version.
    """

    group: str
    type: str
    key: str
    digest: Digest
    source: str
    brought_by: int


class FoundUnit(msgspec.Struct, frozen=True):
    """A member of a version.

    `added`: the number of the version since which `source` has been bringing it.
    """

    group: str
    digest: Digest
    body: bytes
    source: str
    added: int


UnitKey = tuple[str, str]  # (type, key): unique within a group


class StagedGroup(msgspec.Struct, frozen=True):
    """A group that a commit touches.

    `was`: the group's digest that the plan saw (None: no group), the compare of compare-and-swap.
    `committed`: the state to record for `source`; None deletes it (the source no longer holds the
    group). `delisted`, `relisted`: keys that upstream no longer lists, and those it lists again.
    """

    name: str
    source: str
    was: Digest | None
    committed: CommittedGroup | None
    delisted: Sequence[UnitKey] = ()
    relisted: Sequence[UnitKey] = ()


class RemovedUpload(msgspec.Struct, frozen=True):
    """An upload that was removed. `body`: of its unit; `principal`: who removed it, and when."""

    group: str
    type: str
    key: str
    body: bytes
    principal: str
    removed_at: datetime


class ManualChanges(msgspec.Struct, frozen=True):
    """Record of changes by hand, which a commit makes.

    `marks` replace those of the same kind about the same content; `unmarked`: (kind, what) of marks
    that are dropped. `removed`: uploads whose keys keep their bytes; `returned`: (group, type, key)
    of those that came back.
    """

    marks: Sequence[MarkRecord] = ()
    unmarked: Sequence[tuple[str, str]] = ()
    removed: Sequence[RemovedUpload] = ()
    returned: Sequence[tuple[str, str, str]] = ()


NO_MANUAL_CHANGES = ManualChanges()


class StagedMember(msgspec.Struct, frozen=True):
    """One unit joins (`joins=True`) or leaves a group, for one source."""

    group: str
    unit: Digest
    source: str
    joins: bool


class CommitResult(msgspec.Struct, frozen=True):
    """The latest version after a commit. `created`: True if the commit made it."""

    number: int
    digest: Digest
    created: bool


class VersionRecord(msgspec.Struct, frozen=True):
    """A version of a repository. The counts are differences to the version before it."""

    number: int
    digest: Digest
    created_at: datetime
    added: int
    removed: int
    changed: int
    provenance: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Difference(msgspec.Struct, frozen=True):
    """A unit that differs between two versions; its body is None on the side that lacks it."""

    group: str
    before: bytes | None
    after: bytes | None


# Marks before the names of indexes and summaries, where those of groups stand. No name of a group
# holds a control character.
INDEX, SUMMARY = "\x01", "\x02"


def is_mark(group: str | None) -> bool:
    """Return True for what stands in the place of a group: an index, or a summary of indexes."""
    return group is not None and group[:1] in (INDEX, SUMMARY)


def group_label(group: str) -> str:
    """Return what messages say instead of the group of an entry."""
    kinds = {INDEX: "index", SUMMARY: "summary"}
    kind = kinds.get(group[:1])
    return f"the group `{group}`" if kind is None else f"the {kind} `{group[1:]}`"


class Entry(msgspec.Struct, frozen=True):
    """A representation of a path of a publication.

    `page`: the body is a rendered page in the database, else an artifact in the store. `digest`: of
    the uncompressed body. `size`: its bytes; None for an artifact whose size is neither counted nor
    declared. `position`: order of emission among the representations of one path; the first is the
    default.

    `immutable`: the publisher promised that no other bytes come under the path. `addressed`: a page
    that holds the token of a base URL, which is replaced when it is served or exported. `linger`:
    seconds for which it stays reachable once a version dropped it.
    """

    path: str
    media_type: str
    group: str | None
    page: bool
    digest: Digest
    size: int | None
    aliases: tuple[str, ...] = ()
    position: int = 0
    immutable: bool = False
    addressed: bool = False
    linger: int = 0

    def stays_for(self, grace: int) -> timedelta:
        """Return how long it stays reachable once a version dropped it; pages have no grace."""
        return timedelta(seconds=max(self.linger, 0 if self.page else grace))


class DroppedFile(msgspec.Struct, frozen=True):
    """A file, or a page that may linger, which a publication held from `added` until `removed`.

    `lingers`: it stays reachable for a while.
    """

    entry: Entry
    added: int
    removed: int
    lingers: bool


class LingeringEntry(msgspec.Struct, frozen=True):
    """An entry that a publication dropped, and the moment until which it stays reachable."""

    entry: Entry
    until: datetime


class EntryChange(msgspec.Struct, frozen=True):
    """An entry that only one of two publications has; `appears`: it is the second."""

    entry: Entry
    appears: bool


class GzipPage(msgspec.Struct, frozen=True):
    """A rendered page to write: its body compressed with gzip, and its uncompressed bytes."""

    body: bytes
    size: int


class Signature(msgspec.Struct, frozen=True):
    """A signature that a page holds.

    `text`: digest of what is signed. `signer`: publisher, key and form of the signature.
    """

    text: Digest
    signer: str
    page: Digest


class Derivation(msgspec.Struct, frozen=True):
    """Identity of what a version shows in the place of declared artifacts.

    `digest`: None where nothing differs. `seq`: of the last change that it knows.
    """

    digest: Digest | None = None
    seq: int = 0


class PublicationRecord(msgspec.Struct, frozen=True):
    """A completed publication. `number` counts those of one Publication resource from 1.

    `first_seen`: digest of the first sights that are shown as dates; None where none is. `linger`:
    the longest, in seconds, that anything stays reachable which it, or one before it, held.
    """

    number: int
    version: int
    version_digest: Digest
    digest: Digest
    published_at: datetime
    verdict: FilterVerdict = FilterVerdict()
    derivation: Derivation = Derivation()
    first_seen: Digest | None = None
    linger: int = 0


UnitName = tuple[str, str, str]  # (group, type, key)


class ExaminedUnit(msgspec.Struct, frozen=True):
    """A unit with the ID of its row."""

    id: int
    unit: StoredUnit


class DerivedArtifact(msgspec.Struct, frozen=True):
    """Bytes that are shown at a path of a unit in the place of what its source declares.

    `digest`: None, nothing is shown. `within`: path of the artifact to make them of once its bytes
    are here.
    """

    unit_id: int
    path: str
    digest: Digest | None
    within: str | None = None


class WithheldUnit(msgspec.Struct, frozen=True):
    """A unit that a publication leaves out although its version holds it, and the reason."""

    group: str
    type: str
    key: str
    digest: Digest
    reason: str


class Damage(msgspec.Struct, frozen=True):
    """Bytes that the store lost: what is wrong with them, and when that was found."""

    digest: Digest
    problem: str
    found_at: datetime


class ArtifactUse(msgspec.Struct, frozen=True, order=True):
    """An artifact of a unit of some version of a repository. `body`: the encoded unit."""

    digest: Digest
    repository: str
    group: str
    source: str
    path: str
    body: bytes


class SourcedUnit(msgspec.Struct, frozen=True):
    """A unit of a version, and a source that brought it.

    Sizes that upstream did not declare are the stored ones.
    """

    digest: Digest
    unit: StoredUnit
    source: str


class ServedPublication(msgspec.Struct, frozen=True):
    """The publication that is served under a path: resource, number and publisher ID.

    `grace`: seconds for which files that a new version merely dropped stay reachable. `linger`: the
    longest that a path of it stays because the publisher asks for it. `base_url`: the public
    address, with a slash at its end, where it is declared. `private`: its manifest says who may
    read it.
    """

    publication_id: int
    name: str
    path: str
    number: int
    publisher: str = ""
    grace: int = GRACE
    linger: int = 0
    base_url: str | None = None
    private: bool = False


class ServedContent(msgspec.Struct, frozen=True):
    """The representations of a path, in order of emission.

    `modified`: since when they are served, in whole seconds. `lingers`: a version dropped the path;
    it stays for a while alone.
    """

    entries: Sequence[Entry]
    modified: datetime
    lingers: bool = False


class GroupExtent(msgspec.Struct, frozen=True):
    """Extent of a group as it is published.

    `files`, and their `size` as far as it is known; `changed`: number of the publication that
    changed the group last.
    """

    files: int
    size: int
    changed: int


class PageMoment(msgspec.Struct, frozen=True):
    """A page of a group, and since when it is served, in whole seconds."""

    path: str
    group: str
    moment: datetime


class Outcome(msgspec.Struct, frozen=True):
    """Result of one resource in a run: `done`, `unchanged`, `failed` or `blocked`, and why.

    `cause`: the kind of a failure that goes on until a person decides; else empty.
    """

    ref: str
    result: str
    message: str = ""
    cause: str = ""


class RunRecord(msgspec.Struct, frozen=True):
    """One recorded apply. `finished_at` is None while it runs, and forever if it was killed."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    plan_digest: Digest | None
    manifest_digest: Digest | None
    provenance: Mapping[str, Any] = msgspec.field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()


class Lease(msgspec.Struct, frozen=True):
    """The right to work on `name`.

    `epoch` grows with every acquisition; `ttl_seconds` after the last heartbeat any process may
    take it over.
    """

    name: str
    epoch: int
    ttl_seconds: float
