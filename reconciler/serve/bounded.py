"""A mapping with a bound: what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """At most `limit` units of weight; every value weighs 1 unless `weigh` says otherwise. For one
    thread at a time.

    A value heavier than half of the limit is not kept: it would drive out everything else for one
    request.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] | None = None) -> None:
        self._limit = limit
        self._weigh = weigh or (lambda value: 1)
        self._weight = 0
        self._kept: OrderedDict[K, V] = OrderedDict()

    @property
    def weight(self) -> int:
        return self._weight

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """The value, which counts as used now; None when it is not kept."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        weight = self._weigh(value)
        if weight * 2 > self._limit:
            return
        self._kept[key] = value
        self._weight += weight
        while self._weight > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def drop(self, key: K) -> None:
        if key in self._kept:
            self._weight -= self._weigh(self._kept.pop(key))

    def keep(self, wanted: Callable[[V], bool]) -> None:
        """Drop every value that is not `wanted`."""
        for key in [key for key, value in self._kept.items() if not wanted(value)]:
            self.drop(key)
