"""Does a sync bring what upstream has, as a plan says, and no matter what was there before?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.plugin import Importer
from reconciler.plugin.importer import low_level
from reconciler.plugin.testing.examination import Examination, applied, skip
from reconciler.plugin.testing.subject import EntryPointFunction
from reconciler.plugin.testing.trial import NAME, said

PROMOTED = "promoted"


class Syncing(Examination):
    """Tests of the importer, from outside."""

    def test_every_sync_succeeds(self, tmp_path: Path) -> None:
        """Upstream as it is, and after each of its changes."""
        history = self._history(tmp_path)
        assert not history.failed, f"the sync failed: {history.failed}"
        assert any(step.after and step.after.units for step in history.steps), (
            "the sync brought nothing: hand over an upstream that holds some units"
        )

    def test_plan_writes_nothing(self, tmp_path: Path) -> None:
        """Neither the first plan nor one with changes pending leaves anything behind."""
        for step in self._history(tmp_path).steps:
            assert not step.wrote, (
                "a plan"
                f" {f'with change {step.number} of upstream pending' if step.number else 'on a new home'}"
                f" wrote {step.wrote}: planning must write nothing; what must last from sync to"
                " sync belongs into the scratchpad"
            )

    def test_apply_does_what_the_plan_said(self, tmp_path: Path) -> None:
        """A plan, and then an apply: the same changes, and afterwards none."""
        for step in self._steps(tmp_path):
            assert step.planned == step.carried_out, (
                f"two plans of the same upstream and state differ (change {step.number}): what"
                " `declare`, `read` and `select` say must depend on nothing but what they are"
                " given"
            )
            assert not step.left, (
                f"after an apply a plan still holds {step.left}: what `read` returns must be what"
                " was stored"
            )

    def test_syncing_twice_makes_one_version(self, tmp_path: Path) -> None:
        """An unchanged upstream makes no new version, whether its pages are cached or not."""
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.again == step.after.number, (
                f"a second sync of the same upstream made version {step.again}: units must not"
                " differ from sync to sync"
            )

    def test_every_change_of_upstream_arrives(self, tmp_path: Path) -> None:
        """Whatever was there before, the result of a sync is that of a sync into an empty
        repository, on any day.
        """
        before, wanted = "", ""
        hint = (
            " Low-level: is what upstream no longer has removed?"
            if low_level(self.subject().importer()[0])
            else ""
        )
        for step in self._steps(tmp_path):
            assert step.after is not None
            assert step.fresh is not None
            assert step.fresh.digest != wanted, (
                f"change {step.number} of upstream leads to no other content: `Subject.changes` has"
                " to name real changes"
            )
            if step.number and step.after.digest == before:
                raise AssertionError(
                    f"change {step.number} of upstream went unnoticed: does a validator stay the"
                    f" same although the content changed, or is a page remembered?{hint}"
                )
            assert step.after.digest == step.fresh.digest, (
                f"after change {step.number} of upstream the repository holds {step.after.keys}, a"
                f" new one {step.fresh.keys}, and they should be equal: is a validator too weak, is"
                f" something remembered, or does the importer look at the clock?{hint}"
            )
            before, wanted = step.after.digest, step.fresh.digest

    def test_a_repository_comes_and_goes(self, tmp_path: Path) -> None:
        """Hooks are called when the plugin is used first and when it is not any more, and bear
        being called again, as after a crash.
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
        with self._trial(tmp_path / "hooked", hooked) as trial:
            report, _ = trial.apply()
            assert not report.failed, (
                f"`..._added` cannot be called again, as it is after a crash: {said(report)}"
            )
            first = trial.made()
            assert sorted(journal) == [f"{kind}_added" for kind in kinds], (
                f"when a repository came, {journal} were called"
            )
            journal.clear()
            trial.documents = [trial.upstream()]
            report, _ = trial.apply(prune=True)
            assert not report.failed, f"the repository cannot be removed: {said(report)}"
            assert sorted(journal) == [f"{kind}_removed" for kind in kinds], (
                f"when a repository went, {journal} were called"
            )
            left = sorted(name for name in trial.files() if name.startswith("work/"))
            assert not left, (
                f"`..._removed` left {left} behind: the working directory goes with the repository"
            )
            trial.documents = trial.usual()
            applied(trial)
            assert trial.made() == first, (
                "a repository that came again is another than it was: keep nothing outside the"
                " working directory and scratchpads"
            )

    def test_it_can_be_promoted(self, tmp_path: Path) -> None:
        """A repository that copies from this one holds the same, or what `copy` lets come along,
        and stays so.
        """
        with self._trial(tmp_path) as trial:
            keys = {
                name: value for name, value in trial.subject.publication.items() if name != "path"
            }
            trial.documents += [
                trial.repository(PROMOTED, [{"repository": {"name": NAME}}]),
                *trial.publication(PROMOTED, keys),
            ]
            report, _ = trial.apply()
            if not trial.version()[0]:
                skip(f"a sync failed, see `test_every_sync_succeeds`: {said(report)}")
            assert not report.failed, f"the repository cannot be copied from: {said(report)}"
            cls: Any = trial.subject.importer()[0]
            if cls.copy is Importer.copy:
                assert trial.version(PROMOTED)[1] == trial.version()[1], (
                    f"a copy holds {[unit.key for unit in trial.units(PROMOTED)][:20]}, the"
                    f" original {[unit.key for unit in trial.units()][:20]}: without options and"
                    " filters `select` must let in what it let in before"
                )
            else:
                strangers = [
                    unit.key for unit in trial.units(PROMOTED) if unit not in trial.units()
                ]
                assert not strangers, (
                    f"`copy` brought {strangers[:20]}, which the original does not hold"
                )
            again = trial.plan()
            assert again.empty, (
                "a copy wants to change although the original did not: `copy` must decide the same"
                " every time"
            )


def _hooked(function: EntryPointFunction, kind: str, journal: list[str]) -> EntryPointFunction:
    """The same plugin; its hooks are noted in the journal, and each call is made twice."""
    cls, config = function()

    def hook(name: str) -> Callable[[Any, Any, Any], None]:
        def called(self: Any, repository: Any, configuration: Any) -> None:
            journal.append(name)
            getattr(cls, name)(self, repository, configuration)
            getattr(cls, name)(self, repository, configuration)

        return called

    noted = type(cls)(
        cls.__name__, (cls,), {name: hook(name) for name in (f"{kind}_added", f"{kind}_removed")}
    )
    return lambda: (noted, config)
