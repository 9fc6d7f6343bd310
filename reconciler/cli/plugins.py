"""`reconciler plugins`: list installed plugins, or create a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli import output, plugins_new, settings
from reconciler.cli.output import OUTPUT_FLAG, Layout, LayoutOption

if TYPE_CHECKING:
    from reconciler.plugin.validation import Plugin

NAME = "plugins"
REFUSED = "refused: "
COLUMNS = ["id", "kind", "distribution", "api", "types", "state", "origin", "reason"]


def command(context: typer.Context, layout: LayoutOption = Layout.TABLE) -> int:
    """List installed plugins, or create a new one.

    `plugins` alone means `plugins list`.
    """
    return 0 if context.invoked_subcommand else _list(layout)


def listing(
    context: typer.Context,
    layout: Annotated[Layout | None, OUTPUT_FLAG] = None,
) -> int:
    """List importers, publishers and content types, with state and reason.

    Exits with 1 if other commands would refuse to start.
    """
    above = context.parent.params["layout"] if context.parent else Layout.TABLE
    return _list(layout or above)


SUBCOMMANDS = {"list": listing, plugins_new.NAME: plugins_new.command}


def _list(layout: Layout) -> int:
    from reconciler.plugin import API_VERSION

    plugins = settings.unstarted_registry().examined()
    documents = [_document(plugin) for plugin in plugins]
    output.tabular(layout, documents, COLUMNS, rows=[_row(document) for document in documents])
    if layout is Layout.TABLE:
        output.note(f"plugin API {API_VERSION}")
    return 1 if any(plugin.refused for plugin in plugins) else 0


def _row(document: dict[str, Any]) -> list[str]:
    distribution = f"{document['distribution']} {document['version']}".strip()
    types = ",".join(document["types"])
    return [
        document["id"],
        document["kind"],
        distribution,
        document["api"] or "-",
        types or "-",
        document["state"],
        document["origin"].removeprefix("entry point "),
        document["reason"],
    ]


def _document(plugin: Plugin) -> dict[str, Any]:
    return {
        "id": plugin.id,
        "kind": plugin.kind,
        "displayName": plugin.metadata.display_name if plugin.metadata else "",
        "distribution": plugin.distribution,
        "version": plugin.distribution_version,
        "api": plugin.metadata.api if plugin.metadata else "",
        "types": list(plugin.metadata.types) if plugin.metadata else [],
        "state": "enabled" if plugin.enabled else "disabled",
        "reason": (REFUSED if plugin.refused else "") + plugin.reason,
        "origin": plugin.origin,
    }
