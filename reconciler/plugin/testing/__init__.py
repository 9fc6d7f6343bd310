"""The conformance kit: hand over a plugin and an upstream, get the tests that every plugin has to
pass.

    from reconciler.plugin.testing import Conformance, Subject, Upstream

    class TestConformance(Conformance):
        def subject(self) -> Subject:
            upstream = Upstream({"index.json": b"...", "a.json": b"..."})
            return Subject(importer=importer, publisher=publisher, content_types=[content_type], upstream=upstream, changes=[...])

Comes in: the functions that a plugin's entry points name, pages, and ways in which these change.
Goes out: plain test methods that any runner calls with a folder (`tmp_path`); a failing one names
the fault. It runs the real engine on a real database, so it stands above the engine: plugins import
it in their tests, and `reconciler.plugin` never does.
"""

from reconciler.plugin.testing.conformance import Conformance
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.upstream import Upstream

__all__ = ["Conformance", "Subject", "Upstream"]
