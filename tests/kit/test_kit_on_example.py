"""The kit on the plugin `example`, which is written the low-level way."""

from __future__ import annotations

from reconciler.plugin.testing import Conformance, Subject, Upstream
from reconciler_example import file, importer, publisher
from tests.kit.test_kit_on_file import CHANGED, FIRST, becomes, manifest


class TestExample(Conformance):
    def subject(self) -> Subject:
        return Subject(
            importer=importer,
            publisher=publisher,
            content_types=[file],
            upstream=Upstream(manifest(FIRST)),
            changes=[becomes(manifest(files)) for files in CHANGED],
            path="PULP_MANIFEST",
            rules={"deny": ["*.tmp"], "maxSize": "1MiB"},
            uploads={"sent.txt": b"sent"},
            refused_uploads={"..": b"up"},
        )
