"""The room that joins the others: it resolves, plans, applies, publishes, explains and inspects.

Comes in: `DesiredState` and a `Home`. Goes out: a `Plan`, a `Report`, documents about what there
is. Must never know: YAML, HTTP to clients, any packaging format, how anything is printed.

`reconciler.engine.service` stands beside it, for servers and uploads: it reads recorded manifests,
which is more to import than most commands need.

Reading order: `engine` (the interface), `sources/resolution` and `planning/planner` (which
changes), `applying/executor` and `publishing/release` (how they are carried out),
`run/checkpoints` (the order of writes, by name).
"""

from reconciler.engine.applying.executor import Executor
from reconciler.engine.applying.report import Report
from reconciler.engine.engine import Engine
from reconciler.engine.inspect import Inspector, parse_kind, parse_ref
from reconciler.engine.planning.planner import PlanOptions
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.run.checkpoints import Checkpoint, listen
from reconciler.engine.run.lease import NO_PATIENCE, LeasePatience
from reconciler.engine.run.progress import Progress, ProgressTask, SilentProgress
from reconciler.engine.run.provenance import author, git_commit
from reconciler.engine.session.home import Home

__all__ = [
    "NO_PATIENCE",
    "CallLimits",
    "Checkpoint",
    "Engine",
    "Executor",
    "Home",
    "Inspector",
    "LeasePatience",
    "PlanOptions",
    "Progress",
    "ProgressTask",
    "Report",
    "SilentProgress",
    "author",
    "git_commit",
    "listen",
    "parse_kind",
    "parse_ref",
]
