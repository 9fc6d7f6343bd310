"""Tests of planning and syncing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.plugin import Importer
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip, skip
from reconciler.plugin.testing.sandbox import NAME, failures_of
from reconciler.plugin.testing.subject import EntryPointFunction

PROMOTED = "promoted"


class SyncTests(BaseTests):
    """Tests of planning and syncing."""

    def test_every_sync_succeeds(self, tmp_path: Path) -> None:
        """Upstream can be synced before and after each of its changes."""
        history = self._history(tmp_path)
        assert not history.failed, f"the sync failed: {history.failed}"
        assert any(step.after and step.after.units for step in history.steps), (
            "the sync added no unit: give `Subject` an upstream with some units"
        )

    def test_plan_writes_nothing(self, tmp_path: Path) -> None:
        """Neither the first plan nor one with changes pending writes a file."""
        for step in self._history(tmp_path).steps:
            assert not step.wrote, (
                f"a plan {_when(step.number)} wrote {step.wrote}: planning must write nothing;"
                " keep what must last from sync to sync in the scratchpad"
            )

    def test_apply_carries_out_the_plan(self, tmp_path: Path) -> None:
        """An apply carries out what the plan shows, and the next plan is empty."""
        for step in self._steps(tmp_path):
            assert step.planned == step.applied, (
                f"two plans of the same upstream and state differ (change {step.number}): the"
                " results of `declare`, `read` and `select` must depend on their arguments alone"
            )
            assert not step.pending, (
                f"the plan after an apply still has changes: {step.pending}; `read` must"
                " return what was stored"
            )

    def test_syncing_twice_makes_one_version(self, tmp_path: Path) -> None:
        """An unchanged upstream makes no new version, whether its pages are cached or not."""
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.number_again == step.after.number, (
                f"a second sync of the same upstream made version {step.number_again}: units must"
                " not differ from sync to sync"
            )

    def test_every_upstream_change_is_synced(self, tmp_path: Path) -> None:
        """Syncing a change gives the result of a sync into an empty repository, on any day."""
        before, expected = "", ""
        hint = (
            " Does the low-level importer remove what upstream no longer has?"
            if low_level(self.subject().importer()[0])
            else ""
        )
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.fresh is not None
            assert step.fresh.digest != expected, (
                f"change {step.number} of upstream does not change the content: list changes in"
                " `Subject.changes` that do"
            )
            if step.number and step.after.digest == before:
                raise AssertionError(
                    f"change {step.number} of upstream was not synced: does a validator stay the"
                    f" same although the content changed, or is a page kept in memory?{hint}"
                )
            assert step.after.digest == step.fresh.digest, (
                f"after change {step.number} of upstream the repository holds {step.after.keys},"
                f" and a new one {step.fresh.keys}, which should be equal: is a validator too weak,"
                f" is state kept, or does the importer read the clock?{hint}"
            )
            before, expected = step.after.digest, step.fresh.digest

    def test_a_repository_can_be_removed_and_added_again(self, tmp_path: Path) -> None:
        """Hooks run when the plugin is first used and no longer used.

        They may run twice, as after a crash.
        """
        self._steps(tmp_path / "plain")
        journal: list[str] = []
        subject = self.subject()
        hooked = replace(
            subject,
            importer=_hooked(subject.importer, "importer", journal),
            publisher=(
                _hooked(subject.publisher, "publisher", journal) if subject.publisher else None
            ),
        )
        kinds = ["importer", "publisher"] if subject.publisher else ["importer"]
        with self._sandbox(tmp_path / "hooked", hooked) as sandbox:
            report, _ = sandbox.apply()
            assert not report.failed, (
                "`..._added` fails when it is called again, as after a crash:"
                f" {failures_of(report)}"
            )
            first = sandbox.made()
            assert sorted(journal) == [f"{kind}_added" for kind in kinds], (
                f"a repository was added, and {journal} were called"
            )
            journal.clear()
            sandbox.documents = [sandbox.upstream()]
            report, _ = sandbox.apply(prune=True)
            assert not report.failed, f"the repository cannot be removed: {failures_of(report)}"
            assert sorted(journal) == [f"{kind}_removed" for kind in kinds], (
                f"a repository was removed, and {journal} were called"
            )
            left = sorted(name for name in sandbox.files() if name.startswith("work/"))
            assert not left, (
                f"`..._removed` left {left} behind: the working directory must be removed"
            )
            sandbox.documents = sandbox.usual()
            apply_or_skip(sandbox)
            assert sandbox.made() == first, (
                "a repository that was removed and added again differs: keep nothing outside of the"
                " working directory and the scratchpads"
            )

    def test_a_repository_can_be_promoted(self, tmp_path: Path) -> None:
        """A repository that copies from this one holds the same units, and stays as it is.

        It holds only those that `copy` lets in.
        """
        with self._sandbox(tmp_path) as sandbox:
            copy = sandbox.subject.copy_source
            keys = {
                name: value for name, value in sandbox.subject.publication.items() if name != "path"
            }
            sandbox.documents += [
                sandbox.repository(PROMOTED, [{"repository": {"name": NAME, **copy}}]),
                *sandbox.publication(PROMOTED, keys),
            ]
            report, _ = sandbox.apply()
            if not sandbox.version()[0]:
                skip(f"a sync failed, see `test_every_sync_succeeds`: {failures_of(report)}")
            assert not report.failed, f"the repository cannot be copied from: {failures_of(report)}"
            cls: Any = sandbox.subject.importer()[0]
            if cls.copy is Importer.copy:
                assert sandbox.version(PROMOTED)[1] == sandbox.version()[1], (
                    f"a copy holds {[unit.key for unit in sandbox.units(PROMOTED)][:20]}, the"
                    f" original {[unit.key for unit in sandbox.units()][:20]}: without options and"
                    " filters, `select` must accept what it accepted before"
                )
            else:
                foreign = [
                    unit.key for unit in sandbox.units(PROMOTED) if unit not in sandbox.units()
                ]
                assert not foreign, f"`copy` added {foreign[:20]}, which the original does not hold"
            again = sandbox.plan()
            assert again.empty, (
                "a copy changes although the original did not: `copy` must decide the same every"
                " time"
            )


def _when(number: int) -> str:
    return f"with change {number} of upstream pending" if number else "on a new home"


def _hooked(function: EntryPointFunction, kind: str, journal: list[str]) -> EntryPointFunction:
    """Return the plugin with hooks that record each call in the journal and make it twice."""
    cls, config = function()

    def hook(name: str) -> Callable[[Any, Any, Any], None]:
        def called(self: Any, repository: Any, configuration: Any) -> None:
            journal.append(name)
            getattr(cls, name)(self, repository, configuration)
            getattr(cls, name)(self, repository, configuration)

        return called

    hooked = type(cls)(
        cls.__name__, (cls,), {name: hook(name) for name in (f"{kind}_added", f"{kind}_removed")}
    )
    return lambda: (hooked, config)
