"""The tests that every plugin has to pass, as one class to derive from."""

from __future__ import annotations

from reconciler.plugin.testing.client_tests import ClientTests
from reconciler.plugin.testing.loading_tests import LoadingTests
from reconciler.plugin.testing.publishing_tests import PublishingTests
from reconciler.plugin.testing.reading_tests import ReadingTests
from reconciler.plugin.testing.secrecy_tests import SecrecyTests
from reconciler.plugin.testing.statelessness_tests import StatelessnessTests
from reconciler.plugin.testing.sync_tests import SyncTests
from reconciler.plugin.testing.upload_tests import UploadTests


class Conformance(
    LoadingTests,
    SyncTests,
    ReadingTests,
    StatelessnessTests,
    PublishingTests,
    ClientTests,
    SecrecyTests,
    UploadTests,
):
    """All tests of the kit. Derive from it, override `subject`, and let a test runner find them.

    Each test gets a new folder (pytest's `tmp_path`). The message of a failing test names the fault
    and what to do about it. Tests of features that the plugin does not have are skipped with the
    reason, and so are tests whose finding another test reports: where syncing fails,
    `test_every_sync_succeeds` says why.
    """
