"""The room that joins the others: observe, resolve, plan, execute, sync, publish, export, inspect.

Comes in: `DesiredState` and a `Home`. Goes out: a `Plan`, a `Report`, documents about what there is.
Must never know: YAML, HTTP to clients, any packaging format, how anything is printed.

`reconciler.engine.service` stands beside it, for servers and uploads: it reads recorded manifests, which is more to import
than most commands need.

Reading order: `reconcile` (the engine as surfaces see it), `planning` and `resolve` (what should change), `execute`
with `sync`, `publish` and `exports` (how it changes), `steps` (the order of writes, by name).
"""

from reconciler.engine.execute import Executor, Report
from reconciler.engine.home import Home
from reconciler.engine.inspect import Inspector, parse_kind, parse_ref
from reconciler.engine.patience import Limits
from reconciler.engine.planning import Allowances
from reconciler.engine.progress import Progress, Silent, Task
from reconciler.engine.provenance import git_commit
from reconciler.engine.reconcile import Engine
from reconciler.engine.steps import Step, listen

__all__ = [
    "Allowances",
    "Engine",
    "Executor",
    "Home",
    "Inspector",
    "Limits",
    "Progress",
    "Report",
    "Silent",
    "Step",
    "Task",
    "git_commit",
    "listen",
    "parse_kind",
    "parse_ref",
]
