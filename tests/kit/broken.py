"""Plugins that break the rules, each a variation of the sound one in `tests.support.quotes`."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from pydantic import ConfigDict

from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    CopyConduit,
    Decision,
    Group,
    ImporterCall,
    Metadata,
    Options,
    Placed,
    PluginCallConfiguration,
    PublishConduit,
    Refused,
    RepositoryInfo,
    StoredUnit,
    SyncConduit,
    Unit,
    Unreachable,
    UploadConduit,
    UploadedFile,
)
from tests.support.quotes import (
    QUOTE,
    Quote,
    QuoteImporter,
    QuotePages,
    QuotePublisher,
    QuoteRules,
    QuoteSource,
)

# State between calls

_READ: dict[str, int] = {}


class ClassCache(QuoteImporter):
    """Counts on the class."""

    seen: ClassVar[dict[str, int]] = {}

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        self.seen[group.name] = self.seen.get(group.name, 0) + 1
        return await super().read(call, group)


class ModuleGlobal(QuoteImporter):
    """Counts in the module."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        _READ[group.name] = _READ.get(group.name, 0) + 1
        return await super().read(call, group)


class DefaultArgument(QuoteImporter):
    """Counts in a default argument."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        self._count(group.name)
        return await super().read(call, group)

    def _count(self, name: str, names: list[str] = []) -> None:  # noqa: B006  # the fault
        names.append(name)


class CachedMethod(QuoteImporter):
    """A cache that keeps every instance."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        self._title(group.name)
        return await super().read(call, group)

    @cache  # the fault of this one  # noqa: B019  # the fault of this one
    def _title(self, name: str) -> str:
        return name.title()


class KeptCall(QuoteImporter):
    """Keeps what it was handed."""

    calls: ClassVar[list[ImporterCall]] = []

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        self.calls.append(call)
        return await super().read(call, group)


class UsedCall(QuoteImporter):
    """Asks through what an earlier call was handed."""

    calls: ClassVar[list[ImporterCall]] = []

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        self.calls.append(call)
        return await super().read(self.calls[0], group)


# Failures, and what becomes of them


class AbsentUnits(QuoteImporter):
    """No answer is no unit."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        try:
            return await super().read(call, group)
        except Unreachable:
            return []


class ForbiddenUnits(QuoteImporter):
    """Not to be let in is no unit."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        try:
            return await super().read(call, group)
        except Refused:
            return []


class AbsentGroups(QuoteImporter):
    """A group that does not answer is not declared."""

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        async for group in super().declare(call):
            try:
                await call.get_json(f"{group.name}.json")
            except (Unreachable, Refused):
                continue
            yield group


class GreedyDeclare(QuoteImporter):
    """Reads every group's page where a failure takes all down."""

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        async for group in super().declare(call):
            await call.get_json(f"{group.name}.json")
            yield group


class Stumbling(QuoteImporter):
    """Believes that the index is what it should be."""

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        for name, etag in (await call.get_json("index.json")).items():
            yield Group(name, validator=etag)


class WeakValidator(QuoteImporter):
    """A validator that stays the same whatever happens."""

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        async for group in super().declare(call):
            yield Group(group.name, validator="v1")


class OnlyGrowing(QuoteImporter):
    """Low-level, and nothing ever leaves."""

    async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
        for name in await conduit.get_json("index.json"):
            for quote in await conduit.get_json(f"{name}.json"):
                conduit.save_unit(name, self._unit(conduit.url, quote))


# Units


