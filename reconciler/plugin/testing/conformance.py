"""The tests that every plugin has to pass, as one class to derive from."""

from __future__ import annotations

from reconciler.plugin.testing.keeping import Keeping
from reconciler.plugin.testing.loading import Loading
from reconciler.plugin.testing.publishing import Publishing
from reconciler.plugin.testing.reading import Reading
from reconciler.plugin.testing.syncing import Syncing
from reconciler.plugin.testing.uploading import Uploading


class Conformance(Loading, Syncing, Reading, Keeping, Publishing, Uploading):
    """Derive, override `subject`, and let a test runner find the methods. Each is handed a new
    folder (pytest's `tmp_path`).

    A failing test names the fault and what to do about it. What does not concern a plugin is
    skipped with the reason, and so is what another test says already: where nothing can be synced,
    `test_every_sync_succeeds` fails and says why.
    """
