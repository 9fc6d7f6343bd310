"""One source of one repository, resolved: what every kind of source has in common.

A source is asked what it holds, or that nothing changed; what may have changed is read, decided by
the selection and compared with what the latest version holds. A failure is an error of what failed
and never an absence: a group that cannot be read keeps its content, a source that cannot be asked
removes nothing and keeps the names that it owned.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.database import CommittedGroup, CommittedSource, Reader
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.session.session import Session
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.group_comparison import GroupComparison
from reconciler.engine.sources.members import digest_of, members_of
from reconciler.engine.sources.selection import Selected, Selection
from reconciler.engine.sources.source_failures import SourceFailure, culprit, failure_of, naming
from reconciler.engine.sources.source_responses import GONE, REFUSED, WITHDRAWN, SourceResponse
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.errors import NotCached
from reconciler.model import (
    ActualRepository,
    Digest,
    IdentifiedUnit,
    Repository,
    Source,
    Unit,
)
from reconciler.plan import (
    ChangeLine,
    Failure,
    GroupChange,
    GroupLine,
    Member,
    Refusal,
    contested,
    difference,
    fetching,
)
from reconciler.plugin import Decision, Importer
from reconciler.plugin.validation import Plugin

Key = tuple[str, str]  # (type, key): unique within a group
NAMED = 3  # of the names that wait


@dataclass(slots=True)
class Findings:
    """What a repository's sources have yielded so far. `owned`: group name -> the first source that
    has it.

    `claimed`: by group, keys that an earlier source wants and a later one holds, with the earlier
    one; `unread`: groups of which some reading failed, so that nothing may leave them; `blind`: the
    first source that could not be asked completely, so that nobody knows which names it has beside
    those that it is committed to own.
    """

    scratchpads: ScratchpadSession
    spool: SpoolWriter = field(default_factory=SpoolWriter)
    failures: list[Failure] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)  # asked for by name, and never known there
    unknown: list[str] = field(default_factory=list)
    sources: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    owned: dict[str, str] = field(default_factory=dict)
    claimed: dict[str, dict[Key, str]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    blind: str = ""
    touched: bool = False

    @property
    def troubles(self) -> int:
        """How much could not be found out."""
        return len(self.failures) + len(self.absent) + len(self.unknown)


@dataclass(frozen=True, slots=True)
class RepositoryResolution:
    """One repository that is being resolved."""

    session: Session
    plugin: Plugin
    repository: Repository
    actual: ActualRepository | None
    findings: Findings
    task: ProgressTask

    @property
    def reader(self) -> Reader:
        return self.session.reader

    @property
    def owner(self) -> str:
        """Of scratchpads and working directories."""
        return f"importer:{self.plugin.id}"

    @property
    def importer_class(self) -> type[Importer]:
        assert self.plugin.cls is not None
        cls: type[Importer] = self.plugin.cls
        return cls

    def importer(self) -> Importer:
        """A new one for every call."""
        return self.importer_class()

    def call(self, method: str, about: str = "") -> str:
        """A call of the importer, for messages."""
        return (
            f"`{method}` of importer `{self.plugin.id}` for repository"
            f" `{self.repository.meta.name}`" + (f", group `{about}`" if about else "")
        )


class SourceResolver(ABC):
    """Resolves one source into the findings of its repository. `basis`: what its decisions rest on
    beside upstream's own words.
    """

    def __init__(
        self, resolution: RepositoryResolution, source: Source, selection: Selection, basis: Digest
    ) -> None:
        self._resolution = resolution
        self._source = source
        self._selection = selection
        self._basis = basis
        self._findings = resolution.findings
        self._actual = resolution.actual
        self._state: CommittedSource | None = None
        self._standing = basis
        self._committed: dict[str, CommittedGroup] = {}
        self._partial = (
            False  # something that has a say in what the source holds could not be asked
        )
        # an earlier source that could not be asked completely: any name that nobody has may be its
        self._behind = ""
        self._waiting: set[str] = set()  # such names that this source would bring

    async def run(self) -> None:
        """Ask the source, and bring everything that it changes into the findings."""
        troubles = self._findings.troubles
        self._standing = self._among_others()
        if self._actual is not None:
            self._state = await asyncio.to_thread(
                self._resolution.reader.committed_source, self._actual.id, self._source.id
            )
        await self._look_back()
        try:
            validator = await self._resolve()
        except NotCached:
            self._findings.unknown.append(self._source.id)
            await self._keep_names()
            return
        except SourceFailure as failure:
            self._fail(None, failure.cause)
            await self._keep_names()
            return
        self._report_waiting()
        whole = CommittedSource(
            validator if self._findings.troubles == troubles else None, self._standing
        )
        self._findings.sources[self._source.id] = (whole.validator, self._standing.hex)
        self._findings.touched |= whole != self._state

    def _among_others(self) -> Digest:
        """What the source as a whole rests on: a name that an earlier source takes, or leaves to
        it, changes what it brings.
        """
        taken = self._findings.owned
        if (
            self._followed
        ):  # it has recorded which names it refuses, so that no later source takes them
            return Digest.of_value([self._basis.hex, sorted(taken), "followed"])
        return Digest.of_value([self._basis.hex, sorted(taken)]) if taken else self._basis

    @abstractmethod
    async def _resolve(self) -> str | None:
        """Ask, read, compare. Returns the validator of the source as a whole, if there is one.

        Raises SourceFailure when the source could not be asked: nothing may have been brought into
        the findings then.
        """

    async def explained(self, names: Sequence[str]) -> list[tuple[SourceResponse, list[Decision]]]:
        """What the source says of groups now, those left out of which it says nothing, and what is
        decided of it, whatever is committed.

        Of the findings it takes who has which name, as a plan does, and brings other names than
        these into them, and nothing else. Raises what kept the source from answering.
        """
        await self._look_back()
        if self._followed:
            await self._load_committed()
        try:
            answers = await self._told(names)
        except SourceFailure as failure:
            raise failure.cause from None
        return [
            (response, self._decide(response, response.units) if response.failure is None else [])
            for response in answers
        ]

    @property
    def selection(self) -> Selection:
        """What governs the source."""
        return self._selection

    @property
    def partial(self) -> bool:
        """Could something that has a say in what the source holds not be asked?"""
        return self._partial

    async def _told(self, names: Sequence[str]) -> list[SourceResponse]:
        """What the source says of groups, for those who ask by name; a source that cannot be asked
        so says nothing.
        """
        return []

    async def _known_source(self) -> str | None:
        """The validator under which all of the source is committed with today's selection: nothing
        failed, nothing is due.
        """
        state = self._state
        if (
            self._actual is None
            or state is None
            or state.validator is None
            or state.selection != self._standing
            or self._findings.claimed
        ):
            return None
        due = await asyncio.to_thread(
            self._resolution.reader.source_due, self._actual.id, self._source.id
        )
        if due is not None and due <= self._resolution.session.now:
            return None
        incomplete = await asyncio.to_thread(
            self._resolution.reader.source_incomplete, self._actual.id, self._source.id
        )
        return None if incomplete else state.validator

    async def _load_committed(self) -> None:
        if self._actual is not None and not self._committed:
            self._committed = await asyncio.to_thread(
                self._resolution.reader.committed_groups, self._actual.id, self._source.id
            )

    def _known(self, name: str) -> str | None:
        """The validator under which a group is committed with today's selection, if it is not due
        again.
        """
        committed = self._committed.get(name)
        if (
            committed is None
            or committed.selection != self._basis
            or committed.validator in (REFUSED, WITHDRAWN)
        ):
            return None
        due = (
            committed.reconsider_at is not None
            and committed.reconsider_at <= self._resolution.session.now
        )
        return None if due else committed.validator

    @property
    def _elsewhere(self) -> str:
        """Why a unit is no longer there, where the content type cannot know; empty where it can."""
        return ""

    @cached_property
    def _shares(self) -> bool:
        """May several sources fill one group?"""
        return self._resolution.importer_class.shared_groups

    @property
    def _removes(self) -> bool:
        """Does what the source no longer has leave?"""
        return self._resolution.repository.mode == "mirror" and not self._partial

    @cached_property
    def _followed(self) -> bool:
        """Is there a later source, which must know the names of this one?"""
        return not self._shares and self._resolution.repository.sources[-1].id != self._source.id

    def _own(self, names: Iterable[str]) -> None:
        if not self._shares and len(self._resolution.repository.sources) > 1:
            for name in names:
                self._findings.owned.setdefault(name, self._source.id)

    def _give_up_name(self, name: str) -> None:
        """The source does not answer for it: the next one may."""
        if self._findings.owned.get(name) == self._source.id:
            del self._findings.owned[name]

    def _left_to(self, name: str) -> SourceResponse:
        """A group that an earlier source owns, or may own: nobody is asked about it, so that no
        name of ours is told to a stranger.
        """
        owner = self._findings.owned.get(name, "")
        return SourceResponse(name, owner=owner, waits="" if owner else self._behind)

    def _may_have(self, name: str) -> bool:
        """Does no earlier source own the group, for all that is known?"""
        return self._findings.owned.get(
            name, self._source.id
        ) == self._source.id and not self._waits(name)

    def _waits(self, name: str) -> bool:
        """Is it a name that nobody has, while an earlier source may have it that could not be
        asked?
        """
        if not self._behind or name in self._findings.owned:
            return False
        committed = self._committed.get(name)
        return committed is None or committed.validator == GONE

    async def _look_back(self) -> None:
        """Behind a source that could not be asked completely only names are safe that this one is
        committed to have.
        """
        self._behind = "" if self._shares else self._findings.blind
        if self._behind:
            await self._load_committed()

    def _report_waiting(self) -> None:
        """Names that are left out since an earlier source may have them. That it was not asked,
        offline, is no failure.
        """
        if not self._waiting:
            return
        if not any(failure.source == self._behind for failure in self._findings.failures):
            self._findings.unknown.append(f"{self._source.id}: names that {self._behind} may have")
            return
        first = [f"`{name}`" for name in sorted(self._waiting)[:NAMED]]
        more = f" and {len(self._waiting) - NAMED:,} more" if len(self._waiting) > NAMED else ""
        message = (
            f"brings nothing new under {', '.join(first)}{more}: {self._behind} could not be asked"
            " completely, and may have the name"
        )
        self._findings.failures.append(
            Failure(self._source.id, None, message, "the first source that has a name owns it")
        )

    async def _keep_names(self) -> None:
        """The source could not be asked: what it owned stays owned, and what it would own now
        nobody knows.
        """
        await self._load_committed()
        self._own(self._answered_for())
        self._lose_sight()

    def _lose_sight(self) -> None:
        """The source could not be asked completely: later ones bring nothing under names that are
        new to them.
        """
        self._findings.blind = self._findings.blind or self._source.id

    async def _stay(self) -> None:
        """Nothing changed: all that is left to do is to tell later sources which names are taken."""
        if self._followed:
            await self._load_committed()
            self._own(self._answered_for())

    def _answered_for(self) -> list[str]:
        """Committed names that the source had an answer for."""
        return [name for name, group in self._committed.items() if group.validator != GONE]

    # Comparing

    async def _compare(self, answers: Sequence[SourceResponse]) -> None:
        """Bring what some groups hold now into the findings."""
        answers = [response for response in answers if not response.unchanged]
        members = await self._members(
            [response.name for response in answers if response.failure is None]
        )
        compared = []
        for answer in answers:
            if isinstance(answer.failure, NotCached):
                self._findings.unknown.append(f"{self._source.id}: {answer.name}")
                self._findings.unread.add(answer.name)
            elif answer.failure is not None:
                self._fail(answer.name, answer.failure)
            else:
                compared.extend(await self._changed(answer, members.get(answer.name, [])))
        await self._add(await self._completed(compared))

    async def _changed(
        self, answer: SourceResponse, members: list[Member]
    ) -> list[GroupComparison]:
        name = answer.name
        if answer.gone:
            if not answer.withdrawn:
                self._give_up_name(name)
            if name not in self._committed and not answer.listed:
                self._report_absent(answer)
                return []
        try:
            selected, lines = await self._lines(answer, members)
        except NotCached:
            self._findings.unknown.append(f"{self._source.id}: {name}")
            self._findings.unread.add(name)
            return []
        except Exception as error:  # what decides and what finds the words is plugin code as well
            self._fail(name, culprit(answer.units) or error)
            return []
        self._claim(name, members, lines)
        head = self._head(answer, members, selected, lines)
        if answer.gone and not lines and self._remembers(head):
            return []
        return [GroupComparison(GroupChange(head, lines), selected.wanted)]

    def _report_absent(self, answer: SourceResponse) -> None:
        """Somebody asked by name for a group that was never here."""
        if answer.withdrawn:
            self._findings.failures.append(Failure(self._source.id, answer.name, answer.gone))
        else:
            place = self._source.written.place(())
            hint = "is the name right? the source does not know it" + (
                f" ({place})" if place else ""
            )
            self._findings.absent.append(Failure(self._source.id, answer.name, answer.gone, hint))

    async def _lines(
        self, answer: SourceResponse, members: list[Member]
    ) -> tuple[Selected, list[ChangeLine]]:
        removes = self._removes
        decisions = self._decide(answer, answer.units)
        units = await self._with_digests(decisions)
        if units is not None:
            decisions = self._decide(answer, units)
        with self._resolution.session.call_timeouts.named(
            self._resolution.call("select", answer.name)
        ):
            selected = self._yielding(
                answer.name, self._selection.seal(answer.name, decisions, answer.kept_out)
            )
            refusals = [*selected.refusals, *self._kept(answer, members)]
            lines = difference(
                self._source.id,
                members,
                selected.wanted,
                refusals,
                self._selection,
                removes=removes,
                gone=answer.gone or self._elsewhere,
            )
        return selected, lines

    def _kept(self, answer: SourceResponse, members: Sequence[Member]) -> list[Refusal]:
        """In additive mode, what upstream took back stays; a plan says so, as long as it is asked."""
        mine = [member.unit.type for member in members if member.source == self._source.id]
        if not answer.gone or not mine or self._resolution.repository.mode == "mirror":
            return []
        return [
            Refusal(
                min(mine),
                answer.name,
                f"{answer.gone}; what is here is kept: `sync.mode` is `additive`",
            )
        ]

    def _claim(self, name: str, members: Sequence[Member], lines: Sequence[ChangeLine]) -> None:
        """Keys that are kept out because a later source holds them: that one is asked to let go of
        them.
        """
        if self._shares or not any(map(contested, lines)):
            return
        order = [source.id for source in self._resolution.repository.sources]
        later = set(order[order.index(self._source.id) + 1 :])
        held = {(member.unit.type, member.unit.key) for member in members if member.source in later}
        for line in lines:
            if contested(line) and (line.type, line.key) in held:
                self._findings.claimed.setdefault(name, {}).setdefault(
                    (line.type, line.key), self._source.id
                )

    def _yielding(self, name: str, selected: Selected) -> Selected:
        """The same without what earlier sources claim: a key that several have is the first one's."""
        claimed = self._findings.claimed.get(name)
        if claimed is None:
            return selected
        lost = [unit.unit for unit in selected.wanted if (unit.unit.type, unit.unit.key) in claimed]
        words = [
            Refusal(
                one.type,
                one.key,
                f"held by {claimed[one.type, one.key]}",
                *self._selection.summary(one),
            )
            for one in lost
        ]
        wanted = [
            unit for unit in selected.wanted if (unit.unit.type, unit.unit.key) not in claimed
        ]
        return Selected(wanted, [*selected.refusals, *words], selected.reconsider_at)

    def _decide(self, answer: SourceResponse, units: Sequence[Unit]) -> list[Decision]:
        call = self._resolution.call("select", answer.name)
        with self._resolution.session.call_timeouts.named(call), naming(call):
            return self._selection.decide(answer.name, units)

    async def _with_digests(self, decisions: Sequence[Decision]) -> list[Unit] | None:
        """Units of which some that are let in had no digest: they are downloaded, to be named, and
        their sizes may change the decision.

        None where every one had its digest.
        """
        return None

    async def _completed(self, compared: Sequence[GroupComparison]) -> list[GroupChange]:
        """What changes in these groups, and what is held already and has to be brought
        nevertheless.
        """
        lacking = await self._lacking(compared) if compared else {}
        changes = []
        for comparison in compared:
            try:
                with self._resolution.session.call_timeouts.named(
                    self._resolution.call("summary", comparison.name)
                ):
                    lines = [
                        fetching(unit, self._why_lacking, self._selection)
                        for unit in lacking.get(comparison.name, ())
                    ]
            except Exception as error:  # what finds the words is plugin code
                self._fail(comparison.name, error)
            else:
                changes.append(GroupChange(comparison.change.head, comparison.change.lines + lines))
        return changes

    async def _lacking(
        self, compared: Sequence[GroupComparison]
    ) -> Mapping[str, Sequence[IdentifiedUnit]]:
        """Units that are held already and have to be brought nevertheless, by group."""
        return {}

    @property
    def _why_lacking(self) -> str:
        """Why such units have to be brought."""
        return ""

    def _remembers(self, head: GroupLine) -> bool:
        """Of a group that upstream has no more: is it known that it was here, so that its absence
        is no news?
        """
        return self._committed.get(head.name) == CommittedGroup(
            head.name, head.validator, self._basis
        )

    def _head(
        self,
        answer: SourceResponse,
        members: list[Member],
        selected: Selected,
        lines: list[ChangeLine],
    ) -> GroupLine:
        due = selected.reconsider_at
        gone = WITHDRAWN if answer.withdrawn else GONE
        return GroupLine(
            name=answer.name,
            source=self._source.id,
            was=digest_of(members),
            validator=(
                gone
                if answer.gone
                else (
                    None
                    if any(map(contested, lines)) or answer.name in self._findings.claimed
                    else answer.validator
                )
            ),
            selection=self._basis.hex,
            reconsider_at=due.isoformat() if due else None,
        )

    async def _drop(self, names: Sequence[str]) -> None:
        """Groups that this source holds no longer, by its own list or because another owns them;
        that one must have been read.
        """
        if not self._removes:
            return
        pace = BatchSizer([name for name in names if name not in self._findings.unread])
        while batch := pace.batch():
            members = await self._members(batch)
            pace.took(sum(map(len, members.values())))
            await self._add([self._departed(name, members.get(name, [])) for name in batch])

    def _departed(self, name: str, members: list[Member]) -> GroupChange:
        owner = self._findings.owned.get(name)
        return departed(
            self._resolution,
            self._source.id,
            name,
            members,
            self._selection,
            f"{owner} has the name now" if owner else self._elsewhere,
        )

    async def _members(self, names: Sequence[str]) -> dict[str, list[Member]]:
        return await members_of(self._resolution.reader, self._actual, names)

    async def _add(self, changes: list[GroupChange]) -> None:
        for change in await self._with_downloads(changes) if changes else ():
            try:
                self._findings.spool.add([change])
            except Exception as error:  # a text of the plugin's that cannot be written down
                self._fail(change.head.name, error)
            self._findings.touched = True

    async def _with_downloads(self, changes: list[GroupChange]) -> list[GroupChange]:
        """The same changes, knowing how many bytes are still to be downloaded."""
        return changes

    def _fail(self, group: str | None, error: Exception) -> None:
        if group is not None:
            self._findings.unread.add(group)
        self._findings.failures.append(
            failure_of(self._source.id, group, error, self._resolution.plugin)
        )


def departed(
    resolution: RepositoryResolution,
    source: str,
    name: str,
    members: list[Member],
    words: Selection,
    reason: str,
) -> GroupChange:
    """Everything that `source` brought to a group leaves, and the source holds the group no longer.
    `reason`: empty for upstream's own.
    """
    head = GroupLine(name, source, digest_of(members), selection=words.digest.hex, held=False)
    with resolution.session.call_timeouts.named(resolution.call("removal", name)):
        return GroupChange(head, difference(source, members, [], [], words, gone=reason))
