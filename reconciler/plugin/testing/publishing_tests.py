"""Tests of reproducible publications."""

from __future__ import annotations

from pathlib import Path

from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.reproducibility import is_importable, result_in_new_process
from reconciler.plugin.testing.sandbox import Shown


class PublishingTests(BaseTests):
    """Tests of reproducible publications."""

    def test_publishing_is_deterministic(self, tmp_path: Path) -> None:
        """Publications of equal versions are equal, whenever they are made."""
        if self.subject().publisher is None:
            skip("no publisher")
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.fresh is not None
            if step.after.digest == step.fresh.digest:
                differing = _differing(step.after.shown, step.fresh.shown)
                assert not differing, (
                    f"two publications of one version differ in {differing} (upstream after change"
                    f" {step.number}): pages must depend on the version and the options alone, not"
                    " on the clock or on chance; `whole_repository()` lists every group, and every"
                    " group of `changed_groups()` must be opened, emptied ones too"
                )

    def test_another_process_gives_the_same_result(self, tmp_path: Path) -> None:
        """A new process, with another iteration order of sets, syncs and publishes the same."""
        if not is_importable(self.subject()):
            skip("another process cannot import the entry points: use functions of a module")
        with self._sandbox(tmp_path / "here") as sandbox:
            apply_or_skip(sandbox)
            here = sandbox.made()
            there = result_in_new_process(sandbox.subject, tmp_path / "there")
            assert there.digest == here.digest, (
                "another process syncs other units: is a set not sorted, or is a value random?"
            )
            differing = _differing(there.shown, here.shown)
            assert not differing, (
                f"another process publishes {differing} differently: is a set not sorted, or is an"
                " `id()` or `hash()` shown?"
            )


def _differing(first: list[Shown], second: list[Shown]) -> list[tuple[str, str]]:
    """Return up to five paths and media types whose representations differ."""
    return sorted({(path, media_type) for path, media_type, _ in set(first) ^ set(second)})[:5]
