"""Publisher of the tree under the files' own names, with a `PULP_MANIFEST`."""

from __future__ import annotations

from reconciler.plugin import (
    Metadata,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Refused,
    StoredUnit,
)
from reconciler_example.content import EXAMPLE_FILE
from reconciler_example.manifests import MANIFEST, manifest_line


class ExamplePublisher(Publisher):
    """Emits the files of each changed group, then the manifest that lists all files."""

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("example", "Tree of files (example)", (EXAMPLE_FILE,), ">=2.0,<3")

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.file(unit.key, unit.artifacts[0])
        lines = sorted(_line(unit) for name in conduit.groups() for unit in conduit.units(name))
        with conduit.whole_repository() as output:
            output.page(MANIFEST, "".join(lines).encode(), "text/plain")


def _line(unit: StoredUnit) -> str:
    [file] = unit.artifacts
    if file.size is None:
        raise Refused(f"the size of `{unit.key}` is not known, so no `{MANIFEST}` can list it")
    return manifest_line(unit.key, file.sha256, file.size)
