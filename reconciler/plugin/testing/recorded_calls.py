"""Calls of a plugin's class methods by the core, recorded so that they can be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec


class RecordedCall(NamedTuple):
    """A call. `encoded`: the argument with which it began, a unit or a name, as it was then."""

    cls: type
    method: str
    arguments: tuple[Any, ...]
    encoded: bytes
    result: Any

    @property
    def unchanged(self) -> bool:
        """False where the call changed its first argument."""
        return msgspec.json.encode(self.arguments[0]) == self.encoded

    def again(self) -> Any:
        """Return the result of another call with equal arguments."""
        first = msgspec.json.decode(self.encoded, type=type(self.arguments[0]))
        return plain(getattr(self.cls, self.method)(first, *self.arguments[1:]))


def plain(result: Any) -> Any:
    """Return a result that can be compared, and that can be read more than once."""
    if isinstance(result, Iterable) and not isinstance(result, (str, bytes, tuple)):
        return list(result)
    return result


@contextmanager
def recorded_calls(cls: type, methods: Sequence[str]) -> Iterator[list[RecordedCall]]:
    """Collect the calls of class methods within the block."""
    calls: list[RecordedCall] = []
    before = {name: vars(cls).get(name) for name in methods}
    for name in methods:
        setattr(cls, name, classmethod(_recording(cls, name, calls)))
    try:
        yield calls
    finally:
        for name, method in before.items():
            if method is None:
                delattr(cls, name)
            else:
                setattr(cls, name, method)


def _recording(cls: type, name: str, calls: list[RecordedCall]) -> Callable[..., Any]:
    original = getattr(cls, name)

    def method(_: type, *arguments: Any) -> Any:
        encoded = msgspec.json.encode(arguments[0])
        result = plain(original(*arguments))
        calls.append(RecordedCall(cls, name, arguments, encoded, result))
        return result

    return method
