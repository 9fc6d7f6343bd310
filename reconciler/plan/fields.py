"""Differences of specifications: by path, and within lists by item. Pure.

Items of a list are told apart by what names them (a source by its kind and name), so that a change
within one is shown as such. Where items change places, the fewest that explain it have moved.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.plan.changes import ADD, MASKED, MOVE, REMOVE, FieldChange

_NAMES = ("name", "username", "path", "url")  # keys that name an item


def differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Yield what differs between two values of a specification, None standing for absence."""
    if before == after:
        return
    if _is(Mapping, before, after):
        for key in sorted({*(before or {}), *(after or {})}):
            yield from differences(f"{path}.{key}", (before or {}).get(key), (after or {}).get(key))
    elif _is(list, before, after):
        yield from _list_differences(path, before or [], after or [])
    else:
        yield FieldChange(path, before, after)


def field_lines(change: FieldChange) -> Iterator[str]:
    """Yield the lines of one difference, without the `spec.` that all of them have."""
    path = change.path.removeprefix("spec.")
    if change.after == MASKED:
        yield f"{path}: secret changed"
    elif change.op == MOVE:
        yield f"{path}: {_label(change.item)} moved from {change.before + 1} to {change.after + 1}"
    elif change.op in (ADD, REMOVE):
        item = change.after if change.op == ADD else change.before
        yield f"{path}: {change.op} {_label(item)}"
        if change.op == ADD and isinstance(item, Mapping):
            for part in differences(change.path, None, item):
                if not _is_in_label(part) and part.after not in ({}, []):
                    yield from field_lines(part)
    else:
        yield f"{path}: {_plain(change.before)} -> {_plain(change.after)}"


def _list_differences(
    path: str, before: Sequence[Any], after: Sequence[Any]
) -> Iterator[FieldChange]:
    pairs, removed, added = _paired(before, after)
    for index in removed:
        yield FieldChange(_item_path(path, index, before), before[index], None, REMOVE)
    for index in added:
        yield FieldChange(_item_path(path, index, after), None, after[index], ADD)
    for old, new in pairs:
        yield from differences(f"{path}[{new}]", before[old], after[new])
    for old, new in _moved(pairs):
        yield FieldChange(path, old, new, MOVE, after[new])


def _paired(
    before: Sequence[Any], after: Sequence[Any]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Return (old, new) positions of the items that both have, and those that only one has."""
    places: dict[str, list[int]] = {}
    for index, item in enumerate(before):
        places.setdefault(_identity(item), []).append(index)
    pairs: list[tuple[int, int]] = []
    added: list[int] = []
    for index, item in enumerate(after):
        known = places.get(_identity(item))
        if known:
            pairs.append((known.pop(0), index))
        else:
            added.append(index)
    removed = sorted(index for known in places.values() for index in known)
    for index in sorted({*removed} & {*added}):  # the same item with another name
        if _have_same_keys(before[index], after[index]):
            removed.remove(index)
            added.remove(index)
            pairs.append((index, index))
    return sorted(pairs, key=lambda pair: pair[1]), removed, added


def _moved(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the fewest pairs whose moves explain the order; the others keep theirs."""
    tails: list[int] = []
    lengths: list[int] = []
    for old, _ in pairs:
        place = bisect_left(tails, old)
        tails[place : place + 1] = [old]
        lengths.append(place + 1)
    kept: set[int] = set()
    wanted, bound = len(tails), float("inf")
    for index in range(len(pairs) - 1, -1, -1):
        if lengths[index] == wanted and pairs[index][0] < bound:
            kept.add(index)
            wanted, bound = wanted - 1, pairs[index][0]
    return [pair for index, pair in enumerate(pairs) if index not in kept]


def _identity(item: Any) -> str:
    """Return a text that is equal for two states of one item."""
    if not isinstance(item, Mapping):
        return _json(item)
    named = {key: item[key] for key in _NAMES if key in item}
    if named:
        return _json(named)
    if len(item) == 1:
        [(kind, keys)] = item.items()
        if isinstance(keys, Mapping):
            return _json([kind, *(keys[key] for key in _NAMES if key in keys)])
    return _json(item)


def _have_same_keys(before: Any, after: Any) -> bool:
    return _is(Mapping, before, after) and before.keys() == after.keys()


def _item_path(path: str, index: int, items: Sequence[Any]) -> str:
    """Return the path of an item; scalars are named by their value, not by their place."""
    return f"{path}[{index}]" if isinstance(items[index], Mapping | list) else path


def _label(item: Any) -> str:
    """Return an item in a few words: a source by kind and name, a text in quotes."""
    if isinstance(item, Mapping) and len(item) == 1:
        [(kind, keys)] = item.items()
        if isinstance(keys, Mapping):
            names = [f"`{keys[key]}`" for key in (*_NAMES, "env", "file") if key in keys]
            return " ".join([str(kind), *names])
    if isinstance(item, Mapping):
        names = [f"{key} `{item[key]}`" for key in _NAMES if isinstance(item.get(key), str)]
        return ", ".join(names) or ", ".join(sorted(map(str, item)))
    return _json(item)


def _is_in_label(part: FieldChange) -> bool:
    return part.path.rpartition(".")[2] in _NAMES


def _is(kind: type[Any], before: Any, after: Any) -> bool:
    """Return True if one is of the kind, and so is the other or it is absent."""
    values = [value for value in (before, after) if value is not None]
    return all(isinstance(value, kind) and value for value in values) or (
        len(values) == 2 and all(isinstance(value, kind) for value in values)
    )


def _plain(value: Any) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
