"""`reconciler schema`: the JSON Schema of manifests, for editors."""

from __future__ import annotations

from reconciler.cli import output, settings

NAME = "schema"


def command() -> int:
    """Print the JSON Schema of manifests, composed from the core and every installed plugin."""
    from reconciler.manifest import schema

    output.document(schema(settings.registry()))
    return 0
