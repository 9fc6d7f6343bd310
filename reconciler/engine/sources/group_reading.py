"""Reading of declared groups through a high-level importer, several at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from reconciler.engine.plugin_calls.plugin_errors import (
    awaited,
    error_message,
    is_unawaited,
    release_frames,
)
from reconciler.engine.plugin_calls.upstream_conduits import ReadingConduit, SourceContext
from reconciler.engine.run.task_groups import task_group
from reconciler.engine.sources.batches import BATCH, HELD, LARGEST, bounded
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import Gone, NotCached, PluginFault, Temporary, Withdrawn
from reconciler.model import Group, Unit
from reconciler.plugin import Unchanged

logger = logging.getLogger(__name__)


class GroupReader:
    """Reads groups of one remote, each in a call of its own.

    Args:
        owned_by_earlier_source: Tells the plugin whether an earlier source has a name.
        concurrency: How many groups are read at once.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        context: SourceContext,
        *,
        source: str,
        owned_by_earlier_source: Callable[[str], bool],
        concurrency: int,
    ) -> None:
        self._resolution = resolution
        self._context = context
        self._source_id = source
        self._owned_by_earlier_source = owned_by_earlier_source
        self._concurrency = concurrency

    async def read_all(
        self,
        groups: list[Group],
        read: Callable[[Group], Awaitable[SourceResponse]],
        compare: Callable[[Sequence[SourceResponse]], Awaitable[None]],
    ) -> None:
        """Read groups from the end of the list; compare what has come in meanwhile.

        At most BATCH groups are compared at a time, and about HELD units are in memory.
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
                    response = await read(groups.pop())
                    held += len(response.units)
                    if held > HELD:
                        room.clear()
                    await results.put(response)

        async with task_group() as workers:
            for _ in range(min(missing, self._concurrency)):
                workers.create_task(work())
            while missing:
                batch = [await results.get()]
                while not results.empty() and len(batch) < BATCH:
                    batch.append(results.get_nowait())
                missing -= len(batch)
                self._resolution.task.advance(len(batch))
                await compare(batch)
                held -= sum(len(response.units) for response in batch)
                if held <= HELD:
                    room.set()

    async def read(
        self, group: Group, *, committed_validator: str | None, default_validator: str | None
    ) -> SourceResponse:
        """Read one group; whatever fails becomes the failure of this group alone.

        `committed_validator`: the validator under which the group still stands;
        `default_validator`: what to record for a group that has none of its own.
        """
        conduit: ReadingConduit | None = None
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("read", group.name)
            ) as clock:
                conduit = ReadingConduit(
                    self._context,
                    clock,
                    committed_validator,
                    owned_by_earlier_source=self._owned_by_earlier_source,
                )
                answer = await awaited(self._resolution.importer().read(conduit, group), "read")
                return self._response(group, conduit, answer, default_validator=default_validator)
        except Gone as gone:
            return SourceResponse(
                group.name,
                validator=group.validator or default_validator,
                listed=group.listed,
                gone=error_message(gone) or "gone",
                withdrawn=isinstance(gone, Withdrawn),
            )
        except Exception as error:  # a plugin may raise anything
            if conduit is not None and not isinstance(error, Temporary | NotCached):
                conduit.forget_pages()
            release_frames(error)
            return SourceResponse(group.name, listed=group.listed, failure=error)
        finally:
            if conduit is not None:
                conduit.close()

    def _response(
        self,
        group: Group,
        conduit: ReadingConduit,
        answer: Iterable[Unit] | Unchanged,
        *,
        default_validator: str | None,
    ) -> SourceResponse:
        units = [] if isinstance(answer, Unchanged) else _checked_units(answer, group.name)
        if isinstance(answer, Unchanged) and not conduit.is_unchanged:
            raise PluginFault(
                "`read` returns UNCHANGED without having been told so by `conduit.unchanged`",
                hint="if conduit.unchanged(validator): return UNCHANGED",
            )
        # No units, after hearing that nothing changed, say that nothing changed: no absence.
        if conduit.is_unchanged and not units:
            logger.debug("%s: group `%s` unchanged", self._source_id, group.name)
            return SourceResponse(group.name, unchanged=True)
        validator = group.validator or conduit.validator or default_validator
        return SourceResponse(
            group.name,
            units,
            conduit.kept_out,
            validator,
            group.listed,
            incomplete=conduit.incomplete_reason,
        )


def _checked_units(answer: Iterable[Unit], group: str) -> Sequence[Unit]:
    """Return the units; raise PluginFault where `read` returned something else."""
    is_unawaited(answer)
    units: Any = list(islice(answer, LARGEST + 1)) if isinstance(answer, Iterable) else None
    strangers = (
        [answer] if units is None else [unit for unit in units if not isinstance(unit, Unit)]
    )
    if strangers:
        raise PluginFault(
            f"`read` returns units or UNCHANGED: for group `{group}` came"
            f" {type(strangers[0]).__name__}",
            hint="a list of Unit(type, key, metadata, artifacts), also of a single one",
        )
    bounded(len(units), group)
    checked: Sequence[Unit] = units
    return checked
