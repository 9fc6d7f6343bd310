"""`reconciler plugins`: what is installed, enabled or not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli import output
from reconciler.cli.formats import Layout, LayoutOption

if TYPE_CHECKING:
    from reconciler.plugin import Plugin

NAME = "plugins"


def command(layout: LayoutOption = Layout.TABLE) -> int:
    """List installed plugins: importers, publishers and content types, with state and reason."""
    from reconciler.plugin import API_VERSION, Registry

    found = [_document(plugin) for plugin in Registry().all()]
    if layout is Layout.JSON:
        output.document(found)
    elif layout is Layout.YAML:
        output.yaml_document(found)
    else:
        rows = [[one["id"], one["kind"], f"{one['distribution']} {one['version']}", one["api"] or "-", one["state"], one["reason"]] for one in found]
        output.table(["id", "kind", "distribution", "api", "state", "reason"], rows)
        output.note(f"plugin API {API_VERSION}")
    return 0


def _document(plugin: Plugin) -> dict[str, Any]:
    return {
        "id": plugin.id,
        "kind": plugin.kind,
        "distribution": plugin.distribution,
        "version": plugin.distribution_version,
        "api": plugin.metadata.api if plugin.metadata else "",
        "types": list(plugin.metadata.types) if plugin.metadata else [],
        "state": "enabled" if plugin.enabled else "disabled",
        "reason": plugin.reason,
        "origin": plugin.origin,
    }
