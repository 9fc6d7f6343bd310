"""`reconciler schema`: the JSON Schema of manifests, for editors."""

from __future__ import annotations

import json

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption

NAME = "schema"


def command(layout: LayoutOption = Layout.JSON) -> int:
    """Print the JSON Schema of manifests, composed from the core and every installed plugin."""
    from reconciler.manifest import schema

    document = schema(settings.registry())
    output.answer(layout, document, lambda: json.dumps(document, indent=2).splitlines())
    return 0
