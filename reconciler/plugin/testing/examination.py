"""What all tests of the kit are made of: a site on which the subject is tried, and the history that
it has lived through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from unittest import SkipTest

from reconciler.plugin.testing.history import History, Step, lived
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.trial import Trial, registry_of, said


class Examination:
    """Derive, override `subject`, and let a test runner find the methods. Each is handed a new
    folder (pytest's `tmp_path`).

    What does not concern a plugin is skipped with the reason (`unittest.SkipTest`, which every
    runner understands).
    """

    def subject(self) -> Subject:
        """A new subject every time: upstreams are altered."""
        raise NotImplementedError

    @contextmanager
    def _trial(self, folder: Path, subject: Subject | None = None) -> Iterator[Trial]:
        """A new site with its upstream served."""
        subject = subject or self.subject()
        self._check_enabled(subject)
        with subject.upstream.served():
            yield Trial(subject, folder)

    def _history(self, folder: Path) -> History:
        """What upstream and its changes led to; made once for all tests that look at it."""
        subject = self.subject()
        self._check_enabled(subject)
        return lived(type(self), subject, folder)

    def _steps(self, folder: Path) -> list[Step]:
        """The steps of a history that went well."""
        history = self._history(folder)
        if history.failed:
            skip("a sync failed: see `test_every_sync_succeeds`")
        return history.steps

    @staticmethod
    def _check_enabled(subject: Subject) -> None:
        if not all(plugin.enabled for plugin in registry_of(subject).all()):
            skip("the plugin is disabled: see `test_it_is_enabled`")


def skip(reason: str) -> NoReturn:
    """This test has nothing to look at."""
    raise SkipTest(reason)


def applied(trial: Trial, *, prune: bool = False) -> None:
    """Apply; skips the test where that fails, which others say."""
    report, _ = trial.apply(prune=prune)
    if report.failed:
        skip(f"a sync failed, see `test_every_sync_succeeds`: {said(report)}")
