"""Option models by kind of source: what a `remote`, a `repository` and an `upload` may say."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import cache
from typing import Any, get_args

from pydantic import create_model
from pydantic.fields import FieldInfo

from reconciler.plugin.options import Options
from reconciler.plugin.secrets import Secret

KINDS = ("remote", "repository", "upload")


def options_of(plugin: Any, kind: str) -> type[Options]:
    """Return the option model of a plugin at a place: of its sources of a kind, or its only one.

    `kind`: of a source; empty for a publication.
    """
    own: type[Options] | None = getattr(plugin, attribute(kind), None) if kind else None
    model: type[Options] = plugin.options
    return own or model


def option_models(plugin: Any) -> tuple[type[Options], ...]:
    """Return the option models of a plugin, each once."""
    return tuple(dict.fromkeys([plugin.options, *(options_of(plugin, kind) for kind in KINDS)]))


def attribute(kind: str) -> str:
    """Return the name of the class attribute that holds the model of a kind of source."""
    return f"{kind}_options"


def option_keys(model: type[Options]) -> set[str]:
    """Return the keys of a model, as manifests write them."""
    return set(by_key(model))


def by_key(model: type[Options]) -> dict[str, FieldInfo]:
    """Return the fields of a model by their keys in manifests."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def remote_model(plugin: Any) -> type[Options]:
    """Return the model of the keys of a plugin that may stand on a Remote; none is required."""
    return _remote_model(options_of(plugin, "remote"), tuple(plugin.remote_keys))


@cache
def _remote_model(model: type[Options], keys: tuple[str, ...]) -> type[Options]:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if (field.alias or name) in keys:
            own = copy(field)
            if own.is_required():
                own.default = None
            fields[name] = (own.annotation, own)
    made: type[Options] = create_model(
        f"{model.__name__}OnRemote", __base__=Options, __module__=model.__module__, **fields
    )
    return made


def holds_secret(annotation: Any) -> bool:
    """Return True if an option of this type may hold a secret."""
    return any(issubclass(each, Secret) for each in _classes(annotation))


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
        for field in getattr(annotation, "model_fields", {}).values():
            yield from _classes(field.annotation)
    for argument in get_args(annotation):
        yield from _classes(argument)
