"""Canonical form of a specification: as written, without defaults and nulls.

Specifications are recorded and compared in this form.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from reconciler.plugin import Options


def canonical(
    written: Mapping[str, Any], model: Options, keep: Collection[str] = ()
) -> dict[str, Any]:
    """Return what `written` adds to the defaults of `model`, which was validated from it.

    Keys that the model does not know are kept. `keep`: keys that are kept even where they equal the
    default, because they hide a value of another level.
    """
    fields = _fields(type(model))
    result = {}
    for key, raw in written.items():
        if raw is None:
            continue
        if key not in fields:
            result[key] = plain(raw)
            continue
        name, default = fields[key]
        value = getattr(model, name)
        if value != default or value.__class__ is not default.__class__ or key in keep:
            result[key] = _inner(raw, value)
    return result


def plain(raw: Any) -> Any:
    """Return JSON data without nulls in mappings; floats become texts.

    The text of a float differs between machines.
    """
    if raw.__class__ is str:
        return raw
    if isinstance(raw, dict):
        return {key: plain(value) for key, value in raw.items() if value is not None}
    if isinstance(raw, list):
        return [plain(value) for value in raw]
    return repr(raw) if isinstance(raw, float) else raw


def _inner(raw: Any, value: Any) -> Any:
    if raw.__class__ is str:
        return raw
    if isinstance(value, Options) and isinstance(raw, dict):
        return canonical(raw, value)
    if isinstance(value, (list, tuple)) and isinstance(raw, list) and len(value) == len(raw):
        return [
            item if item.__class__ is str else _inner(item, value[index])
            for index, item in enumerate(raw)
        ]
    return plain(raw)


@cache
def _fields(model: type[Options]) -> dict[str, tuple[str, Any]]:
    """Return field name and default value by key."""
    return {
        field.alias or name: (name, field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
    }
