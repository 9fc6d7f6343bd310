"""Tests of reproducible publications."""

from __future__ import annotations

from pathlib import Path

from reconciler.engine.publishing.index_entries import has_indexes
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.plugin_modules import modules_of
from reconciler.plugin.testing.recorded_calls import recorded_calls
from reconciler.plugin.testing.reproducibility import (
    is_importable,
    results_elsewhere,
    shifted_clock,
)
from reconciler.plugin.testing.sandbox import Shown

INDEX_METHODS = ("indexes_of", "entry_of", "sort_key", "index_file")


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

    def test_indexes_are_pure(self, tmp_path: Path) -> None:
        """A publisher says the same of one unit, or of one index, each time.

        `indexes_of`, `entry_of`, `sort_key` and `index_file` answer the same on any day and in any
        order of calls, and change no unit: entries are kept by the digest of their unit.
        """
        publisher = self.subject().publisher
        cls = publisher()[0] if publisher is not None else None
        if cls is None or not has_indexes(cls):
            skip("the publisher has no whole-repository indexes")
        with self._sandbox(tmp_path) as sandbox, recorded_calls(cls, INDEX_METHODS) as calls:
            apply_or_skip(sandbox)
        modules = modules_of(sandbox.subject)
        for call in reversed(calls):
            name = f"`{call.method}` of the publisher"
            assert call.unchanged, f"{name} changes the unit that it is given: leave it as it is"
            assert call.again() == call.result, (
                f"{name} answers {call.result!r:.200} and then {call.again()!r:.200} for"
                f" {call.encoded!r:.200}: it must depend on its arguments alone, since the core"
                " keeps what it answered"
            )
            with shifted_clock(modules):
                assert call.again() == call.result, (
                    f"{name} answers differently on another day for {call.encoded!r:.200}: it must"
                    " not read the clock"
                )

    def test_another_process_gives_the_same_result(self, tmp_path: Path) -> None:
        """Other processes, with other iteration orders of sets, sync and publish the same."""
        if not is_importable(self.subject()):
            skip("another process cannot import the entry points: use functions of a module")
        with self._sandbox(tmp_path / "here") as sandbox:
            apply_or_skip(sandbox)
            here = sandbox.state()
            for there in results_elsewhere(sandbox.subject, here, tmp_path / "there"):
                assert there.digest == here.digest, (
                    "another process syncs other units: is a set not sorted, or is a value random?"
                )
                differing = _differing(there.shown, here.shown)
                assert not differing, (
                    f"another process publishes {differing} differently: is a set not sorted, or is"
                    " an `id()` or `hash()` shown?"
                )


def _differing(first: list[Shown], second: list[Shown]) -> list[tuple[str, str]]:
    """Return up to five paths and media types whose representations differ."""
    return sorted({(path, media_type) for path, media_type, _ in set(first) ^ set(second)})[:5]
