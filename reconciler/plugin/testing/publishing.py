"""Is the same version always shown in the same way?"""

from __future__ import annotations

from pathlib import Path

from reconciler.plugin.testing.elsewhere import made_elsewhere, reachable
from reconciler.plugin.testing.examination import Examination, applied, skip
from reconciler.plugin.testing.trial import Shown


class Publishing(Examination):
    """Tests of the publisher, from outside."""

    def test_publishing_is_deterministic(self, tmp_path: Path) -> None:
        """The same version is shown in the same way, wherever and whenever it is published, and by
        whichever steps it came about.
        """
        if self.subject().publisher is None:
            skip("no publisher")
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.fresh is not None
            if step.after.digest == step.fresh.digest:
                differing = _differing(step.after.shown, step.fresh.shown)
                assert not differing, (
                    f"two publications of one version differ in {differing} (upstream after change"
                    f" {step.number}): what is rendered may depend on the version and the options"
                    " alone, not on the clock or on chance; `whole()` lists every group, and every"
                    " group of `changed()` is opened, emptied ones too"
                )

    def test_another_process_makes_the_same(self, tmp_path: Path) -> None:
        """A new process, which walks through sets in another order, brings the same units and
        publishes them in the same way.
        """
        if not reachable(self.subject()):
            skip("another process cannot import the entry points: hand over functions of a module")
        with self._trial(tmp_path / "here") as trial:
            applied(trial)
            here = trial.made()
            there = made_elsewhere(trial.subject, tmp_path / "there")
            assert there.digest == here.digest, (
                "another process brings other units: is a set walked through unsorted, or something"
                " made up?"
            )
            differing = _differing(there.shown, here.shown)
            assert not differing, (
                f"another process publishes {differing} differently: is a set walked through"
                " unsorted, or an `id()` or `hash()` shown?"
            )


def _differing(one: list[Shown], other: list[Shown]) -> list[tuple[str, str]]:
    """Some paths and media types that are shown in two ways."""
    return sorted({(path, media_type) for path, media_type, _ in set(one) ^ set(other)})[:5]
