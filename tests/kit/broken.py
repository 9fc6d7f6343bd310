"""Plugins that break the rules, each a variation of the sound one in `tests.support.quotes`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from pydantic import ConfigDict

from reconciler.plugin import (
    Artifact,
    Group,
    Metadata,
    PluginCallConfiguration,
    ReadConduit,
    Refused,
    RepositoryInfo,
    SyncConduit,
    Unit,
    Unreachable,
)
from tests.support.quotes import (
    QUOTE,
    QuoteImporter,
    QuotePages,
    QuotePublisher,
    QuoteRules,
    QuoteSource,
)

_READ: dict[str, int] = {}


class ClassCache(QuoteImporter):
    """Counts on the class."""

    seen: ClassVar[dict[str, int]] = {}

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        self.seen[group.name] = self.seen.get(group.name, 0) + 1
        return await super().read(conduit, group)


class ModuleGlobal(QuoteImporter):
    """Counts in the module."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        _READ[group.name] = _READ.get(group.name, 0) + 1
        return await super().read(conduit, group)


class DefaultArgument(QuoteImporter):
    """Counts in a default argument."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        self._count(group.name)
        return await super().read(conduit, group)

    def _count(self, name: str, names: list[str] = []) -> None:  # noqa: B006  # the fault
        names.append(name)


class CachedMethod(QuoteImporter):
    """A cache that keeps every instance."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        self._title(group.name)
        return await super().read(conduit, group)

    @cache  # the fault of this one  # noqa: B019  # the fault of this one
    def _title(self, name: str) -> str:
        return name.title()


class KeptConduit(QuoteImporter):
    """Keeps what it was handed."""

    calls: ClassVar[list[ReadConduit]] = []

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        self.calls.append(conduit)
        return await super().read(conduit, group)


class UsedConduit(QuoteImporter):
    """Asks through what an earlier call was handed."""

    calls: ClassVar[list[ReadConduit]] = []

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        self.calls.append(conduit)
        return await super().read(self.calls[0], group)


class AbsentUnits(QuoteImporter):
    """No answer is no unit."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        try:
            return await super().read(conduit, group)
        except Unreachable:
            return []


class ForbiddenUnits(QuoteImporter):
    """Not to be let in is no unit."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        try:
            return await super().read(conduit, group)
        except Refused:
            return []


class AbsentGroups(QuoteImporter):
    """A group that does not answer is not declared."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        async for group in super().declare(conduit):
            try:
                await conduit.get_json(f"{group.name}.json")
            except (Unreachable, Refused):
                continue
            yield group


class GreedyDeclare(QuoteImporter):
    """Reads every group's page where a failure takes all down."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        async for group in super().declare(conduit):
            await conduit.get_json(f"{group.name}.json")
            yield group


class Stumbling(QuoteImporter):
    """Believes that the index is what it should be."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        for name, etag in (await conduit.get_json("index.json")).items():
            yield Group(name, validator=etag)


class WeakValidator(QuoteImporter):
    """A validator that stays the same whatever happens."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        async for group in super().declare(conduit):
            yield Group(group.name, validator="v1")


class OnlyGrowing(QuoteImporter):
    """Low-level, and nothing ever leaves."""

    async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
        for name in await conduit.get_json("index.json"):
            for quote in await conduit.get_json(f"{name}.json"):
                conduit.save_unit(name, self._unit(conduit.url, quote))


class Units(QuoteImporter):
    """Returns other units than it should: see `unit`."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        return [self.unit(one) for one in await super().read(conduit, group)]

    def unit(self, one: Unit) -> Unit:
        raise NotImplementedError


class Floats(Units):
    def unit(self, one: Unit) -> Unit:
        return Unit(one.type, one.key, {"weight": 0.5}, one.artifacts)


class NoDigest(Units):
    def unit(self, one: Unit) -> Unit:
        return Unit(
            one.type,
            one.key,
            one.metadata,
            [Artifact("a.txt", "no digest", 1, one.artifacts[0].url)],
        )


class WrongDigest(Units):
    def unit(self, one: Unit) -> Unit:
        return Unit(
            one.type,
            one.key,
            one.metadata,
            [Artifact("a.txt", "0" * 64, one.artifacts[0].size, one.artifacts[0].url)],
        )


class UnsafePath(Units):
    def unit(self, one: Unit) -> Unit:
        return Unit(
            one.type,
            one.key,
            one.metadata,
            [Artifact("../a.txt", one.artifacts[0].sha256, 2, one.artifacts[0].url)],
        )


class OneKey(Units):
    """Every unit under one key."""

    def unit(self, one: Unit) -> Unit:
        return Unit(one.type, "key", {"id": one.key}, one.artifacts)


class MadeUp(Units):
    """Units are new every time."""

    def unit(self, one: Unit) -> Unit:
        return Unit(one.type, one.key, {"read": uuid4().hex}, one.artifacts)


class DayStamp(Units):
    """Units are new every day."""

    def unit(self, one: Unit) -> Unit:
        return Unit(
            one.type, one.key, {"read": datetime.now(UTC).date().isoformat()}, one.artifacts
        )


class LearntFolder(QuoteImporter):
    """Writes while planning, into a folder that it keeps. `place`: from the working directory."""

    folder: ClassVar[list[Path]] = []
    place = "."

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        self.folder[:] = [repository.working_directory]

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        for folder in self.folder:
            await asyncio.to_thread(self._write, folder / self.place / "index.txt")
        async for group in super().declare(conduit):
            yield group

    @staticmethod
    def _write(path: Path) -> None:
        path.write_text(uuid4().hex, encoding="utf-8")


class LearntStore(LearntFolder):
    folder: ClassVar[list[Path]] = []
    place = "../../../store"


class Sleeping(QuoteImporter):
    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        time.sleep(0.001)  # the fault of this one  # noqa: ASYNC251  # the fault of this one
        return await super().read(conduit, group)


class LookingUp(QuoteImporter):
    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        socket.getaddrinfo("127.0.0.1", 80)
        return await super().read(conduit, group)


class Spinning(QuoteImporter):
    """Computes for too long."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        begun = time.monotonic()
        while time.monotonic() < begun + 0.5:
            pass
        async for group in super().declare(conduit):
            yield group


class Hanging(QuoteImporter):
    """Awaits what never comes."""

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        await asyncio.Event().wait()
        return []


class NoMetadata(QuoteImporter):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="", display_name="Quotations", types=[QUOTE])


class FutureApi(QuoteImporter):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="quotes", display_name="Quotations", types=[QUOTE], api=">=3")


class LooseSource(QuoteSource):
    model_config = ConfigDict(extra="allow")


class LooseRules(QuoteRules):
    model_config = ConfigDict(extra="ignore")


class LoosePages(QuotePages):
    model_config = ConfigDict(extra="ignore")


class AnySource(QuoteImporter):
    options = LooseSource


class AnyRules(QuoteImporter):
    filter_options = LooseRules


class AnyPages(QuotePublisher):
    options = LoosePages


def forget() -> None:
    """Leave nothing of what these remember."""
    for kept in (
        _READ,
        ClassCache.seen,
        KeptConduit.calls,
        UsedConduit.calls,
        LearntFolder.folder,
        LearntStore.folder,
    ):
        kept.clear()
    CachedMethod._title.cache_clear()
