"""`reconciler schema`: one JSON Schema for editors."""

from __future__ import annotations

from reconciler.cli import output

NAME = "schema"


def command() -> int:
    """Print the JSON Schema of manifests, composed from the core and every installed plugin."""
    from reconciler.manifest import schema
    from reconciler.plugin import Registry

    output.document(schema(Registry()))
    return 0
