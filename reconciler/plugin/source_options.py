"""Option models by kind of source: what a `remote`, a `repository` and an `upload` may say."""

from __future__ import annotations

from typing import Any

from reconciler.plugin.options import Options

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
    return {field.alias or name for name, field in model.model_fields.items()}
