"""Base class of all tests of the kit: access to a sandbox and to the sync history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from unittest import SkipTest

from reconciler.plugin.testing.sandbox import Sandbox, failures_of, registry_of
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.sync_history import HistoryStep, SyncHistory, history_of


class BaseTests:
    """Tests of one subject; they skip by `unittest.SkipTest`, as every test runner understands."""

    def subject(self) -> Subject:
        """Return a new subject: tests change its upstream."""
        raise NotImplementedError

    @contextmanager
    def _sandbox(self, folder: Path, subject: Subject | None = None) -> Iterator[Sandbox]:
        """Provide a new sandbox while the subject's upstream is served."""
        subject = subject or self.subject()
        self._check_enabled(subject)
        with subject.upstream.served():
            yield Sandbox(subject, folder)

    def _history(self, folder: Path) -> SyncHistory:
        """Return the sync history of the subject; all tests of a class share one."""
        subject = self.subject()
        self._check_enabled(subject)
        return history_of(type(self), subject, folder)

    def _steps(self, folder: Path) -> list[HistoryStep]:
        """Return the steps of the sync history; skip the test where a sync failed."""
        history = self._history(folder)
        if history.failed:
            skip("a sync failed: see `test_every_sync_succeeds`")
        return history.steps

    @staticmethod
    def _check_enabled(subject: Subject) -> None:
        if not all(plugin.enabled for plugin in registry_of(subject).all()):
            skip("the plugin is disabled: see `test_plugin_is_enabled`")


def skip(reason: str) -> NoReturn:
    """Skip the running test."""
    raise SkipTest(reason)


def apply_or_skip(sandbox: Sandbox, *, prune: bool = False) -> None:
    """Apply the sandbox's manifests; skip the test where that fails."""
    report, _ = sandbox.apply(prune=prune)
    if report.failed:
        skip(f"a sync failed, see `test_every_sync_succeeds`: {failures_of(report)}")
