"""The nouns of a plan: changes, their reasons, and lines of content changes.

A plan is a small head and, per repository, a spool of canonical lines: a `GroupLine` for each
touched group, followed by its `ChangeLine`s, groups in name order. Renderers, guards and the
executor iterate the spool; nothing holds it whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from reconciler.model import Artifact, CheckedTree, Digest, HexDigest, Ref, decode_digest
from reconciler.plan.failure import Failure
from reconciler.plan.planned_push import PlannedPush

if TYPE_CHECKING:
    LineDigest = Digest
else:
    LineDigest = HexDigest

ADD, REMOVE, CHANGE, REFUSE, MOVE = "+", "-", "~", "!", "="
NAMED_PROJECT_GONE = "NamedProjectGone"  # cause of a failure: upstream took a named project away


MASKED = "(secret changed)"  # in the place of a secret that is another one now
REASONS = 200  # of refusals, that are counted one by one
OTHER_REASONS = "for other reasons"


class Action(StrEnum):
    """The change of a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NO_OP = "no-op"


class GroupLine(msgspec.Struct, frozen=True, tag="group", tag_field="line", omit_defaults=True):
    """A touched group of one source.

    `was`: digest that the plan saw, None where the group did not exist. `validator`, `selection`
    and `reconsider_at` (ISO, UTC) are committed with it; `held=False`: the source no longer holds
    the group. `delisted`, `relisted`: (type, key) of what upstream no longer lists, or lists again.
    `offered`: digest of all that upstream offers where all of it is let in.
    """

    name: str
    source: str
    was: LineDigest | None = None
    validator: str | None = None
    selection: LineDigest | None = None
    reconsider_at: str | None = None
    held: bool = True
    delisted: list[tuple[str, str]] = []
    relisted: list[tuple[str, str]] = []
    offered: LineDigest | None = None


NO_BODY: Final = msgspec.Raw()  # the very object: msgspec leaves a default out by identity


class ChangeLine(msgspec.Struct, frozen=True, tag="change", tag_field="line", omit_defaults=True):
    """A content change of the group before it.

    `op`: `+` joins, `-` leaves, `~` replaces `before`, `!` is kept out, `=` changes its source
    only. `digest`: of the unit after (for `-`: before); None for an entry that never became a unit.
    `rule`: the rule by which a refusal is counted; if empty, its reason. `body` and `artifacts`
    (with URLs) are present where the executor needs them; `download`: bytes that are not in the
    store yet, as far as their number is known; `unsized`: files of which it is not. `upstream`,
    `upstream_unsized`: the same of files that are left upstream until a client asks for them.
    """

    op: str
    type: str
    key: str
    digest: LineDigest | None = None
    before: LineDigest | None = None
    version: str | None = None
    label: str = ""
    size: int | None = None
    reason: str = ""
    rule: str = ""
    body: msgspec.Raw = NO_BODY
    artifacts: list[Artifact] = []
    download: int = 0
    unsized: int = 0
    upstream: int = 0
    upstream_unsized: int = 0

    def without_bytes(self) -> ChangeLine:
        """Return the line of a unit that brings no bytes: it is kept out, or held already."""
        return msgspec.structs.replace(self, download=0, unsized=0, upstream=0, upstream_unsized=0)


Line = GroupLine | ChangeLine

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(Line, dec_hook=decode_digest)


def encode_line(line: Line) -> bytes:
    """Return a line as canonical JSON, digests as bare hex."""
    return _ENCODER.encode(with_hex_digests(line))


def with_hex_digests(line: Line) -> msgspec.Struct:
    """Return a line as msgspec encodes it: each digest replaced by the text of its field."""
    if isinstance(line, ChangeLine):
        digests = {"digest": line.digest, "before": line.before}
    else:
        digests = {"was": line.was, "selection": line.selection, "offered": line.offered}
    texts: Any = {name: digest.hex for name, digest in digests.items() if digest is not None}
    return msgspec.structs.replace(line, **texts) if texts else line


def decode_line(row: bytes) -> Line:
    """Return the line that `encode_line` has written."""
    line: Line = _DECODER.decode(row)
    return line


class GroupChange(msgspec.Struct, frozen=True):
    """A touched group with its changes."""

    head: GroupLine
    lines: list[ChangeLine]


