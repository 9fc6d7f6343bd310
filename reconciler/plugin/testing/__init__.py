"""The conformance kit: tests that every plugin has to pass, for a plugin and a test upstream.

    from reconciler.plugin.testing import Conformance, Subject, Upstream

    class TestConformance(Conformance):
        def subject(self) -> Subject:
            upstream = Upstream({"index.json": b"...", "a.json": b"..."})
            return Subject(
                importer=importer,
                publisher=publisher,
                content_types=[content_type],
                upstream=upstream,
                changes=[...],
            )

In: the functions that a plugin's entry points name, pages of an upstream, and changes of them.
Out: test methods that any runner calls with a folder (`tmp_path`); the message of a failing test
names the fault and what to do about it. The kit runs the real engine on a real database, so it
stands above the engine: plugins import it in their tests, `reconciler.plugin` never does.

`conformance` joins the groups of tests (`..._tests`). They run a plugin in a `sandbox`, or look at
the `sync_history` of one; `publication_server` serves what a sandbox published. The other modules
observe: `reproducibility` (with other `interpreters`), `recorded_calls`, `blocking_calls`,
`retained_state`.
"""

from reconciler.plugin.testing.conformance import Conformance
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.upstream import Upstream

__all__ = ["Conformance", "Subject", "Upstream"]
