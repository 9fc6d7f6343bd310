"""A whole plugin in one file: quotations. Upstream is `index.json` (`{group: etag}`) and
`<group>.json` (a list of quotations).

`registry()` knows this plugin and no other, without any packaging. Tests of the engine use it
wherever packages of a real ecosystem would only distract.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from html import escape
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import msgspec

from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    ContentType,
    Decision,
    Duration,
    Group,
    Importer,
    Malformed,
    Metadata,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReadConduit,
    Size,
    StoredUnit,
    Summary,
    Unit,
)
from reconciler.plugin.registry import Registry

QUOTE = "quotes.quote"
POINTS = {
    "reconciler.importers": [
        EntryPoint("quotes", "tests.support.quotes:importer", "reconciler.importers")
    ],
    "reconciler.publishers": [
        EntryPoint("quotes", "tests.support.quotes:publisher", "reconciler.publishers")
    ],
    "reconciler.content_types": [
        EntryPoint("quote", "tests.support.quotes:quote", "reconciler.content_types")
    ],
}


class QuoteSource(Options):
    """`include`: names of the groups wanted, all where it is absent; `exclude` wins."""

    not_yet: ClassVar[frozenset[str]] = frozenset({"translations"})

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()


class QuoteRules(Options):
    """`deny`: keys of quotations; `maxSize`: of one text; `minAge`: accepted and recorded,
    quotations have no date.
    """

    deny: tuple[str, ...] = ()
    max_size: Size | None = None
    min_age: Duration | None = None


class QuotePages(Options):
    """`title` of the page that lists the groups."""

    title: str = "Quotations"


class Quote(ContentType):
    """One quotation: key = its id; one artifact, the text."""

    id = QUOTE
    plural = "quotations"

    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        return [cls._decision(group, unit, options, filters) for unit in units]

    @classmethod
    def removal_reason(cls, unit: StoredUnit, options: Options | None, refused: str) -> str:
        return "no longer quoted"

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        return Summary(None, "text")

    @staticmethod
    def _decision(
        group: str, unit: Unit, options: Options | None, filters: Sequence[ActiveFilter]
    ) -> Decision:
        if isinstance(options, QuoteSource):
            if options.include is not None and group not in options.include:
                return Decision(unit, accepted=False, reason="not in `include`")
            if group in options.exclude:
                return Decision(unit, accepted=False, reason=f'matches exclude "{group}"')
        for rule in sorted(filters, key=lambda each: each.name):
            assert isinstance(rule.options, QuoteRules)
            if unit.key in rule.options.deny:
                return Decision(unit, accepted=False, reason=f"{rule.name}.deny {unit.key}")
            largest = rule.options.max_size
            if largest is not None and any(
                (artifact.size or 0) > largest for artifact in unit.artifacts
            ):
                return Decision(unit, accepted=False, reason=f"{rule.name}.maxSize")
        return Decision(unit, accepted=True)


class QuoteImporter(Importer):
    """Reads the two kinds of pages; a group whose etag is known is not read again."""

    options = QuoteSource
    filter_options = QuoteRules
    well_known_names = ("famous",)

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="quotes", display_name="Quotations", types=[QUOTE])

    @classmethod
    def well_known(cls, index: str) -> str | None:
        return "https://quotes.example.org/" if index == "famous" else None

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        index = await conduit.get_json("index.json")
        if not isinstance(index, dict):
            raise Malformed("index.json is not a mapping of groups")
        for name, etag in index.items():
            if self._wanted(name, conduit.options):
                yield Group(name, validator=etag)

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        quotes = await conduit.get_json(f"{group.name}.json")
        if not isinstance(quotes, list):
            raise Malformed(f"{group.name}.json is not a list of quotations")
        try:
            return [self._unit(conduit.url, quote) for quote in quotes]
        except (KeyError, TypeError):
            raise Malformed(f"{group.name}.json holds something that is no quotation") from None

    @staticmethod
    def _wanted(name: str, options: QuoteSource) -> bool:
        return (options.include is None or name in options.include) and name not in options.exclude

    @staticmethod
    def _unit(base: str, quote: dict[str, Any]) -> Unit:
        url = quote["url"] if "://" in quote["url"] else base + quote["url"]
        text = Artifact(
            path=f"{quote['id']}.txt", sha256=quote["sha256"], size=quote.get("size"), url=url
        )
        return Unit(QUOTE, quote["id"], {"author": quote["by"]}, [text])


class QuotePublisher(Publisher):
    """`<group>/` lists the quotations of a group as JSON, `index/` the groups; texts lie under
    `files/<sha256>/`.
    """

    options = QuotePages

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata(id="quotes", display_name="Quotations", types=[QUOTE])

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                if units:
                    output.page(
                        f"{name}/",
                        msgspec.json.encode([unit.key for unit in units]),
                        "application/json",
                    )
                for artifact in (artifact for unit in units for artifact in unit.artifacts):
                    path = f"files/{artifact.sha256}/{artifact.path}"
                    output.file(path, artifact, "text/plain")
        names = list(conduit.groups())
        with conduit.whole_repository() as output:
            output.page("index/", msgspec.json.encode(names), "application/json")
            rows = "".join(f"<li>{escape(name)}</li>" for name in names)
            output.page(
                "index/",
                f"<h1>{escape(conduit.options.title)}</h1><ul>{rows}</ul>".encode(),
                "text/html",
            )


def importer() -> tuple[type[QuoteImporter], dict[str, Any]]:
    return QuoteImporter, {}


def publisher() -> tuple[type[QuotePublisher], dict[str, Any]]:
    return QuotePublisher, {}


def quote() -> tuple[type[Quote], dict[str, Any]]:
    return Quote, {}


def registry() -> Registry:
    """A registry in which `quotes` is installed and nothing else."""
    return Registry(points=lambda group: POINTS[group])
