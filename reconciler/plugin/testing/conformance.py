"""The tests that every plugin has to pass, as one class to derive from."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.engine.conduits import Closing
from reconciler.errors import ManifestFaults
from reconciler.manifest import schema
from reconciler.model import Artifact, StoredUnit, Unit
from reconciler.plan import REMOVE, ContentChanges
from reconciler.plugin import ContentType, low_level
from reconciler.plugin.testing.memory import remembered
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.trial import Trial, registry_of

SEED = 20  # of the orders in which units are shuffled: every run tries the same ones
NONSENSE = (b"", b"\xff\xfe\x00", b"nonsense", b"[[[[", b'{"a": [1, null, {"b": {}}]}')


class Conformance:
    """Derive, override `subject`, and let a test runner find the methods. Each is handed a new folder (pytest's `tmp_path`)."""

    def subject(self) -> Subject:
        """A new subject for every test: upstreams are altered."""
        raise NotImplementedError

    def test_it_is_enabled(self, tmp_path: Path) -> None:
        """Metadata, API range, bases, option models: nothing about the plugin keeps it from being loaded."""
        for plugin in registry_of(self.subject()).all():
            assert plugin.enabled, f"the {plugin.kind} `{plugin.id}` is disabled: {plugin.reason}"

    def test_options_are_strict_and_described(self, tmp_path: Path) -> None:
        """The schema for editors can be composed, and a key that nobody knows is refused at its line."""
        with self._trial(tmp_path) as trial:
            schema(trial.registry)
            trial.desired()
            said = _faults(trial, {**trial.subject.source, "noSuchKey": 1})
            assert "noSuchKey" in said, (
                "the importer's options accept the unknown key `noSuchKey`: derive them from Options, and leave `extra` as it is"
            )

    def test_plan_writes_nothing(self, tmp_path: Path) -> None:
        """Neither the first plan nor one with changes pending leaves anything behind."""
        with self._trial(tmp_path) as trial:
            trial.plan()
            assert not trial.files(), f"a plan on a new home wrote {sorted(trial.files())}"
            self._applied(trial)
            for change in [None, *trial.subject.changes]:
                if change is not None:
                    change(trial.subject.upstream)
                before = trial.files()
                trial.plan()
                after = trial.files()
                differing = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
                assert not differing, f"a plan wrote {differing}: planning must write nothing"

    def test_apply_does_what_the_plan_said(self, tmp_path: Path) -> None:
        """A plan, and then an apply: the same changes, and afterwards none."""
        with self._trial(tmp_path) as trial:
            for _ in self._steps(trial):
                planned = trial.plan()
                _, carried_out = self._applied(trial)
                assert planned.digest == carried_out[0].digest, (
                    "two plans of the same upstream and state differ: what `read` and `select` say must depend on nothing else"
                )
                again = trial.plan()
                assert again.empty, f"after an apply a plan still holds {_counted(trial.content(again))}"

    def test_syncing_twice_makes_one_version(self, tmp_path: Path) -> None:
        """An unchanged upstream makes no new version, whether caches are there or not."""
        with self._trial(tmp_path) as trial:
            self._applied(trial)
            first = trial.version()
            assert trial.units(), "the sync brought nothing: hand over an upstream that holds some units"
            self._applied(trial)
            assert trial.version() == first, f"a second sync of the same upstream made version {trial.version()[0]}"

    def test_every_change_of_upstream_arrives(self, tmp_path: Path) -> None:
        """Whatever was there before, the result of a sync is that of a sync into an empty repository."""
        with self._trial(tmp_path / "grown") as grown:
            for number, _ in enumerate(self._steps(grown)):
                before = grown.version()[1] if number else ""
                self._applied(grown)
                assert grown.version()[1] != before, f"change {number} of upstream makes no difference: is it unnoticed, or is it none?"
                fresh = Trial(grown.subject, tmp_path / f"fresh-{number}")
                self._applied(fresh)
                assert grown.version()[1] == fresh.version()[1], (
                    f"after change {number} of upstream the repository holds {_keys(grown.units())}, a new one would hold {_keys(fresh.units())}: "
                    "is a validator too weak, or is something remembered?"
                )

    def test_a_failure_is_not_an_absence(self, tmp_path: Path) -> None:
        """Whichever page fails: the failure is told, and nothing leaves because of it."""
        with self._trial(tmp_path / "site") as trial:
            self._applied(trial)
            clean = self._pages_asked(trial)
            for change in trial.subject.changes[:1]:
                change(trial.subject.upstream)
            allowed = _leaving(trial.content(trial.plan()))
            for path in clean:
                with trial.subject.upstream.broken(path), trial.subject.upstream.watched() as asked:
                    plan = trial.plan()
                    gone = sorted(_leaving(trial.content(plan)) - allowed)
                    assert not gone, f"`{path}` answers 500, and the plan removes {gone}: a failure must be raised, it is no absence"
                    assert plan.failed or path not in asked, f"`{path}` answers 500, and nothing is said of it: let the error pass"
                    fresh = Trial(trial.subject, tmp_path / f"fresh-{clean.index(path)}").plan()
                    assert fresh.failed, f"`{path}` answers 500 in a first sync, and nothing is said of it: let the error pass"

    def test_one_bad_group_takes_no_other_down(self, tmp_path: Path) -> None:
        """What is wrong with one group's pages is that group's failure: the others come in."""
        with self._trial(tmp_path / "clean") as clean:
            self._applied(clean)
            groups = {unit.group for unit in clean.units()}
            pages = self._pages_asked(clean)
            if len(groups) < 2 or len(pages) < 2 or low_level(registry_of(clean.subject).importer(clean.subject.id).cls):  # type: ignore[arg-type]  # an importer
                return  # one group, or one page for all of them, or a low-level importer: `sync` fails as a whole by design
            alone = [path for path in pages if self._survivors(clean.subject, tmp_path / f"bad-{pages.index(path)}", path)]
            assert alone, (
                f"whichever of {pages} is bad, every group fails: read a group's pages in `read`, where a failure is that group's alone, "
                "and not in `declare`"
            )

    def test_nonsense_is_refused_by_name(self, tmp_path: Path) -> None:
        """Upstream may send anything: it is refused as Malformed, with the page named, and not by an accident of the plugin's code."""
        with self._trial(tmp_path / "clean") as clean:
            self._applied(clean)
            for number, path in enumerate(self._pages_asked(clean)):
                for kind, body in enumerate(NONSENSE):
                    with clean.subject.upstream.broken(path, body):
                        plan = Trial(clean.subject, tmp_path / f"nonsense-{number}-{kind}").plan()
                    for failure in clean.content(plan).failures:
                        assert " failed: " not in failure.message, (
                            f"`{path}` with the body {body!r} makes the importer stumble: {failure.message}; raise Malformed, naming the page"
                        )

    def test_nothing_is_remembered_between_calls(self, tmp_path: Path) -> None:
        """Classes and modules of the plugin are after a sync what they were before it."""
        with self._trial(tmp_path) as trial:
            self._applied(trial)
            before = remembered(trial.subject.classes)
            for _ in self._steps(trial):
                self._applied(trial)
            after = remembered(trial.subject.classes)
            changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            assert not changed, f"{', '.join(changed)} changed during a sync: plugins keep no state between calls, use the scratchpad"

    def test_no_conduit_is_kept(self, tmp_path: Path) -> None:
        """Once a call has returned nobody holds its call object or conduit any more."""
        with self._trial(tmp_path) as trial:
            gc.collect()
            known = {id(one) for one in gc.get_objects() if isinstance(one, Closing)}
            self._applied(trial)
            gc.collect()
            kept = sorted({type(one).conduit for one in gc.get_objects() if isinstance(one, Closing) and id(one) not in known})
            assert not kept, f"after a sync somebody still holds a stale {' and a '.join(kept)}: plugins keep nothing between calls"

    def test_publishing_is_deterministic(self, tmp_path: Path) -> None:
        """The same version is shown in the same way, wherever and whenever it is published, and by whichever steps it came about."""
        if self.subject().publisher is None:
            return
        with self._trial(tmp_path / "grown") as grown:
            for number, _ in enumerate(self._steps(grown)):
                self._applied(grown)
                fresh = Trial(grown.subject, tmp_path / f"fresh-{number}")
                self._applied(fresh)
                differing = sorted({(path, media_type) for path, media_type, _ in set(grown.shown()) ^ set(fresh.shown())})
                assert not differing, (
                    f"two publications of one version differ in {differing[:5]}: what is rendered may depend on the version and the options alone, "
                    "and every group of `changed()` must be opened, emptied ones too"
                )

    def test_selection_is_pure(self, tmp_path: Path) -> None:
        """`select` decides the same whatever the order, and twice the same."""
        with self._trial(tmp_path) as trial:
            self._applied(trial)
            desired = trial.desired()
            options = next(iter(desired.repositories.values())).sources[0].options
            for group, units in _by_group(trial.units()).items():
                for cls in trial.subject.classes:
                    if issubclass(cls, ContentType):
                        _check_order(cls, group, [unit for unit in units if unit.type == cls.id], options)

    def test_the_event_loop_is_not_blocked(self, tmp_path: Path) -> None:
        """While the importer waits, others can work."""
        with self._trial(tmp_path) as trial:
            for _ in self._steps(trial):
                trial.apply()
            assert not trial.blocked, f"{trial.blocked[0]}: await, or work in a thread"

    # What the tests are made of

    @contextmanager
    def _trial(self, folder: Path) -> Iterator[Trial]:
        """A site with its upstream served."""
        subject = self.subject()
        with subject.upstream.served():
            yield Trial(subject, folder)

    def _steps(self, trial: Trial) -> Iterator[None]:
        """Upstream as it is, and then after each of its changes."""
        yield
        for change in trial.subject.changes:
            change(trial.subject.upstream)
            yield

    def _applied(self, trial: Trial) -> tuple[Any, Sequence[Any]]:
        """Apply, which must succeed."""
        report, plans = trial.apply()
        said = [f"{one.ref}: {one.message}" for one in report.outcomes if one.result not in ("done", "unchanged")]
        assert not report.failed, "the sync failed: " + "; ".join(said)
        return report, plans

    def _pages_asked(self, trial: Trial) -> list[str]:
        """The pages that a first sync of the upstream reads, those of artifacts aside."""
        with trial.subject.upstream.watched() as asked:
            Trial(trial.subject, trial.folder / "asking").plan()
        return sorted(asked)

    def _survivors(self, subject: Subject, folder: Path, path: str) -> set[str]:
        """Groups that come in although `path` fails."""
        with subject.upstream.broken(path):
            trial = Trial(subject, folder)
            trial.apply()
            return {unit.group for unit in trial.units()}


def _faults(trial: Trial, source: dict[str, Any]) -> str:
    """What is wrong with these keys of a source; empty where nothing is."""
    try:
        trial.desired(source=source)
    except ManifestFaults as faults:
        return str(faults)
    return ""


def _leaving(content: ContentChanges) -> set[str]:
    return {f"{change.head.name}: {line.key}" for change in content.spool for line in change.lines if line.op == REMOVE}


def _counted(content: ContentChanges) -> str:
    return f"+{content.counts.added} -{content.counts.removed} ~{content.counts.changed}"


def _keys(units: Sequence[StoredUnit]) -> list[str]:
    return [f"{unit.group}/{unit.key}" for unit in units][:20]


def _by_group(units: Sequence[StoredUnit]) -> dict[str, list[Unit]]:
    found: dict[str, list[Unit]] = {}
    for unit in units:
        artifacts = [Artifact(one.path, one.sha256, one.size) for one in unit.artifacts]
        found.setdefault(unit.group, []).append(Unit(unit.type, unit.key, unit.metadata, artifacts))
    return found


def _check_order(cls: type[ContentType], group: str, units: list[Unit], options: Any) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    first = {one.unit.key: (one.accepted, one.reason) for one in cls.select(group, units, options, [], now)}
    shuffled = list(units)
    random.Random(SEED).shuffle(shuffled)  # noqa: S311  # an order, no secret
    second = {one.unit.key: (one.accepted, one.reason) for one in cls.select(group, shuffled, options, [], now)}
    assert first == second, f"`select` of `{cls.id}` decides group `{group}` differently when its units come in another order"
