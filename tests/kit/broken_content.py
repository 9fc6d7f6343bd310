"""Broken plugins: publications, decisions, uploads, copies and hooks.

Each breaks one rule that the kit checks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    CopyConduit,
    Decision,
    GroupedUnit,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Refused,
    RepositoryInfo,
    StoredUnit,
    Unit,
    UploadConduit,
    UploadedFile,
)
from tests.support.quotes import (
    QUOTE,
    Quote,
    QuoteImporter,
    QuotePublisher,
)


class Page(QuotePublisher):
    """One more page, with something on it that the version does not hold: see `text`."""

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.page(f"{name}/{unit.key}/", unit.key.encode(), "text/plain")
        with conduit.whole_repository() as output:
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
        for name in conduit.changed_groups():
            names.append(name)
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.page(f"{name}/{unit.key}/", unit.key.encode(), "text/plain")
        with conduit.whole_repository() as output:
            output.page("index/", msgspec.json.encode(names), "application/json")


class EmptiedGroups(QuotePublisher):
    """Does not open groups that hold nothing any more."""

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            units = conduit.units(name)
            if units:
                with conduit.group(name) as output:
                    output.page(
                        f"{name}/",
                        msgspec.json.encode([unit.key for unit in units]),
                        "application/json",
                    )


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


class Uploads(QuoteImporter):
    """Sound: a text becomes a quotation of the group `sent`. Empty ones are refused."""

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
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
    ) -> Iterable[GroupedUnit]:
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
    ) -> Iterable[GroupedUnit]:
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
    ) -> Iterable[GroupedUnit]:
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


def unsorted_importer() -> tuple[type[QuoteImporter], dict[str, Any]]:
    """An entry point that another process can import."""
    return QuoteImporter, {}


def unsorted_publisher() -> tuple[type[Unsorted], dict[str, Any]]:
    return Unsorted, {}