class Units(QuoteImporter):
    """Returns other units than it should: see `unit`."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        return [self.unit(one) for one in await super().read(call, group)]

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


# Writing, and waiting


class LearntFolder(QuoteImporter):
    """Writes while planning, into a folder that it keeps. `place`: from the working directory."""

    folder: ClassVar[list[Path]] = []
    place = "."

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        self.folder[:] = [repository.working_directory]

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        for folder in self.folder:
            await asyncio.to_thread(self._write, folder / self.place / "index.txt")
        async for group in super().declare(call):
            yield group

    @staticmethod
    def _write(path: Path) -> None:
        path.write_text(uuid4().hex, encoding="utf-8")


class LearntStore(LearntFolder):
    folder: ClassVar[list[Path]] = []
    place = "../../../store"


class Sleeping(QuoteImporter):
    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        time.sleep(0.001)  # the fault of this one  # noqa: ASYNC251  # the fault of this one
        return await super().read(call, group)


class LookingUp(QuoteImporter):
    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        socket.getaddrinfo("127.0.0.1", 80)
        return await super().read(call, group)


class Spinning(QuoteImporter):
    """Computes for too long."""

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group]:
        begun = time.monotonic()
        while time.monotonic() < begun + 0.5:
            pass
        async for group in super().declare(call):
            yield group


class Hanging(QuoteImporter):
    """Awaits what never comes."""

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit]:
        await asyncio.Event().wait()
        return []


# Judgement


class NoMetadata(QuoteImporter):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="", display_name="Quotations", types=[QUOTE])


class FutureApi(QuoteImporter):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="quotes", display_name="Quotations", types=[QUOTE], api=">=2")


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


# Publications


class Page(QuotePublisher):
    """One more page, with something on it that the version does not hold: see `text`."""

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed():
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.page(f"{name}/{unit.key}/", unit.key.encode(), "text/plain")
        with conduit.whole() as output:
            output.page("index/", self.text(conduit).encode(), "text/plain")

    def text(self, conduit: PublishConduit) -> str:
        raise NotImplementedError


class Moment(Page):
    def text(self, conduit: PublishConduit) -> str:
        return datetime.now(UTC).isoformat()


class Today(Page):
    def text(self, conduit: PublishConduit) -> str:
        return time.strftime("%d %B %Y")


class Chance(Page):
    def text(self, conduit: PublishConduit) -> str:
        return str(random.random())


class Address(Page):
    def text(self, conduit: PublishConduit) -> str:
        return f"{id(conduit)}"


class Unsorted(Page):
    def text(self, conduit: PublishConduit) -> str:
        return " ".join({f"{group}{number}" for group in conduit.groups() for number in range(20)})


class PartialList(QuotePublisher):
    """Lists the groups that changed, and not all."""

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        names = []
        for name in conduit.changed():
            names.append(name)
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.page(f"{name}/{unit.key}/", unit.key.encode(), "text/plain")
        with conduit.whole() as output:
            output.page("index/", msgspec.json.encode(names), "application/json")


class EmptiedGroups(QuotePublisher):
    """Does not open groups that hold nothing any more."""

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed():
            units = conduit.units(name)
            if units:
                with conduit.group(name) as output:
                    output.page(
                        f"{name}/",
                        msgspec.json.encode([unit.key for unit in units]),
                        "application/json",
                    )


# Decisions


class FirstOnly(Quote):
    """The first of a list comes in, whichever that is."""

    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        return [
            Decision(unit, accepted=not number, reason="" if not number else "not the first")
            for number, unit in enumerate(units)
        ]


class ByTheClock(Quote):
    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        return [
            Decision(unit, accepted=True, reason=f"in {datetime.now(UTC):%Y}") for unit in units
        ]


class Altering(Quote):
    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        for unit in units:
            unit.metadata["seen"] = True
        return [Decision(unit, accepted=True) for unit in units]


# Uploads, copies, hooks


class Uploads(QuoteImporter):
    """Sound: a text becomes a quotation of the group `sent`. Empty ones are refused."""

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        if not file.size:
            raise Refused("a quotation is not empty")
        return [
            (
                "sent",
                Unit(
                    QUOTE,
                    self.key(file),
                    {"author": "unknown"},
                    [Artifact(f"{self.key(file)}.txt", file.sha256, file.size)],
                ),
            )
        ]

    def key(self, file: UploadedFile) -> str:
        return file.name


class NewEveryTime(Uploads):
    def key(self, file: UploadedFile) -> str:
        return uuid4().hex


class TakesAnything(QuoteImporter):
    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        return [
            (
                "sent",
                Unit(
                    QUOTE,
                    file.name,
                    {"author": "unknown"},
                    [Artifact("a.txt", file.sha256, file.size)],
                ),
            )
        ]


class StumblesOverUploads(QuoteImporter):
    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        first = file.path.read_bytes()[0]
        return [
            (
                "sent",
                Unit(
                    QUOTE,
                    f"{file.name}{first}",
                    {"author": "unknown"},
                    [Artifact("a.txt", file.sha256, file.size)],
                ),
            )
        ]


class SentWhere(Uploads):
    """Sound: a field says in which group."""

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        if "group" not in fields:
            raise Refused("a quotation needs the field `group`")
        return [
            (fields["group"], unit) for _, unit in super().upload(conduit, file, fields, config)
        ]


class AddedOnce(QuoteImporter):
    """A hook that cannot be called again."""

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        (repository.working_directory / "new").mkdir()


class UnreadableCopy(QuoteImporter):
    """Lets nobody copy."""

    async def copy(
        self, conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        raise KeyError(group)


def forget() -> None:
    """Leave nothing of what these remember."""
    for kept in (
        _READ,
        ClassCache.seen,
        KeptCall.calls,
        UsedCall.calls,
        LearntFolder.folder,
        LearntStore.folder,
    ):
        kept.clear()
    CachedMethod._title.cache_clear()


def unsorted_importer() -> tuple[type[QuoteImporter], dict[str, Any]]:
    """An entry point that another process can import."""
    return QuoteImporter, {}


def unsorted_publisher() -> tuple[type[Unsorted], dict[str, Any]]:
    return Unsorted, {}
