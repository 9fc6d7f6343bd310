"""A cache of bounded weight, which drops what was not used for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Values of at most `limit` units of weight in all; each weighs 1, or what `weigh` returns.

    A value heavier than half of the limit is not kept: it would drive out everything else for one
    request. For one thread at a time.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int] | None = None) -> None:
        self._limit = limit
        self._weigh = weigh or (lambda value: 1)
        self._weight = 0
        self._kept: OrderedDict[K, V] = OrderedDict()

    @property
    def weight(self) -> int:
        """Weight of all values."""
        return self._weight

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """Return the value, which counts as used now, or None."""
        value = self._kept.get(key)
        if value is not None:
            self._kept.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, and drop others where it takes more than the limit."""
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
        """Drop a value, if it is there."""
        if key in self._kept:
            self._weight -= self._weigh(self._kept.pop(key))

    def keep_only(self, wanted: Callable[[V], bool]) -> None:
        """Drop every value that is not `wanted`."""
        for key in [key for key, value in self._kept.items() if not wanted(value)]:
            self.drop(key)
