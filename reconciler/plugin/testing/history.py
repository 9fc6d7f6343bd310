"""Upstream and its changes, lived through once: what plans and applies made of it, for many tests
to look at.

Each step is taken on a site that has been there all along, and again on a new one, on another day,
so that what the one remembers and what it should hold can be compared. Nothing here judges: a
failure is recorded like anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from reconciler.engine import Report
from reconciler.errors import ReconcilerError
from reconciler.manifest import schema
from reconciler.plan import Plan
from reconciler.plugin.testing.blocking import watched_calls
from reconciler.plugin.testing.elsewhere import another_day
from reconciler.plugin.testing.memory import alive, differing, remembered
from reconciler.plugin.testing.modules import own_modules
from reconciler.plugin.testing.subject import Subject
from reconciler.plugin.testing.trial import State, Trial, files, said

_LIVED: WeakKeyDictionary[type, History] = WeakKeyDictionary()


@dataclass
class Step:
    """Upstream after `number` changes. `wrote`: files that a plan touched; `planned`,
    `carried_out`: digests of the two plans; `left`: what a plan still wanted afterwards, and
    without cached pages; `after`, `again`, `fresh`: what an apply led to, a second one, and one on
    a new site.
    """

    number: int
    wrote: list[str]
    planned: str = ""
    carried_out: str = ""
    left: str = ""
    after: State | None = None
    again: int = 0
    fresh: State | None = None


@dataclass
class History:
    """`failed`: why it ended early, empty where it did not. `remembered`, `kept`, `blocked`: what
    was found of state left in classes and modules, of objects that outlived their call, and of
    calls that held up the event loop.
    """

    steps: list[Step] = field(default_factory=list)
    failed: str = ""
    remembered: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


def lived(owner: type, subject: Subject, folder: Path) -> History:
    """The history of a subject, made when it is first asked for. `owner`: the test class whose
    subject it is.
    """
    if owner not in _LIVED:
        with subject.upstream.served():
            _LIVED[owner] = _live(subject, folder)
    return _LIVED[owner]


def _live(subject: Subject, folder: Path) -> History:
    history = History()
    trial = Trial(subject, folder / "grown")
    known = alive(subject.classes)
    try:
        trial.desired()  # so that everything is imported, and option models are built
        schema(trial.registry)
        modules = own_modules(subject)
        before = remembered(modules)
        with watched_calls(modules) as calls:
            _take_steps(history, trial, modules)
        history.remembered = differing(before, remembered(modules))
        history.blocked = [f"{call} while everything else waits" for call in calls] + trial.blocked
    except ReconcilerError as error:
        history.failed = str(error)
    left = {id(one) for one in known}
    history.kept = sorted({_named(one) for one in alive(subject.classes) if id(one) not in left})
    return history


def _take_steps(history: History, trial: Trial, modules: list[ModuleType]) -> None:
    for number, change in enumerate([None, *trial.subject.changes]):
        if change is not None:
            change(trial.subject.upstream)
        step = Step(number, [])
        history.steps.append(step)
        history.failed = _taken(step, trial, modules)
        if history.failed:
            return


def _taken(step: Step, trial: Trial, modules: list[ModuleType]) -> str:
    """Plan, apply, look again. Returns what failed."""
    step.planned = _planned(step, trial).digest.hex
    report, plans = trial.apply()
    step.carried_out = plans[0].digest.hex
    if report.failed:
        return _told(step, report)
    step.after = trial.state()
    if step.number == len(trial.subject.changes):
        trial.forget_pages()
    step.left = _left(trial, trial.plan())
    if step.number in (0, len(trial.subject.changes)):
        trial.apply()
    step.again = trial.version()[0]
    with another_day(modules):
        fresh = Trial(trial.subject, trial.folder.parent / f"fresh-{step.number}", trial.blocked)
        report, _ = fresh.apply()
    step.fresh = fresh.state()
    return _told(step, report)


def _planned(step: Step, trial: Trial) -> Plan:
    """The first plan of a step, and what it wrote."""
    root = (
        trial.folder.parent
    )  # homes of earlier steps as well: who remembers a folder may remember any of them
    before = files(root)
    plan = trial.plan()
    after = files(root)
    step.wrote = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return plan


def _told(step: Step, report: Report) -> str:
    if not report.failed:
        return ""
    return (
        f"{said(report)} (upstream"
        f" {f'after change {step.number}' if step.number else 'as it is at first'})"
    )


def _left(trial: Trial, plan: Plan) -> str:
    """What a plan does; empty where it does nothing."""
    if plan.empty:
        return ""
    counts = trial.content(plan).counts
    changes = "; ".join(
        f"{change.ref}: {change.reason or change.action}"
        for change in plan.changes
        if change.action != "no-op"
    )
    return f"+{counts.added} -{counts.removed} ~{counts.changed} ({changes})"


def _named(one: object) -> str:
    """Of a conduit, its name in `reconciler.plugin`; of an instance of the plugin's, its class."""
    conduit = getattr(type(one), "conduit", None)
    return f"`{conduit}`" if isinstance(conduit, str) else f"instance of `{type(one).__qualname__}`"
