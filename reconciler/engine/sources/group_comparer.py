"""Comparison of what a source holds in its groups with what the latest version holds there.

A failure is an error of what failed and never an absence: a group that cannot be read keeps its
content.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from reconciler.database import WITHDRAWN, WITHDRAWN_GONE, CommittedGroup
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.delistings import Delistings
from reconciler.engine.sources.group_refusals import nothing_passes
from reconciler.engine.sources.marked_groups import marked_responses
from reconciler.engine.sources.members import digest_of, is_as_recorded, members_of
from reconciler.engine.sources.missing_groups import (
    is_failed_absence,
    required_taken_away,
    taken_away,
)
from reconciler.engine.sources.pulled_names import not_pulled
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selected, Selection
from reconciler.engine.sources.source_artifacts import SourceArtifacts
from reconciler.engine.sources.source_failures import invalid_unit, unit_faults
from reconciler.engine.sources.source_responses import (
    GONE,
    GroupComparison,
    SourceResponse,
)
from reconciler.errors import NotCached
from reconciler.model import Digest, IdentifiedUnit, Source, SourceKind, Unit, group_digest
from reconciler.plan import (
    REMOVE,
    ChangeLine,
    DesiredGroup,
    Failure,
    GroupChange,
    GroupLine,
    GroupMember,
    RefusedUnit,
    difference,
    is_key_taken,
    refetch_line,
)
from reconciler.plugin import Decision
from reconciler.plugin.importer import overrides_filters_need_read

logger = logging.getLogger(__name__)


class GroupComparer:
    """Compares groups of one source and brings what changes into the findings.

    Args:
        rules_digest: Digest of what decisions rest on beside upstream's own answers.
        artifacts: Access to the bytes behind the units of the source.
        absence: Why a unit that is held is no longer there, where the content type cannot know;
            else empty.

    Attributes:
        incomplete: True once the source turned out not to be asked completely: nothing leaves.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        *,
        rules_digest: Digest,
        committed: CommittedState,
        artifacts: SourceArtifacts,
        absence: str = "",
    ) -> None:
        self._resolution = resolution
        self._findings = resolution.findings
        self._source = source
        self._selection = selection
        self._rules_digest = rules_digest
        self._committed = committed
        self._artifacts = artifacts
        self._absence = absence
        self._delistings = Delistings(resolution, source, selection)
        self._keeps_offers = self._delistings.applies and overrides_filters_need_read(
            resolution.importer_class
        )
        self.incomplete = False

    async def compare(
        self,
        responses: Sequence[SourceResponse],
        known: Mapping[str, list[GroupMember]] | None = None,
    ) -> None:
        """Bring what some groups hold now into the findings.

        `known`: what the latest version holds in all of these groups, if that was read already.
        """
        changed = marked_responses(self._resolution, responses)
        names = [response.name for response in changed if response.failure is None]
        absent = [response.name for response in changed if is_failed_absence(response)]
        members = await self.members([*names, *absent]) if known is None else known
        await self._delistings.load(names)
        compared = []
        for response in changed:
            if response.failure is not None:
                self._fail(response.name, response.failure)
                self._note_absence(response, members.get(response.name, []))
            else:
                compared.extend(await self._comparison(response, members.get(response.name, [])))
        await self.add(await self._with_unfetched(compared))

    async def drop(self, names: Iterable[str]) -> None:
        """Take out groups that the source no longer holds, or that another source owns.

        A group whose reading failed in the source that owns it now stays. In additive mode nothing
        is taken out; what upstream no longer lists of a set of files is noted.
        """
        is_noted = self._delistings.applies and self._resolution.importer_class.shared_groups
        if self.incomplete or not (self._resolution.mirrors or is_noted):
            return
        committed = {name: self._committed.groups.get(name) for name in names}
        batches = BatchSizer(list(droppable(committed, but=self._findings.unread)))
        while batch := batches.next():
            members = await self.members(batch)
            batches.record(sum(map(len, members.values())))
            if is_noted:
                await self._delistings.load(batch)
            changes = [self._drop(name, members.get(name, []), is_noted) for name in batch]
            for change in changes:
                self._note_drop(change)
            await self.add(changes)

    def _drop(self, name: str, members: Sequence[GroupMember], is_noted: bool) -> GroupChange:
        """Return the change by which a group is dropped.

        `is_noted`: the group is a share of one set of files, so that no rule of ours drops it.
        """
        if self._resolution.mirrors:
            change = self._remember_withdrawal(self.removal(name, members))
        else:
            head = GroupLine(
                name,
                self._source.id,
                digest_of(members),
                selection=self._rules_digest,
                held=False,
            )
            change = GroupChange(head, [])
        if not is_noted:
            return change
        return GroupChange(self._delistings.noted(change.head, members), change.lines)

    def _remember_withdrawal(self, change: GroupChange) -> GroupChange:
        """Keep on record that upstream withdrew a group, though the name is free from now on."""
        if not self._is_withdrawn(change.head.name):
            return change
        head = msgspec.structs.replace(
            change.head, held=True, validator=WITHDRAWN_GONE, selection=self._rules_digest
        )
        return GroupChange(head, change.lines)

    def _note_drop(self, change: GroupChange) -> None:
        """Note why a group leaves: by other rules, or because its source no longer has it."""
        if self._committed.has_other_rules(change.head.name):
            self._findings.rules_changed = True
        else:
            self._note_lost(change.lines)

    def _note_decision(self, name: str, lines: Iterable[ChangeLine], selected: Selected) -> None:
        """Note why units leave a group: what is refused is there still, all else is lost."""
        self._findings.rules_changed |= self._committed.has_other_rules(name)
        refused = {refusal.key for refusal in selected.refusals}
        self._note_lost(line for line in lines if line.key not in refused)

    def _note_lost(self, lines: Iterable[ChangeLine]) -> None:
        if self._source.kind is SourceKind.REMOTE:
            self._findings.lost_upstream += sum(
                line.op == REMOVE and self._selection.is_main(line.type) for line in lines
            )

    def removal(self, name: str, members: Sequence[GroupMember], reason: str = "") -> GroupChange:
        """Return the change by which a group leaves the source; `reason` has a default."""
        owner = self._resolution.ownership.owner(name)
        return self._resolution.group_removal(
            self._source.id,
            name,
            members,
            selection=self._selection,
            reason=reason or (f"{owner} has the name now" if owner else self._absence),
        )

    async def members(self, names: Sequence[str]) -> dict[str, list[GroupMember]]:
        """Return what the latest version holds in these groups."""
        return await members_of(self._resolution.reader, self._resolution.actual, names)

    async def add(self, changes: Sequence[GroupChange]) -> None:
        """Bring changes of groups into the findings."""
        for change in await self._artifacts.with_downloads(changes) if changes else ():
            try:
                self._findings.spool.add([change])
            except Exception as error:  # a text of the plugin's that cannot be written down
                self._fail(change.head.name, error)
            if change.head.delisted or change.head.relisted:
                self._findings.delisted.add(change.head.name)
            self._findings.touched = True

    def decide(self, response: SourceResponse, units: Sequence[Unit]) -> list[Decision]:
        """Return what the selection decides about the units of one group."""
        call = self._resolution.call("select", response.name)
        with self._resolution.session.call_timeouts.named(call), unit_faults(call):
            return self._selection.decide(response.name, units)

    async def _comparison(
        self, response: SourceResponse, members: list[GroupMember]
    ) -> list[GroupComparison]:
        """Return the comparison of one group, or nothing where nothing has to be written."""
        name = response.name
        if self._is_taken_away(response, members):
            self._keep_named(response, members)
            return []
        if response.gone:
            if response.withdrawn:
                self._findings.withdrawn.setdefault(self._source.id, set()).add(name)
            else:
                self._resolution.ownership.release(self._source.id, name)
            if name not in self._committed.groups and not response.listed:
                self._report_absent(response)
                return []
        try:
            selected, lines = await self._lines(response, members)
        except NotCached as error:
            self._fail(name, error)
            return []
        except Exception as error:  # the content type decides and words: plugin code as well
            self._fail(name, invalid_unit(response.units) or error)
            return []
        for remark in selected.remarks:
            self._findings.add_remark(Failure(self._source.id, name, remark))
        self._claim_keys(name, members, lines)
        self._note_decision(name, lines, selected)
        head = self._head(response, members, selected, lines=lines)
        if response.gone and not lines and self._is_recorded_as_gone(head):
            return []
        logger.debug("%s: group `%s` read, changes: %d", self._source.id, name, len(lines))
        fetched = () if response.recorded else selected.wanted
        return [GroupComparison(GroupChange(head, lines), fetched)]

    def _is_taken_away(self, response: SourceResponse, members: Sequence[GroupMember]) -> bool:
        """Return True if upstream took away a group that the manifest names, and it has to stay.

        A group that upstream announces to be withdrawn may leave.
        """
        if response.listed or response.withdrawn or response.kept_out:
            return False
        if not (self._resolution.keeps_named and self._resolution.mirrors):
            return False
        emptied = bool(response.gone) or not any(
            self._selection.is_main(unit.type) for unit in response.units
        )
        return emptied and any(member.source == self._source.id for member in members)

    def _keep_named(self, response: SourceResponse, members: Sequence[GroupMember]) -> None:
        """Keep a group, and report that upstream no longer has what the manifest names."""
        self._findings.unread.add(response.name)
        self._findings.failures.append(taken_away(self._source, response, members))

    def _note_absence(self, response: SourceResponse, members: Sequence[GroupMember]) -> None:
        """Note in the failure just reported that upstream took the group away, where it did."""
        if is_failed_absence(response) and self._is_taken_away(response, members):
            failures = self._findings.failures
            failures[-1] = required_taken_away(self._source, failures[-1], members)

    def _report_absent(self, response: SourceResponse) -> None:
        """Report a group that the manifest asks for by name and that was never here."""
        if response.withdrawn:
            self._findings.failures.append(Failure(self._source.id, response.name, response.gone))
            return
        place = self._source.locations.find(())
        hint = "is the name right? the source does not know it" + (f" ({place})" if place else "")
        self._findings.absent.append(Failure(self._source.id, response.name, response.gone, hint))

    async def _lines(
        self, response: SourceResponse, members: list[GroupMember]
    ) -> tuple[Selected, list[ChangeLine]]:
        removes = self._resolution.mirrors and not (self.incomplete or response.incomplete)
        decisions = self.decide(response, response.units)
        units = await self._artifacts.measured(decisions, self._awaited(decisions))
        if units is not None:
            decisions = self.decide(response, units)
        with self._resolution.session.call_timeouts.named(
            self._resolution.call("select", response.name)
        ):
            selected = self._selection.selected(
                response.name, decisions, response.kept_out, members=members
            )
            selected = self._with_remark(response, selected)
            selected = self._without_claimed(response.name, selected)
            refusals = [*selected.refusals, *self._kept_in_additive_mode(response, members)]
            lines = difference(
                self._source.id,
                not_pulled(members),
                DesiredGroup(
                    selected.wanted, refusals, removes=removes, gone=response.gone or self._absence
                ),
                describer=self._selection,
            )
        return selected, lines

    def _with_remark(self, response: SourceResponse, selected: Selected) -> Selected:
        """Say that the group was read in part, and that nothing passes of what the manifest names.

        Of what only upstream lists the refusals are counted.
        """
        if response.incomplete:
            remark = f"read in part, so that nothing leaves it: {response.incomplete}"
            selected = dataclasses.replace(selected, remarks=(*selected.remarks, remark))
        if response.listed or response.gone or any(map(self._is_main, selected.wanted)):
            return selected
        refusals = [refusal for refusal in selected.refusals if self._is_main(refusal)]
        remark = nothing_passes(refusals, self._selection.plural)
        return dataclasses.replace(selected, remarks=(*selected.remarks, remark))

    def _is_main(self, unit: IdentifiedUnit | RefusedUnit) -> bool:
        return self._selection.is_main(unit.type)

    def _awaited(self, decisions: Sequence[Decision]) -> set[int]:
        """Return `id` of the units that wait for nothing but the age of their first sight."""
        waiting = [
            decision.unit
            for decision in decisions
            if decision.reconsider_at and not decision.accepted
        ]
        return (
            {id(unit) for unit in self._selection.needs_first_seen(waiting)} if waiting else set()
        )

    def _kept_in_additive_mode(
        self, response: SourceResponse, members: Sequence[GroupMember]
    ) -> list[RefusedUnit]:
        """Say in the plan that a group which upstream took back stays, in additive mode."""
        types = [member.unit.type for member in members if member.source == self._source.id]
        if not response.gone or not types or self._resolution.mirrors:
            return []
        reason = f"{response.gone}; what is here is kept: `sync.mode` is `additive`"
        return [RefusedUnit(min(types), response.name, reason)]

    def _claim_keys(
        self, name: str, members: Iterable[GroupMember], lines: list[ChangeLine]
    ) -> None:
        """Ask later sources to let go of keys that they hold and this source wants."""
        if self._resolution.importer_class.shared_groups or not any(map(is_key_taken, lines)):
            return
        later = self._resolution.ownership.after(self._source.id)
        held = {(member.unit.type, member.unit.key) for member in members if member.source in later}
        for line in lines:
            if is_key_taken(line) and (line.type, line.key) in held:
                self._findings.claimed.setdefault(name, {}).setdefault(
                    (line.type, line.key), self._source.id
                )

    def _without_claimed(self, name: str, selected: Selected) -> Selected:
        """Refuse keys that earlier sources claim: a key that several have is the first one's."""
        claimed = self._findings.claimed.get(name)
        if claimed is None:
            return selected
        wanted = [unit for unit in selected.wanted if (unit.type, unit.key) not in claimed]
        refusals = [
            RefusedUnit(
                unit.unit.type,
                unit.unit.key,
                f"held by {claimed[unit.type, unit.key]}",
                *self._selection.summary(unit.unit),
            )
            for unit in selected.wanted
            if (unit.type, unit.key) in claimed
        ]
        refused = [*selected.refusals, *refusals]
        return Selected(wanted, refused, selected.reconsider_at, selected.remarks)

    async def _with_unfetched(self, compared: Sequence[GroupComparison]) -> list[GroupChange]:
        """Return the changes, completed by units that are held and have yet to be fetched."""
        unfetched = await self._artifacts.unfetched(compared, self._committed) if compared else {}
        changes = []
        for comparison in compared:
            call = self._resolution.call("summary", comparison.name)
            try:
                with self._resolution.session.call_timeouts.named(call):
                    lines = _fetches(
                        unfetched,
                        comparison.name,
                        self._artifacts.reason,
                        describer=self._selection,
                    )
            except Exception as error:  # the content type words the line: plugin code
                self._fail(comparison.name, error)
            else:
                changes.append(GroupChange(comparison.change.head, comparison.change.lines + lines))
        return changes

    def _is_recorded_as_gone(self, head: GroupLine) -> bool:
        """Return True if it is recorded already that upstream no longer has the group."""
        return not head.delisted and self._committed.groups.get(head.name) == CommittedGroup(
            head.name, head.validator, self._rules_digest
        )

    def _head(
        self,
        response: SourceResponse,
        members: list[GroupMember],
        selected: Selected,
        *,
        lines: list[ChangeLine],
    ) -> GroupLine:
        times = (selected.reconsider_at, response.reconsider_at)
        due = min((time for time in times if time is not None), default=None)
        head = GroupLine(
            name=response.name,
            source=self._source.id,
            was=digest_of(members),
            validator=self._validator(response, lines),
            selection=self._rules_digest,
            reconsider_at=due.isoformat() if due else None,
        )
        if self._keeps_offers and head.validator is not None and _is_all_in(response, selected):
            head = msgspec.structs.replace(
                head, offered=group_digest(unit.digest for unit in selected.wanted)
            )
        complete = not (self.incomplete or response.incomplete)
        return self._delistings.noted(head, members, response, complete=complete)

    def _validator(self, response: SourceResponse, lines: list[ChangeLine]) -> str | None:
        """Return what to record of a group; None has it read again in the next run."""
        if response.gone:
            if response.withdrawn:
                return WITHDRAWN
            return WITHDRAWN_GONE if self._is_withdrawn(response.name) else GONE
        if response.incomplete or response.name in self._findings.claimed:
            return None
        if any(map(is_key_taken, lines)):
            return None
        return response.validator

    def _is_withdrawn(self, name: str) -> bool:
        """Return True if upstream withdrew the group before: that it is gone does not end it."""
        committed = self._committed.groups.get(name)
        return committed is not None and committed.validator in (WITHDRAWN, WITHDRAWN_GONE)

    def _fail(self, group: str, error: Exception) -> None:
        logger.debug("%s: group `%s` could not be read", self._source.id, group)
        self._resolution.add_failure(self._source.id, group, error)


def droppable(
    committed: Mapping[str, CommittedGroup | None],
    *,
    but: Collection[str],
    skipped: Collection[str] = (WITHDRAWN_GONE,),
) -> Iterator[str]:
    """Yield the names that may leave a source, in the given order.

    What upstream withdrew stays on record although nothing of it is held: publications go on to
    withhold it.

    Args:
        committed: What is recorded of the names.
        but: Names of which some reading failed.
        skipped: Validators of groups of which everything has left already.
    """
    for name, group in committed.items():
        if name not in but and (group is None or group.validator not in skipped):
            yield name


def _is_all_in(response: SourceResponse, selected: Selected) -> bool:
    """Return True if upstream offers nothing but what is let in, all of it as it is recorded."""
    return (
        bool(response.units)
        and len(selected.wanted) == len(response.units)
        and not (response.kept_out or response.gone or response.incomplete or selected.refusals)
        and all(is_as_recorded(unit) for unit in response.units)
    )


def _fetches(
    unfetched: Mapping[str, Sequence[IdentifiedUnit]],
    name: str,
    reason: str,
    *,
    describer: Selection,
) -> list[ChangeLine]:
    return [refetch_line(unit, reason, describer) for unit in unfetched.get(name, ())]
