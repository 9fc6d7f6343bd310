"""The results of planning and applying an upstream and each of its changes, shared by many tests.

Each step runs in a sandbox that exists since the first one, and again in a new sandbox under a
shifted clock, so that the two can be compared. Failures are recorded here, and judged by the tests.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from reconciler.engine import Report
from reconciler.errors import ReconcilerError
from reconciler.manifest import schema
from reconciler.plan import Plan
from reconciler.plugin.testing.blocking_calls import record_blocking_calls
from reconciler.plugin.testing.plugin_modules import modules_of
from reconciler.plugin.testing.publication_server import served_publications
from reconciler.plugin.testing.reproducibility import shifted_clock
from reconciler.plugin.testing.retained_state import changed_names, live_objects, snapshot
from reconciler.plugin.testing.sandbox import NAME, Sandbox, State, failures_of, files_below
from reconciler.plugin.testing.subject import Subject

_HISTORIES: WeakKeyDictionary[type, SyncHistory] = WeakKeyDictionary()


@dataclass
class HistoryStep:
    """The results for an upstream after `number` changes.

    `wrote`: files that a plan changed. `planned`, `applied`: digests of the first plan and of the
    plan that was applied. `pending`: changes of a plan after the apply. `after`: the state after
    the apply; `number_again`: the version after a second one; `fresh`: the state of a new sandbox;
    `client_failure`: what a client says of its publication, at the first step and the last.
    """

    number: int
    wrote: list[str]
    planned: str = ""
    applied: str = ""
    pending: str = ""
    after: State | None = None
    number_again: int = 0
    fresh: State | None = None
    client_failure: str = ""


@dataclass
class SyncHistory:
    """All steps.

    `failed`: why they ended early, else empty. `changed_state`: names in the plugin's classes and
    modules whose values changed; `kept_objects`: objects that outlived their call; `blocked`: calls
    that blocked the event loop.
    """

    steps: list[HistoryStep] = field(default_factory=list)
    failed: str = ""
    changed_state: list[str] = field(default_factory=list)
    kept_objects: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


def history_of(owner: type, subject: Subject, folder: Path) -> SyncHistory:
    """Return the history of a subject, computed on the first call for `owner`, its test class."""
    if owner not in _HISTORIES:
        gc.freeze()  # objects that exist already are not looked at, however many they are
        try:
            with subject.upstream.served():
                _HISTORIES[owner] = _run_history(subject, folder)
        finally:
            gc.unfreeze()
    return _HISTORIES[owner]


def _run_history(subject: Subject, folder: Path) -> SyncHistory:
    history = SyncHistory()
    sandbox = Sandbox(subject, folder / "grown")
    try:
        sandbox.desired()  # imports everything and builds the option models
        schema(sandbox.registry)
        modules = modules_of(subject)
        before = snapshot(modules)
        with record_blocking_calls(modules) as calls:
            _run_steps(history, sandbox, modules)
        history.changed_state = changed_names(before, snapshot(modules))
        history.blocked = [f"{call} on the event loop" for call in calls]
        history.blocked += sandbox.blocked
    except ReconcilerError as error:
        history.failed = str(error)
    kept = live_objects(subject.classes)
    history.kept_objects = sorted({_display_name(instance) for instance in kept})
    return history


def _run_steps(history: SyncHistory, sandbox: Sandbox, modules: list[ModuleType]) -> None:
    for number, change in enumerate([None, *sandbox.subject.changes]):
        if change is not None:
            change(sandbox.subject.upstream)
        step = HistoryStep(number, [])
        history.steps.append(step)
        history.failed = _run_step(step, sandbox, modules)
        if history.failed:
            return


def _run_step(step: HistoryStep, sandbox: Sandbox, modules: list[ModuleType]) -> str:
    """Plan, apply, and plan again; return what failed, else an empty text."""
    step.planned = _planned(step, sandbox).digest.hex
    report, plans = sandbox.apply()
    step.applied = plans[0].digest.hex
    if report.failed:
        return _failure_of(step, report)
    step.after = sandbox.state()
    if step.number == len(sandbox.subject.changes):
        sandbox.forget_pages()
    step.pending = _pending_changes(sandbox, sandbox.plan())
    if step.number in (0, len(sandbox.subject.changes)):
        sandbox.apply()
    step.number_again = sandbox.version()[0]
    with shifted_clock(modules):
        folder = sandbox.folder.parent / f"fresh-{step.number}"
        fresh = Sandbox(sandbox.subject, folder, sandbox.blocked)
        report, _ = fresh.apply()
    step.fresh = fresh.state()
    if step.number in (0, len(sandbox.subject.changes)):
        step.client_failure = _client_failure(fresh)
    return _failure_of(step, report)


def _client_failure(sandbox: Sandbox) -> str:
    """Return why the subject's client fails on the served publication; an empty text if not."""
    subject = sandbox.subject
    if subject.client is None or subject.publisher is None:
        return ""
    path = str(subject.publication.get("path", NAME)).strip("/")
    with served_publications(sandbox.home, sandbox.registry) as url:
        try:
            subject.client(f"{url}{path}/" if path else url)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _planned(step: HistoryStep, sandbox: Sandbox) -> Plan:
    """Return the first plan of a step; record the files that it wrote."""
    # homes of earlier steps as well: a plugin that keeps a folder may write to any of them
    root = sandbox.folder.parent
    gc.collect()  # a database that is closed by the collector copies its log into its file then
    before = files_below(root)
    plan = sandbox.plan()
    after = files_below(root)
    step.wrote = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return plan


def _failure_of(step: HistoryStep, report: Report) -> str:
    if not report.failed:
        return ""
    return (
        f"{failures_of(report)} (upstream"
        f" {f'after change {step.number}' if step.number else 'before its first change'})"
    )


def _pending_changes(sandbox: Sandbox, plan: Plan) -> str:
    """Describe the changes of a plan; return an empty text where there are none."""
    if plan.empty:
        return ""
    counts = sandbox.content(plan).counts
    changes = "; ".join(
        f"{change.ref}: {change.reason or change.action}"
        for change in plan.changes
        if change.action != "no-op"
    )
    return f"+{counts.added} -{counts.removed} ~{counts.changed} ({changes})"


def _display_name(instance: object) -> str:
    """Return the name of a conduit in `reconciler.plugin`, or the class of another object."""
    cls = type(instance)
    conduit = getattr(cls, "conduit", None)
    return f"`{conduit}`" if isinstance(conduit, str) else f"instance of `{cls.__qualname__}`"
