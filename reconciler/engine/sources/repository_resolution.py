"""The resolution of one repository: what it is about, and what its sources have yielded so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from reconciler.database import Reader
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession, no_scratchpads
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.session.session import Session
from reconciler.engine.sources.marks import Marks, marks_of
from reconciler.engine.sources.members import digest_of
from reconciler.engine.sources.ownership import NameOwnership
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_failures import failure_of
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.errors import NotCached
from reconciler.model import MIRROR, ActualRepository, ActualState, Digest, Repository, pluralize
from reconciler.plan import (
    ContentChanges,
    DesiredGroup,
    Failure,
    GroupChange,
    GroupLine,
    GroupMember,
    difference,
)
from reconciler.plugin import Importer
from reconciler.plugin.registry import Registry
from reconciler.plugin.validation import Plugin

Key = tuple[str, str]  # (type, key): unique within a group


@dataclass(frozen=True, slots=True)
class OtherRepositories:
    """The repositories that can be copied from.

    Attributes:
        actual: As they are recorded.
        planned: What this plan does to those that were resolved before, by name.
    """

    actual: ActualState
    planned: Mapping[str, ContentChanges]


MOST_REASONS = 1_000  # by which groups are counted
MOST_REMARKS = 100  # that a plan shows of each source


@dataclass(slots=True)
class Findings:
    """Results of the sources of a repository so far.

    Attributes:
        absent: Groups that a source was asked for by name and never had, as warnings.
        remarks: What a plan says of groups that were read, as warnings.
        more_remarks: Numbers of those beyond `MOST_REMARKS`, by source.
        unknown: What could not be found out offline.
        sources: By source: its validator, and the digest that its answers rest on.
        claimed: By group: keys that move from a later source to an earlier one; value: the new
            source.
        unread: Groups of which some reading failed, so that nothing may leave them.
        withdrawn: Groups that upstream has and offers nothing of, by source.
        delisted: As of ContentChanges.
        touched: True if something has to be written, even if no unit changes.
        refused_names: Numbers of groups that a rule keeps out by their names, by reason.
        rules_changed, lost_upstream: As of ContentChanges.
    """

    ownership: NameOwnership
    scratchpads: ScratchpadSession
    spool: SpoolWriter = field(default_factory=SpoolWriter)
    failures: list[Failure] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)
    remarks: list[Failure] = field(default_factory=list)
    more_remarks: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    sources: dict[str, tuple[str | None, Digest | None]] = field(default_factory=dict)
    claimed: dict[str, dict[Key, str]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    withdrawn: dict[str, set[str]] = field(default_factory=dict)
    delisted: set[str] = field(default_factory=set)
    touched: bool = False
    refused_names: Counter[str] = field(default_factory=Counter)
    rules_changed: bool = False
    lost_upstream: int = 0

    def count_refused_name(self, reason: str) -> None:
        """Count a group of which nothing was read; a plugin may give another reason for each."""
        known = reason in self.refused_names or len(self.refused_names) < MOST_REASONS
        self.refused_names[reason if known else "other reasons"] += 1

    @property
    def problem_count(self) -> int:
        """Number of failures and of unknown answers so far."""
        return len(self.failures) + len(self.absent) + len(self.unknown)

    def add_remark(self, remark: Failure) -> None:
        """Add a remark about a group; beyond `MOST_REMARKS` of one source they are counted."""
        if sum(other.source == remark.source for other in self.remarks) < MOST_REMARKS:
            self.remarks.append(remark)
        else:
            self.more_remarks[remark.source] += 1

    def warnings(self) -> list[Failure]:
        """Return the names that no source has, and the remarks."""
        absent = [failure for failure in self.absent if failure.group not in self.ownership.owners]
        more = [
            Failure(source, None, f"{pluralize(number, 'more warning')} about what it offers")
            for source, number in self.more_remarks.items()
        ]
        return [*absent, *self.remarks, *more]


@dataclass(frozen=True, slots=True)
class RepositoryResolution:
    """One repository that is being resolved."""

    session: Session
    plugin: Plugin
    repository: Repository
    actual: ActualRepository | None
    findings: Findings
    task: ProgressTask
    keeps_named: bool
    marks: Marks

    @classmethod
    def start(
        cls,
        session: Session,
        repository: Repository,
        actual: ActualState,
        *,
        allow_destroy: bool = False,
    ) -> RepositoryResolution:
        """Return a resolution of `repository` that has asked no source yet.

        `allow_destroy`: what upstream took away may leave, even if the manifest names it.
        """
        plugin = session.registry.importer(repository.type)
        state = actual.repositories.get(repository.meta.name)
        scratchpads = ScratchpadSession(
            partial(session.reader.scratchpad, state.id) if state else no_scratchpads
        )
        ownership = ownership_of(repository, plugin)
        noun = groups_noun(session.registry, plugin)
        task = session.progress.task(f"reading {repository.meta.name}", noun)
        keeps_named = repository.guard.keeps_named and not allow_destroy
        findings = Findings(ownership, scratchpads)
        marks = marks_of(session.reader, importer_class_of(plugin), repository, actual=state)
        return cls(session, plugin, repository, state, findings, task, keeps_named, marks)

    @property
    def reader(self) -> Reader:
        return self.session.reader

    @property
    def ownership(self) -> NameOwnership:
        return self.findings.ownership

    @property
    def mirrors(self) -> bool:
        """True if what a source no longer has leaves the repository."""
        return self.repository.mode == MIRROR

    @property
    def owner(self) -> str:
        """Owner of scratchpads and working directories."""
        return f"importer:{self.plugin.id}"

    @property
    def importer_class(self) -> type[Importer]:
        return importer_class_of(self.plugin)

    def importer(self) -> Importer:
        """Return a new importer; each call gets its own."""
        return self.importer_class()

    def call(self, method: str, group: str = "") -> str:
        """Name a call of the importer for messages."""
        return (
            f"`{method}` of importer `{self.plugin.id}` for repository"
            f" `{self.repository.meta.name}`" + (f", group `{group}`" if group else "")
        )

    def add_failure(self, source: str, group: str | None, error: Exception) -> None:
        """Record that `source`, or one group of it, could not be read: nothing leaves the group.

        What is only missing in the page cache, offline, is unknown and no failure.
        """
        findings = self.findings
        if group is not None:
            findings.unread.add(group)
        if isinstance(error, NotCached):
            findings.unknown.append(source if group is None else f"{source}: {group}")
        else:
            findings.failures.append(failure_of(source, group, error, plugin=self.plugin))

    def group_removal(
        self,
        source: str,
        name: str,
        members: Sequence[GroupMember],
        *,
        selection: Selection,
        reason: str,
    ) -> GroupChange:
        """Return the change by which all that `source` brought to a group leaves it.

        The source is no longer committed to the name then. `reason`: empty where the content type
        words it.
        """
        head = GroupLine(name, source, digest_of(members), selection=selection.digest, held=False)
        with self.session.call_timeouts.named(self.call("removal_reason", name)):
            return GroupChange(
                head, difference(source, members, DesiredGroup(gone=reason), describer=selection)
            )


def importer_class_of(plugin: Plugin) -> type[Importer]:
    assert plugin.cls is not None
    cls: type[Importer] = plugin.cls
    return cls


def ownership_of(repository: Repository, plugin: Plugin) -> NameOwnership:
    """Return the ownership of a repository's names, before any source is asked."""
    return NameOwnership(
        [source.id for source in repository.sources],
        shared_groups=importer_class_of(plugin).shared_groups,
        reserved=[name for source in repository.sources for name in source.reserved],
    )


def groups_noun(registry: Registry, plugin: Plugin) -> str:
    """Return the word that people use for the groups of an importer.

    A content type that lies beside the main one, once in each group, has it: `projects`. Where
    groups are no names but shares of one set, that is read in parts.
    """
    assert plugin.metadata is not None
    if importer_class_of(plugin).shared_groups:
        return "parts"
    main, *others = plugin.metadata.types
    beside = (registry.content_type(type_) for type_ in others)
    return next((type_.plural for type_ in beside if type_.kept_with == main), "names")
