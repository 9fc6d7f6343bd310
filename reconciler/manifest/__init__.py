"""YAML in; a `DesiredState` out, or every fault of every file at once, each with its place and a
hint.

Comes in: paths, standard input, the registry of plugins. Goes out: typed resources whose `spec` is
plain canonical data, and one JSON Schema composed from the core and every installed plugin.
pydantic goes no further than this room and the plugins' option models. Must never know: the
network, the database, the clock, any packaging format; nor may a fault ever repeat a secret.

The way of a file: `files` (bytes) -> `document` (values, by `scalars`, and places) -> `resources`
(one document by itself: `kinds`, then the plugin's model, by `effective`, through `checking` and
`wording`) -> `links` (documents against each other, `copying` where they form chains)
-> `overrides` (what holds for this run only) -> `reading` (the state). `recorded` sends what an apply recorded the same way.
"""

from reconciler.manifest.loader import read
from reconciler.manifest.recorded_state import read_recorded
from reconciler.manifest.report import annotations, as_json
from reconciler.manifest.schema import schema

__all__ = ["annotations", "as_json", "read", "read_recorded", "schema"]
