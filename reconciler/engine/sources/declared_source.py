"""High-level importers: groups are declared, those that may have changed are read, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from reconciler.engine.plugin_calls.importer_calls import SourceCall, is_usable_validator
from reconciler.engine.plugin_calls.plugin_errors import error_message, is_unawaited
from reconciler.engine.run.task_groups import task_group
from reconciler.engine.sources.batches import BATCH, HELD, LARGEST, BatchSizer, bounded
from reconciler.engine.sources.remote_source import RemoteSource
from reconciler.engine.sources.selection import LONGEST
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_resolver import departed
from reconciler.engine.sources.source_responses import BY_SOURCE, GONE, REFUSED, SourceResponse
from reconciler.errors import Gone, NotCached, PluginFault, Temporary, Unreachable, Withdrawn
from reconciler.model import Group, Unit, usable_name
from reconciler.plan import GroupChange
from reconciler.plugin import Unchanged
from reconciler.redaction import sanitize

MOST_GROUPS = 10_000_000  # of one source: what a listing without end comes to


@dataclass(slots=True)
class Declared:
    """What a source declares. `names`: all of them, and `foreign`: those that an earlier source
    has; `changed`: to be read; `refused`: reasons.
    """

    names: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    changed: list[Group] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class DeclaredSource(RemoteSource):
    """Asks `declare`, then `read`."""

    async def _resolve(self) -> str | None:
        found, troubles = Declared(), self._findings.troubles
        call, unchanged = await self._declare(
            found.names, lambda group: self._sort_out(group, found), self._load_committed
        )
        if unchanged:
            await self._stay()
        else:
            await self._bring(call, found)
        if call.is_incomplete:
            self._lose_sight()
            if self._findings.troubles == troubles:
                self._fail(
                    None,
                    Unreachable(
                        "could not be asked completely: nothing of it leaves in this run for being"
                        " absent"
                    ),
                )
        return call.validator

    async def _bring(self, call: SourceCall, found: Declared) -> None:
        """Read and compare what was declared."""
        await self._load_committed()
        self._own(
            name for name in found.names if name not in found.foreign and name not in self._waiting
        )
        if self._partial:
            self._own(self._answered_for())
        changed = found.changed
        changed.sort(key=lambda group: group.name, reverse=True)
        self._resolution.task.expect(len(changed), 0)
        await self._read_and_compare(changed, BY_SOURCE if call.validator else None)
        await self._refuse(found.refused)
        await self._drop(
            sorted(
                name for name in self._committed if name not in found.names or name in found.foreign
            )
        )

    async def _told(self, names: Sequence[str]) -> list[SourceResponse]:
        found: dict[str, Group] = {}

        def keep(group: Group) -> None:
            if group.name in names:
                found[group.name] = group
            elif self._takes(group) and not self._is_gone(group.name):
                self._own([group.name])

        try:
            await self._declare(set(), keep)
            if self._partial:
                self._own(name for name in self._answered_for() if name not in names)
            return [await self._tell(found[name]) for name in names if name in found]
        finally:
            self._desk.place.close()

    async def _tell(self, group: Group) -> SourceResponse:
        if not self._takes(group):
            return self._left_to(group.name)
        return (
            SourceResponse(group.name, refused=group.refused)
            if group.refused
            else await self._read(group, None)
        )

    async def _declare(
        self,
        names: set[str],
        take: Callable[[Group], None],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[SourceCall, bool]:
        """Give each group to `take`, `prepare` being called before the first, and note its name in
        `names`.

        Returns the call, and whether the whole source is unchanged instead; never for whoever has
        nothing to prepare, and wants to hear the groups.
        """
        known = await self._known_source() if prepare is not None else None
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("declare")
            ) as clock:
                call = SourceCall(self._desk, clock, known, taken=self._is_taken, declaring=True)
                try:
                    async with _groups(self._resolution.importer().declare(call)) as groups:
                        async for group in groups:
                            clock.restart()
                            if isinstance(group, Unchanged):
                                _check_unchanged(call, names)
                                return call, True
                            _check_group(group, names)
                            if not names and prepare is not None:
                                with clock.working():
                                    await prepare()
                            names.add(group.name)
                            take(group)
                except (NotCached, Temporary):
                    raise
                except Exception:
                    call.forget_pages()
                    raise
                finally:
                    self._partial = self._partial or call.is_incomplete
                    call.close()
        except NotCached:
            raise
        except Exception as error:  # a plugin may raise anything; whatever it is, nothing of this source is removed
            raise SourceFailure(error) from error
        return call, call.is_unchanged and not names

    def _is_taken(self, name: str) -> bool:
        if self._waits(name):  # what depends on it is not known either: nothing leaves
            self._waiting.add(name)
            self._partial = True
        return not self._may_have(name)

    def _is_gone(self, name: str) -> bool:
        """Is it known that upstream, whatever it declares, does not have it?"""
        committed = self._committed.get(name)
        return committed is not None and committed.validator == GONE

    def _takes(self, group: Group) -> bool:
        """Is the name this source's, or may it add to that of another?"""
        return group.shared or self._may_have(group.name)

    def _sort_out(self, group: Group, found: Declared) -> None:
        """Of most groups of a large index no more than the name is remembered, and what a group
        carries goes with its reading.
        """
        name = group.name
        if not self._takes(group):
            (self._waiting if self._waits(name) else found.foreign).add(name)
        elif group.refused:
            if self._refusal_is_news(name):
                found.refused[name] = group.refused
        elif not self._settled(group):
            found.changed.append(group)

    def _settled(self, group: Group) -> bool:
        """Is the group committed under what its source declares now, with today's selection, not
        due again, and claimed by nobody?
        """
        known = self._known(group.name)
        return (
            known is not None
            and group.validator == known
            and group.name not in self._findings.claimed
        )

    def _refusal_is_news(self, name: str) -> bool:
        """Has something of it to leave, or has a later source to be told that the name is taken?"""
        committed = self._committed.get(name)
        if committed is None:
            return self._followed and self._may_have(name)
        return committed.validator != REFUSED and self._resolution.repository.mode == "mirror"

    async def _refuse(self, refused: Mapping[str, str]) -> None:
        """Groups that a rule keeps out whole. The name stays this source's, which is recorded where
        another source follows.
        """
        removes = self._resolution.repository.mode == "mirror"
        pace = BatchSizer(sorted(name for name in refused if name not in self._findings.unread))
        while batch := pace.batch():
            members = await self._members(batch)
            pace.took(sum(map(len, members.values())))
            changes = [
                departed(
                    self._resolution,
                    self._source.id,
                    name,
                    members.get(name, []) if removes else [],
                    self._selection,
                    sanitize(refused[name], LONGEST),
                )
                for name in batch
            ]
            await self._add(
                [self._held_as_refused(change) for change in changes] if self._followed else changes
            )

    def _held_as_refused(self, change: GroupChange) -> GroupChange:
        if not self._may_have(change.head.name):
            return change
        return GroupChange(
            msgspec.structs.replace(
                change.head, held=True, validator=REFUSED, selection=self._basis.hex
            ),
            change.lines,
        )

    async def _read_and_compare(self, groups: list[Group], otherwise: str | None) -> None:
        """Read groups from the end of the list, several at once; compare whatever has come in
        meanwhile, at most BATCH at a time.

        `otherwise`: the validator of groups that have none of their own.
        """
        results: asyncio.Queue[SourceResponse] = asyncio.Queue(maxsize=BATCH)
        room = asyncio.Event()
        room.set()
        missing, held = len(groups), 0

        async def work() -> None:
            nonlocal held
            while groups:
                await room.wait()
                if groups:
                    answer = await self._read(groups.pop(), otherwise)
                    held += len(answer.units)
                    if held > HELD:
                        room.clear()
                    await results.put(answer)

        async with task_group() as workers:
            for _ in range(min(missing, self._remote.concurrency)):
                workers.create_task(work())
            while missing:
                batch = [await results.get()]
                while not results.empty() and len(batch) < BATCH:
                    batch.append(results.get_nowait())
                missing -= len(batch)
                self._resolution.task.advance(len(batch))
                await self._compare(batch)
                held -= sum(len(one.units) for one in batch)
                if held <= HELD:
                    room.set()

    async def _read(self, group: Group, otherwise: str | None) -> SourceResponse:
        name, call = group.name, None
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("read", name)
            ) as clock:
                call = SourceCall(
                    self._desk,
                    clock,
                    None if name in self._findings.claimed else self._known(name),
                    taken=self._is_taken,
                )
                units = await self._resolution.importer().read(call, group)
                if isinstance(units, Unchanged):
                    return self._as_it_was(call, group)
                found = _units(units, name)
                if (
                    call.is_unchanged and not found
                ):  # nothing to say, after hearing that nothing changed: that is no absence
                    return self._as_it_was(call, group)
            validator = group.validator or call.validator or otherwise
            return SourceResponse(name, found, call.kept_out, validator, group.listed)
        except Gone as gone:
            withdrawn = isinstance(gone, Withdrawn)
            return SourceResponse(
                name,
                validator=group.validator or otherwise,
                listed=group.listed,
                gone=error_message(gone) or "gone",
                withdrawn=withdrawn,
            )
        except (
            Exception
        ) as error:  # a plugin may raise anything; it is this group's failure and nobody else's
            if call is not None and not isinstance(error, Temporary | NotCached):
                call.forget_pages()
            return SourceResponse(name, listed=group.listed, failure=error)
        finally:
            if call is not None:
                call.close()

    def _as_it_was(self, call: SourceCall, group: Group) -> SourceResponse:
        if not call.is_unchanged:
            raise PluginFault(
                "`read` returns UNCHANGED without having been told so by `call.unchanged`"
            )
        return SourceResponse(group.name, unchanged=True)


