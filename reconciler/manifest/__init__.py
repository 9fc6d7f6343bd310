"""Read manifests: YAML in; a `DesiredState` out, or all faults of all files at once.

Comes in: paths, standard input, the registry of plugins. Goes out: typed resources whose `spec` is
plain canonical data, faults with place and hint, and one JSON Schema composed from the core and
every installed plugin. pydantic goes no further than this room and the plugins' option models. Must
never know: the network, the database, the clock, any packaging format. No fault repeats a secret.

A file passes through `files` (bytes), `document` (values by `scalars`, and their places),
`resources` (one document: the model of its kind in `kinds`, the plugin's model by `plugin_options`,
faults by `validation` and `validation_messages`), `references` (documents against each other,
`promotion` for chains of copies), `overrides` (keys for this run only) and `loader` (the desired
state). `recorded_state` sends recorded resources the same way. `writing` goes the other way: a
plugin's draft becomes the text of a manifest. `connections` has the keys of a
connection, `index_exports` those of indexes that are sent to, `secret_destinations` says which
hosts see secrets.
"""

from reconciler.manifest.loader import read
from reconciler.manifest.recorded_state import read_recorded
from reconciler.manifest.report import annotations, as_json
from reconciler.manifest.schema import schema
from reconciler.manifest.secret_destinations import all_sent_secrets
from reconciler.manifest.writing import SCHEMA, manifest_text, take_over_text

__all__ = [
    "SCHEMA",
    "all_sent_secrets",
    "annotations",
    "as_json",
    "manifest_text",
    "read",
    "read_recorded",
    "schema",
    "take_over_text",
]
