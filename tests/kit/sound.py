"""A plugin that does much that looks like a fault and is none."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from abc import ABC
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import Flag, auto
from functools import cache, lru_cache
from hashlib import sha256
from typing import ClassVar

from pydantic import TypeAdapter

from reconciler.plugin import (
    Group,
    PluginCallConfiguration,
    PublishConduit,
    ReadConduit,
    Secret,
    Unit,
)
from tests.support.quotes import QuoteImporter, QuotePages, QuotePublisher

LOG = logging.getLogger(__name__)
WORD = re.compile(r"\w+")
NUMBERS = TypeAdapter(list[int])


class Marks(Flag):
    LONG = auto()
    OLD = auto()


class Speaker(ABC):  # it only has to be asked for its subclasses  # noqa: B024  # it only has to be asked for its subclasses
    """A base whose subclasses Python remembers once it was asked for them."""


class Author(Speaker):
    pass


class Knot:
    """Objects in objects, deeper than anybody looks."""

    def __init__(self, depth: int) -> None:
        self.inner = Knot(depth - 1) if depth else None
        self.beside = [[[[{"depth": depth}]]]]


KNOT = Knot(8)


@contextmanager
def marked(*names: str, sign: str = "#") -> Iterator[list[str]]:
    """A function within a function within a function."""
    yield [f"{sign}{name}" for name in names]


@cache
def titled(name: str) -> str:
    """Pure: it may remember what it answered."""
    return name.title()


class Careful(QuoteImporter):
    """Works in threads, awaits, and calls what remembers things of its own."""

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        await asyncio.sleep(0)
        async for group in super().declare(conduit):
            yield group

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        await asyncio.to_thread(time.sleep, 0.001)
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        LOG.debug("%s, %s", titled(group.name), self._shape(group.name))
        assert isinstance(Author(), Speaker)
        assert Marks.LONG | Marks.OLD
        assert KNOT.inner is not None
        with marked(group.name) as signs:
            assert signs == [f"#{group.name}"]
        assert WORD.match(group.name)
        assert NUMBERS.validate_python([1]) == [1]
        assert isinstance(datetime.fromisoformat("2026-01-01"), date)
        return await super().read(conduit, group)

    @staticmethod
    @lru_cache(maxsize=10)
    def _shape(name: str) -> int:
        return len(name)


class Keyed(QuotePages):
    key: Secret


class KeyedPublisher(QuotePublisher):
    """Shows what is made with a secret."""

    options: ClassVar[type[QuotePages]] = Keyed

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        key: Secret = conduit.options.key
        with conduit.whole_repository() as output:
            output.page("key", sha256(key.reveal().encode()).digest(), "text/plain")