def _units(answer: Iterable[Unit], group: str) -> Sequence[Unit]:
    """Raises PluginFault where `read` returned something else than units."""
    is_unawaited(answer)
    found: Any = list(islice(answer, LARGEST + 1)) if isinstance(answer, Iterable) else None
    strangers = [answer] if found is None else [one for one in found if not isinstance(one, Unit)]
    if strangers:
        raise PluginFault(
            f"`read` returns units or UNCHANGED: for group `{group}` came"
            f" {type(strangers[0]).__name__}"
        )
    bounded(len(found), group)
    units: Sequence[Unit] = found
    return units


@asynccontextmanager
async def _groups(answer: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """What `declare` yields, ended with the block: nothing of it may run once its call is closed."""
    if not isinstance(answer, AsyncIterator):
        is_unawaited(answer)
        raise PluginFault(
            f"`declare` is an async generator: it gives {type(answer).__name__}",
            hint="`async def declare`, and `yield` within",
        )
    try:
        yield answer
    finally:
        if isinstance(answer, AsyncGenerator):
            await answer.aclose()


def _check_unchanged(call: SourceCall, names: set[str]) -> None:
    if names or not call.is_unchanged:
        raise PluginFault(
            "`declare` yields UNCHANGED without having been told so by `call.unchanged`, or after a"
            " group",
            hint="if call.unchanged(validator): yield UNCHANGED; return",
        )


def _check_group(group: Any, names: set[str]) -> None:
    """Raises PluginFault for what is no group, and for one whose name came before."""
    if not isinstance(group, Group):
        raise PluginFault(f"`declare` yields groups: {group!r:.80} is none")
    if not usable_name(group.name):
        raise PluginFault(
            f"`declare` yields a group under the unusable name {group.name!r:.80}",
            hint="1 to 1,024 printable characters",
        )
    if group.validator is not None and not is_usable_validator(group.validator):
        raise PluginFault(
            f"the group `{group.name}` has an unusable validator: {group.validator!r:.80}",
            hint="a text of up to 4,096 characters",
        )
    if (
        type(group.refused) is not str
        or type(group.listed) is not bool
        or type(group.shared) is not bool
    ):
        raise PluginFault(
            f"the group `{group.name}` has a reason for `refused`, a text, and True or False for"
            f" `listed` and `shared`: not {group.refused!r:.80}, {group.listed!r:.40},"
            f" {group.shared!r:.40}"
        )
    if group.name in names:
        raise PluginFault(f"`declare` yields the group `{group.name}` twice")
    if len(names) >= MOST_GROUPS:
        raise PluginFault(
            f"`declare` yields more than {MOST_GROUPS:,} groups",
            hint="gather them in larger ones, for instance by a hash of the name",
        )
