"""Remotes of high-level importers: groups are declared, and the changed ones are read."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from reconciler.database import WITHDRAWN_GONE
from reconciler.engine.plugin_calls.upstream_conduits import ReadingConduit
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.declarations import (
    Declaration,
    check_group,
    check_unchanged,
    declared_groups,
)
from reconciler.engine.sources.group_reading import GroupReader
from reconciler.engine.sources.ownership import is_committed
from reconciler.engine.sources.recorded_units import RecordedUnits, only_filters_differ
from reconciler.engine.sources.remote_source import RemoteSource
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import MAX_TEXT, Selection
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_responses import BY_SOURCE, GONE, REFUSED, SourceResponse
from reconciler.errors import NotCached, Temporary, Unreachable
from reconciler.model import Digest, Group, Remote, Source
from reconciler.plan import GroupChange
from reconciler.plugin import Decision, Unchanged
from reconciler.redaction import sanitize

UNKNOWN = object()

logger = logging.getLogger(__name__)


class DeclaredSource(RemoteSource):
    """Asks `declare`, then `read`."""

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        *,
        remote: Remote,
        former: Selection | None = None,
    ) -> None:
        """`former`: the selection with the filters of the run before, where that is known."""
        super().__init__(resolution, source, selection, remote=remote)
        self._former = former
        self._recorded = self._records(None)
        self._unread: dict[str, Group] = {}  # groups whose recorded units are to be decided
        self._standing: dict[
            str, str
        ] = {}  # validators of groups in which no other source has a say
        self._reader = GroupReader(
            resolution,
            self._context,
            source=source.id,
            owned_by_earlier_source=self._is_owned_by_earlier_source,
            concurrency=remote.concurrency,
        )

    async def _resolve(self) -> str | None:
        declaration, problems = Declaration(), self._findings.problem_count
        conduit, unchanged = await self._declare(
            declaration.names,
            lambda group: self._sort(group, declaration),
            self._prepare_standing,
        )
        self._log_asked(unchanged=unchanged)
        if unchanged:
            await self._keep_unchanged()
        else:
            await self._bring(conduit, declaration)
        if conduit.is_incomplete:
            reported = self._findings.problem_count != problems
            self._mark_incomplete(conduit.incomplete_reason, reported=reported)
        return conduit.validator

    async def _prepare_standing(self) -> None:
        """Find out which groups stay as they are if they are declared as before.

        Nothing more is to be found out about them: no other source has a say in any name.
        """
        await self._committed.load_groups()
        if self._ownership.allows_all() and not self._findings.claimed:
            self._standing = self._committed.standing_validators()

    async def _bring(self, conduit: ReadingConduit, declaration: Declaration) -> None:
        """Read and compare what was declared."""
        await self._committed.load_groups()
        names, foreign = declaration.names, declaration.foreign
        self._claim(name for name in names if name not in foreign and name not in self._waiting)
        if self.incomplete:
            await self._claim_committed()
        changed = declaration.changed
        changed.sort(key=lambda group: group.name, reverse=True)
        self._recorded = self._usable_records()
        await self._read_all(changed, default_validator=BY_SOURCE if conduit.validator else None)
        await self._refuse(declaration.refused)
        await self._comparer.drop(
            sorted(name for name in self._committed.groups if name not in names or name in foreign)
        )

    async def _read_all(self, changed: list[Group], *, default_validator: str | None) -> None:
        """Read and compare groups; of those of which only filters changed, what is recorded."""
        number = len(changed)
        self._resolution.task.expect(number, 0)
        otherwise: list[Group] = []
        await self._reader.read_all(
            changed,
            lambda group: self._ask(group, default_validator=default_validator),
            lambda responses: self._compare(responses, otherwise),
        )
        if otherwise:
            self._resolution.task.expect(number + len(otherwise), 0)
        await self._reader.read_all(
            otherwise,
            lambda group: self._reader.read(
                group, committed_validator=None, default_validator=default_validator
            ),
            self._comparer.compare,
        )

    def _usable_records(self) -> RecordedUnits:
        """Return the recorded units that may stand for what upstream offers."""
        try:
            usable = only_filters_differ(self._resolution, self.selection, self._former)
        except Exception as error:  # plugin code
            raise SourceFailure(error) from error
        return self._records(
            self._rules_digest_with(self._former) if usable and self._former else None
        )

    def _records(self, rules_digest: Digest | None) -> RecordedUnits:
        return RecordedUnits(
            self._source.id, self._committed, self._remote_artifacts, rules_digest=rules_digest
        )

    async def _ask(self, group: Group, *, default_validator: str | None) -> SourceResponse:
        """Ask upstream for a group, unless it is known that it offers what is held.

        A plugin that answers that the group is unchanged says so too.
        """
        name = group.name
        current = self._current_validator(name)
        recorded = None if name in self._findings.claimed else self._recorded.validator(name)
        if recorded is None or group.validator != recorded:
            response = await self._reader.read(
                group,
                committed_validator=current or recorded,
                default_validator=default_validator,
            )
            if recorded is None or not response.unchanged:
                return response
        self._unread[name] = group
        return SourceResponse(
            name, validator=group.validator or recorded, listed=group.listed, recorded=True
        )

    async def _compare(self, responses: Sequence[SourceResponse], otherwise: list[Group]) -> None:
        """Compare groups. Add to `otherwise` those that have to be read after all."""
        recorded = {response.name: response for response in responses if response.recorded}
        await self._comparer.compare([each for each in responses if not each.recorded])
        batches = BatchSizer(list(recorded))
        while batch := batches.next():
            members = await self._comparer.members(batch)
            batches.record(sum(map(len, members.values())))
            units = await self._recorded.units(members)
            otherwise += [self._unread[name] for name in batch if name not in units]
            await self._comparer.compare(
                [replace(recorded[name], units=units[name]) for name in batch if name in units],
                members,
            )
        for name in recorded:
            del self._unread[name]

    def _mark_incomplete(self, reason: str, *, reported: bool) -> None:
        self._ownership.mark_unavailable(self._source.id)
        if not reported:
            message = f"could not be asked completely: {reason}"
            hint = "this run removes nothing for being absent there; the next one asks again"
            self._resolution.add_failure(self._source.id, None, Unreachable(message, hint=hint))

    async def _respond(self, names: Sequence[str]) -> list[SourceResponse]:
        wanted: dict[str, Group] = {}

        def take(group: Group) -> None:
            if group.name in names:
                wanted[group.name] = group
            elif self._takes(group) and not self._is_gone(group.name):
                self._claim([group.name])

        try:
            await self._declare(set(), take)
            if self.incomplete and self._ownership.contested:
                others = self._committed.groups.keys() - set(names)
                self._claim(name for name in others if is_committed(self._committed.groups[name]))
            return [await self._response(wanted[name]) for name in names if name in wanted]
        finally:
            self._context.place.close()

    async def read_again(self, names: Sequence[str]) -> list[SourceResponse]:
        """Return what upstream says of groups now. Listing stops once all of them are declared."""
        wanted: dict[str, Group] = {}

        def take(group: Group) -> None:
            if group.name in names:
                wanted[group.name] = group

        try:
            await self._declare(set(), take, until=lambda: len(wanted) == len(names))
            return [await self._response(group) for group in wanted.values()]
        except SourceFailure as failure:
            raise failure.cause from None
        finally:
            self._context.place.close()

    async def pull(self, name: str) -> tuple[SourceResponse, list[Decision]]:
        """Return what upstream says of one group, undeclared, and what is decided about its units.

        Artifacts have their digests. Nothing else is read, and nothing recorded.
        """
        try:
            group = Group(name, listed=False)
            read = await self._reader.read(group, committed_validator=None, default_validator=None)
            response, decisions = self._decided(read)
            units = await self._remote_artifacts.measured(decisions)
            if units is not None:
                response, decisions = self._decided(replace(response, units=units))
            return response, decisions
        finally:
            self._context.place.close()

    async def _response(self, group: Group) -> SourceResponse:
        """Return what the source says of a group, whatever is committed."""
        if not self._takes(group):
            return self._not_asked(group.name)
        if group.refused:
            return SourceResponse(group.name, refused=group.refused)
        return await self._reader.read(group, committed_validator=None, default_validator=None)

    async def _declare(
        self,
        names: set[str],
        take: Callable[[Group], None],
        prepare: Callable[[], Awaitable[None]] | None = None,
        *,
        until: Callable[[], bool] = lambda: False,
    ) -> tuple[ReadingConduit, bool]:
        """Ask for the groups: pass each to `take`, and add its name to `names`.

        `prepare` is awaited before the first group; `until`: asked after each group, True ends
        the listing early. Returns the call, and True if the whole source
        is unchanged instead; that is never so without `prepare`, which asks for the groups.
        """
        validator = await self._current_source_validator() if prepare is not None else None
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("declare")
            ) as clock:
                conduit = ReadingConduit(
                    self._context,
                    clock,
                    validator,
                    owned_by_earlier_source=self._is_owned_by_earlier_source,
                    declaring=True,
                )
                try:
                    async with declared_groups(
                        self._resolution.importer().declare(conduit)
                    ) as groups:
                        async for group in groups:
                            clock.restart()
                            if self._stands(group, names):
                                names.add(group.name)
                                continue
                            if isinstance(group, Unchanged):
                                check_unchanged(conduit, names)
                                return conduit, True
                            check_group(group, names)
                            if not names and prepare is not None:
                                with clock.working():
                                    await prepare()
                            names.add(group.name)
                            take(group)
                            if until():
                                break
                except (NotCached, Temporary):
                    raise
                except Exception:
                    conduit.forget_pages()
                    raise
                finally:
                    self._comparer.incomplete |= conduit.is_incomplete
                    conduit.close()
        except NotCached:
            raise
        except Exception as error:  # a plugin may raise anything: nothing of its source is removed
            raise SourceFailure(error) from error
        return conduit, conduit.is_unchanged and not names

    def _stands(self, group: Any, names: set[str]) -> bool:
        """Return True for a well-formed group that is declared as it is recorded.

        A short cut of what follows otherwise, for all but a few names of a long list.
        """
        return (
            type(group) is Group
            and type(name := group.name) is str
            and self._standing.get(name, UNKNOWN) == group.validator
            and group.refused == ""
            and type(group.listed) is bool
            and type(group.shared) is bool
            and name not in names
        )

    def _is_owned_by_earlier_source(self, name: str) -> bool:
        """Answer the plugin whether a name belongs to another source, or may do so.

        Where that is unknown, what depends on it is unknown too: nothing is removed in this run.
        """
        if self._defer_if_contested(name):
            self._comparer.incomplete = True
        return not self._may_bring(name)

    def _is_gone(self, name: str) -> bool:
        """Return True if upstream is recorded to lack the group although it declares it."""
        committed = self._committed.groups.get(name)
        return committed is not None and committed.validator in (GONE, WITHDRAWN_GONE)

    def _takes(self, group: Group) -> bool:
        """Return True if this source owns the name or may share it."""
        return group.shared or self._may_bring(group.name)

    def _current_validator(self, name: str) -> str | None:
        """Return the validator of a group that need not be read again unless it differs."""
        return None if name in self._findings.claimed else self._committed.group_validator(name)

    def _sort(self, group: Group, declaration: Declaration) -> None:
        """Add a group to the list of `declaration` that fits it.

        Of most groups of a large index only the name is kept in memory.
        """
        name = group.name
        if not self._takes(group):
            if not self._defer_if_contested(name):
                logger.debug("%s: `%s` left to its owner", self._source.id, name)
                declaration.foreign.add(name)
        elif group.refused:
            if self._refusal_needs_recording(name):
                declaration.refused[name] = group.refused
            if name not in self._committed.groups:
                self._findings.count_refused_name(sanitize(group.refused, MAX_TEXT))
        else:
            validator = self._current_validator(name)
            if validator is None or group.validator != validator:
                declaration.changed.append(group)

    def _refusal_needs_recording(self, name: str) -> bool:
        """Return True if units have to be removed, or a later source must respect the name."""
        committed = self._committed.groups.get(name)
        if committed is None:
            return self._ownership.is_followed(self._source.id) and self._may_bring(name)
        refused = committed.validator == REFUSED and not self._committed.has_other_rules(name)
        return not refused and self._resolution.mirrors

    async def _refuse(self, refused: Mapping[str, str]) -> None:
        """Remove groups that a rule keeps out whole; this source still owns their names."""
        batches = BatchSizer(sorted(name for name in refused if name not in self._findings.unread))
        while batch := batches.next():
            members = await self._comparer.members(batch)
            batches.record(sum(map(len, members.values())))
            changes = []
            for name in batch:
                leaving = members.get(name, []) if self._resolution.mirrors else []
                reason = sanitize(refused[name], MAX_TEXT)
                changes.append(self._keep_name_owned(self._comparer.removal(name, leaving, reason)))
            await self._comparer.add(changes)

    def _keep_name_owned(self, change: GroupChange) -> GroupChange:
        """Record the refusal where another source follows, so that it cannot claim the name."""
        if not self._ownership.is_followed(self._source.id) or not self._may_bring(
            change.head.name
        ):
            return change
        head = msgspec.structs.replace(
            change.head, held=True, validator=REFUSED, selection=self._rules_digest
        )
        return GroupChange(head, change.lines)