class Spool(Protocol):
    """Content changes of one repository, in order of (group name, source).

    May be iterated any number of times.
    """

    def __iter__(self) -> Iterator[GroupChange]: ...

    def names(self) -> frozenset[str]:
        """Return the names of the groups that it changes."""
        ...

    def of(self, name: str) -> list[GroupChange]:
        """Return the changes of one group, by source."""
        ...

    @property
    def digest(self) -> Digest:
        """Digest of all lines in order, without validators.

        A validator changes with the bytes of a page even where its meaning stays.
        """
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """Content changes by operation.

    `refused`: by rule, or else by reason. `download`: bytes, as far as their number is known;
    `unsized`: files to download of which it is not. `upstream`, `upstream_unsized`: the same of
    files that are left upstream. `refused_names`: groups that a rule keeps out by their names, so
    that nothing of them was read; by reason.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    moved: int = 0
    download: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    unsized: int = 0
    refused_names: Mapping[str, int] = field(default_factory=dict)
    upstream: int = 0
    upstream_unsized: int = 0

    @property
    def total(self) -> int:
        """Number of changes that make a new version."""
        return self.added + self.removed + self.changed

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.added + other.added,
            self.removed + other.removed,
            self.changed + other.changed,
            self.moved + other.moved,
            self.download + other.download,
            _bounded(self.refused, other.refused) if other.refused else self.refused,
            self.unsized + other.unsized,
            _bounded(self.refused_names, other.refused_names)
            if other.refused_names
            else self.refused_names,
            self.upstream + other.upstream,
            self.upstream_unsized + other.upstream_unsized,
        )


@dataclass(frozen=True, slots=True)
class ContentChanges:
    """Changes of a repository's content.

    Attributes:
        units: Number of units that it holds now.
        touched: True if there is anything to record, even if only validators.
        sources: State to record of each completed listing: (validator, selection).
        unknown: Parts for which an offline plan had no cached page.
        warnings: What a user should look at, and what keeps nothing from being done.
        buckets: True if names of groups mean nothing to a reader.
        rules_changed: True if something was decided by other rules than before.
        lost_upstream: Number of units that leave because a remote no longer has them.
        back_to: The earlier version whose content the manifests go back to; None where upstream
            has a part in that.
        version_digest: Of the version that this makes, where something refers to a version by
            number or digest.
        scratchpads: Scratchpads that plugins wrote, by owner, recorded when all of it succeeds.
        seen: Digests of the scratchpads that these replace, by owner.
        withdrawn: Groups that upstream has and offers nothing of, by source ID.
        tree: What names of files were compared with, where all groups are one tree of files.
        quarantined: Number of units that leave for that.
        delisted: Names of groups of which upstream no longer lists something, or lists it again.
    """

    spool: Spool
    counts: Counts
    units: int = 0
    touched: bool = False
    failures: tuple[Failure, ...] = ()
    unknown: tuple[str, ...] = ()
    warnings: tuple[Failure, ...] = ()
    sources: Mapping[str, tuple[str | None, Digest | None]] = field(default_factory=dict)
    plural: str = "units"
    buckets: bool = False
    rules_changed: bool = False
    lost_upstream: int = 0
    back_to: int | None = None
    version_digest: Digest | None = None
    scratchpads: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Digest | None] = field(default_factory=dict)
    withdrawn: Mapping[str, Collection[str]] = field(default_factory=dict)
    tree: CheckedTree | None = None
    quarantined: int = 0
    delisted: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Withholding:
    """Units that filters begin (`-` in the spool) or cease (`+`) to keep out of a publication.

    Its version holds them. The first three numbers count units.

    Attributes:
        total: Withheld afterwards.
        newly_withheld: Of `served_before`, those that the filters alone take away.
        quarantined: Of `newly_withheld`, those that upstream has put in quarantine.
        served_before: Served by the publication now.
        served_after: Served afterwards.
        buckets: As of ContentChanges.
    """

    spool: Spool
    counts: Counts
    total: int
    newly_withheld: int = 0
    quarantined: int = 0
    served_before: int = 0
    served_after: int = 0
    plural: str = "units"
    buckets: bool = False


@dataclass(frozen=True, slots=True)
class DelistedShown:
    """Units that a publication shows although upstream no longer lists them.

    Attributes:
        total: Number of all of them.
        first: The first ones as (type, group, key), in order of (group, type, key).
        plural, buckets: As of ContentChanges.
    """

    total: int = 0
    first: tuple[tuple[str, str, str], ...] = ()
    plural: str = "units"
    buckets: bool = False


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A changed field of a specification, or a changed item of a list in it.

    `before`/`after`: plain data, None where absent. Secrets appear as their references only. `op`:
    `~` a changed value, `+` a new item, `-` one that is gone, `=` an `item` that moved from
    position `before` to `after`, counted from 0.
    """

    path: str
    before: Any
    after: Any
    op: str = CHANGE
    item: Any = None


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """The change of one resource.

    `version`: (before, after) numbers for repositories and publications. `withheld`: of a
    publication, where filters withhold other units than before. `still_shown`: groups that a
    publication shows although upstream withdrew them; `delisted`: units that it shows although
    upstream no longer lists them; `pushes`: what indexes that it is sent to lack.
    """

    action: Action
    ref: Ref
    reason: str = ""
    fields: tuple[FieldChange, ...] = ()
    content: ContentChanges | None = None
    version: tuple[int | None, int | None] = (None, None)
    refusal: str = ""
    hint: str = ""
    withheld: Withholding | None = None
    still_shown: tuple[str, ...] = ()
    delisted: DelistedShown = field(default_factory=DelistedShown)
    pushes: tuple[PlannedPush, ...] = ()

    def refused(self, message: str, hint: str) -> ResourceChange:
        """Return the same change, stopped by a guard."""
        return replace(self, refusal=message, hint=hint)


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """The last line of a plan.

    `withheld`, `released`: units that publications begin and cease to withhold.
    """

    add: int
    change: int
    destroy: int
    content: Counts
    withheld: int = 0
    released: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, as a value, in the order in which they are applied.

    `plugins`: ID -> version of the distributions that resolved it. `unowned`: resources that no
    manifest declares any more and that this plan leaves alone; `ruling`: global filters among them,
    which rule nevertheless; `unowned_changes`: what publications among them withhold from now on.
    `damaged`: files in the store that are known to be damaged, which an apply fetches again.
    """

    manifest_digest: Digest
    changes: tuple[ResourceChange, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)
    unowned: tuple[Ref, ...] = ()
    ruling: frozenset[Ref] = frozenset()
    unowned_changes: tuple[ResourceChange, ...] = ()
    damaged: int = 0

    @property
    def all_changes(self) -> tuple[ResourceChange, ...]:
        """The changes of declared resources, then those of undeclared publications."""
        return self.changes + self.unowned_changes

    @property
    def empty(self) -> bool:
        """True if no resource changes."""
        return all(change.action is Action.NO_OP for change in self.all_changes)

    @property
    def pending(self) -> bool:
        """True if an apply would change or repair something."""
        return not self.empty or self.damaged > 0

    @property
    def failed(self) -> bool:
        """True if something failed while planning, or a guard refused."""
        return any(
            change.refusal
            or (change.content and change.content.failures)
            or any(push.failed for push in change.pushes)
            for change in self.all_changes
        )

    @property
    def digest(self) -> Digest:
        """Digest of all changes and their reasons.

        Equal for equal manifests, state and upstream.
        """
        return Digest.of_value(
            [str(self.manifest_digest), [_identity(change) for change in self.all_changes]]
        )

    def totals(self) -> PlanTotals:
        """Return the numbers of the last line."""
        count = {
            action: sum(change.action is action for change in self.all_changes) for action in Action
        }
        content = sum_counts(change.content.counts for change in self.changes if change.content)
        withheld = sum_counts(
            change.withheld.counts for change in self.all_changes if change.withheld
        )
        return PlanTotals(
            count[Action.CREATE],
            count[Action.UPDATE],
            count[Action.DELETE],
            content,
            withheld.removed,
            withheld.added,
        )


def _bounded(counts: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Add numbers by reason; beyond REASONS in alphabetical order, reasons are counted together.

    A plugin may give another reason for every unit. The result does not depend on the order of
    adding: the first reasons of the whole are among the first of every part.
    """
    total = dict(counts)
    for reason, number in other.items():
        total[reason] = total.get(reason, 0) + number
    if len(total) <= REASONS:
        return total
    kept = sorted(total.keys() - {OTHER_REASONS})[: REASONS - 1]
    return {
        **{reason: total[reason] for reason in kept},
        OTHER_REASONS: sum(total.values()) - sum(total[reason] for reason in kept),
    }


def sum_counts(counts: Iterable[Counts]) -> Counts:
    """Return the sum of counts."""
    total = Counts()
    for count in counts:
        total = total + count
    return total


def _identity(change: ResourceChange) -> list[Any]:
    fields = [
        [field.path, field.before, field.after, *([field.op] if field.op != CHANGE else [])]
        for field in change.fields
    ]
    spool = str(change.content.spool.digest) if change.content else None
    identity: list[Any] = [
        change.action.value,
        str(change.ref),
        change.reason,
        fields,
        list(change.version),
        spool,
    ]
    if change.withheld:
        identity.append(str(change.withheld.spool.digest))
    pushes = [
        [push.index, push.files, sorted(push.groups or ())] for push in change.pushes if push.files
    ]
    return [*identity, pushes] if pushes else identity
