"""High-level importers: groups are declared, those that may have changed are read, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from reconciler.engine.calls import SourceCall, usable_validator
from reconciler.engine.sources import BATCH, BY_SOURCE, HELD, LARGEST, Answer, SourceFailure, bounded
from reconciler.engine.telling import unfinished, words_of
from reconciler.engine.together import together
from reconciler.engine.upstream import UpstreamSource
from reconciler.errors import Gone, NotCached, PluginFault, Temporary
from reconciler.model import Group, Unit, usable_name
from reconciler.plugin import Unchanged

MOST_GROUPS = 10_000_000  # of one source: what a listing without end comes to


class ListedSource(UpstreamSource):
    """Asks `declare`, then `read`."""

    async def _resolve(self) -> str | None:
        call, declared = await self._declare()
        if declared is None:
            await self._stay()
            return call.validator
        await self._load_committed()
        mine = {name for name in declared if self._may_have(name)}
        self._own(mine)
        changed = [declared[name] for name in sorted(mine, reverse=True) if not self._settled(declared[name])]
        declared.clear()  # what a group carries goes with its reading
        self._asked.task.expect(len(changed), 0)
        await self._read_and_compare(changed, BY_SOURCE if call.validator else None)
        await self._drop([name for name in sorted(self._committed) if name not in mine])
        return call.validator

    async def _told(self, names: Sequence[str]) -> list[Answer]:
        try:
            _, declared = await self._declare()
            return [await self._read(declared[name], None) for name in names if declared is not None and name in declared]
        finally:
            self._desk.place.close()

    async def _declare(self) -> tuple[SourceCall, dict[str, Group] | None]:
        """The groups by name; None where the whole source is unchanged."""
        known = await self._known_source()
        declared: dict[str, Group] = {}
        try:
            async with self._asked.context.patience.call(self._asked.call("declare")) as clock:
                call = SourceCall(self._desk, clock, known, declaring=True)
                try:
                    async with _groups(self._asked.importer().declare(call)) as groups:
                        async for group in groups:
                            clock.restart()
                            if isinstance(group, Unchanged):
                                _check_unchanged(call, declared)
                                return call, None
                            _check_group(group, declared)
                            declared[group.name] = group
                except (NotCached, Temporary):
                    raise
                except Exception:
                    call.forget_pages()
                    raise
                finally:
                    call.close()
        except NotCached:
            raise
        except Exception as error:  # a plugin may raise anything; whatever it is, nothing of this source is removed
            raise SourceFailure(error) from error
        return call, None if call.said_unchanged and not declared else declared

    def _settled(self, group: Group) -> bool:
        """Is the group committed under what its source declares now, with today's selection, and not due again?"""
        known = self._known(group.name)
        return known is not None and group.validator == known

    async def _read_and_compare(self, groups: list[Group], otherwise: str | None) -> None:
        """Read groups from the end of the list, several at once; compare whatever has come in meanwhile, at most BATCH at a time.

        `otherwise`: the validator of groups that have none of their own.
        """
        results: asyncio.Queue[Answer] = asyncio.Queue(maxsize=BATCH)
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

        async with together() as workers:
            for _ in range(min(missing, self._remote.concurrency)):
                workers.create_task(work())
            while missing:
                batch = [await results.get()]
                while not results.empty() and len(batch) < BATCH:
                    batch.append(results.get_nowait())
                missing -= len(batch)
                self._asked.task.advance(len(batch))
                await self._compare(batch)
                held -= sum(len(one.units) for one in batch)
                if held <= HELD:
                    room.set()

    async def _read(self, group: Group, otherwise: str | None) -> Answer:
        name, call = group.name, None
        try:
            async with self._asked.context.patience.call(self._asked.call("read", name)) as clock:
                call = SourceCall(self._desk, clock, self._known(name))
                units = await self._asked.importer().read(call, group)
                if isinstance(units, Unchanged):
                    return self._as_it_was(call, group)
                found = _units(units, name)
                if call.said_unchanged and not found:  # nothing to say, after hearing that nothing changed: that is no absence
                    return self._as_it_was(call, group)
            validator = group.validator or call.validator or otherwise
            return Answer(name, found, call.kept_out, validator, group.listed)
        except Gone as gone:
            return Answer(name, validator=group.validator or otherwise, listed=group.listed, gone=words_of(gone) or "gone")
        except Exception as error:  # a plugin may raise anything; it is this group's failure and nobody else's
            if call is not None and not isinstance(error, Temporary | NotCached):
                call.forget_pages()
            return Answer(name, listed=group.listed, failure=error)
        finally:
            if call is not None:
                call.close()

    def _as_it_was(self, call: SourceCall, group: Group) -> Answer:
        if not call.said_unchanged:
            raise PluginFault("`read` returns UNCHANGED without having been told so by `call.unchanged`")
        return Answer(group.name, unchanged=True)


def _units(answer: Iterable[Unit], group: str) -> Sequence[Unit]:
    """Raises PluginFault where `read` returned something else than units."""
    unfinished(answer)
    found: Any = list(islice(answer, LARGEST + 1)) if isinstance(answer, Iterable) else None
    strangers = [answer] if found is None else [one for one in found if not isinstance(one, Unit)]
    if strangers:
        raise PluginFault(f"`read` returns units or UNCHANGED: for group `{group}` came {type(strangers[0]).__name__}")
    bounded(len(found), group)
    units: Sequence[Unit] = found
    return units


@asynccontextmanager
async def _groups(answer: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """What `declare` yields, ended with the block: nothing of it may run once its call is closed."""
    if not isinstance(answer, AsyncIterator):
        unfinished(answer)
        raise PluginFault(f"`declare` is an async generator: it gives {type(answer).__name__}", hint="`async def declare`, and `yield` within")
    try:
        yield answer
    finally:
        if isinstance(answer, AsyncGenerator):
            await answer.aclose()


def _check_unchanged(call: SourceCall, declared: Mapping[str, Group]) -> None:
    if declared or not call.said_unchanged:
        raise PluginFault(
            "`declare` yields UNCHANGED without having been told so by `call.unchanged`, or after a group",
            hint="if call.unchanged(validator): yield UNCHANGED; return",
        )


def _check_group(group: Any, declared: dict[str, Group]) -> None:
    if not isinstance(group, Group):
        raise PluginFault(f"`declare` yields groups: {group!r:.80} is none")
    if not usable_name(group.name):
        raise PluginFault(f"`declare` yields a group under the unusable name {group.name!r:.80}", hint="1 to 1,024 printable characters")
    if group.validator is not None and not usable_validator(group.validator):
        raise PluginFault(f"the group `{group.name}` has an unusable validator: {group.validator!r:.80}", hint="a text of up to 4,096 characters")
    if group.name in declared:
        raise PluginFault(f"`declare` yields the group `{group.name}` twice")
    if len(declared) >= MOST_GROUPS:
        raise PluginFault(f"`declare` yields more than {MOST_GROUPS:,} groups", hint="gather them in larger ones, for instance by a hash of the name")
