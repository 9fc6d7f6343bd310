"""`reconciler apply`: plan, then carry the plan out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.cli import manifests, output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.cli.plan import AllowDestroyOption, PruneOption, VerboseOption

if TYPE_CHECKING:
    from reconciler.engine import Report
    from reconciler.plan import Plan

NAME = "apply"
DOCUMENTS = (Layout.JSON, Layout.YAML)


def command(
    paths: settings.PathsArgument = None,
    *,
    layout: LayoutOption = Layout.TABLE,
    verbose: VerboseOption = False,
    prune: PruneOption = False,
    allow_destroy: AllowDestroyOption = False,
    lock_timeout: settings.LockTimeoutOption = "0",
    override: manifests.OverrideOption = None,
    home: settings.HomeOption = None,
) -> int:
    """Plan, then carry the plan out. Never asks: review happens on the plan."""
    import os

    from reconciler.engine import PlanOptions, author, git_commit
    from reconciler.plan import render_json, render_text

    registry = settings.registry()
    names = settings.paths(paths)
    desired = manifests.read(names, registry, override)
    plans: list[Plan] = []

    def show(plan: Plan) -> None:
        plans.append(plan)
        if layout not in DOCUMENTS:
            output.text(layout, render_text(plan, verbose=verbose))

    options = PlanOptions(prune=prune, allow_destroy=allow_destroy)
    folders = manifests.folders(names)
    by = author(folders, os.environ) or settings.principal()
    made_by = _provenance(git_commit(folders), override) | {"principal": by}
    report = settings.run_engine(
        home,
        registry,
        lambda engine: engine.apply(desired, options, made_by, show=show),
        may_be_new=True,
        lock_timeout=lock_timeout,
    )
    if layout in DOCUMENTS:
        plan = render_json(plans[-1], verbose=verbose)
        pieces = [b'{"outcomes":', _outcomes(report), b',"plan":', *plan, b"}"]
        if layout is Layout.JSON:
            output.pieces(pieces)
        else:
            output.yaml_document(json.loads(b"".join(pieces)))
    else:
        output.line()
        output.text(layout, _summary(report))
    return 1 if report.failed else 0


def _provenance(commit: str | None, overrides: list[str] | None) -> dict[str, Any]:
    """Return who made the versions: the commit, and which keys were overridden, without values."""
    keys = sorted({text.partition("=")[0] for text in overrides or []})
    return {"commit": commit, "overrides": keys} if keys else {"commit": commit}


def _summary(report: Report) -> list[str]:
    """Return a line for each resource that changed, failed or has a message, and the counts."""
    lines = []
    for outcome in report.outcomes:
        if outcome.message or outcome.result != "unchanged":
            message = outcome.message.replace("\n", "\n    ")
            result = "" if outcome.result == "done" and message else outcome.result
            lines.append(f"{outcome.ref}: {': '.join(filter(None, (result, message)))}")
    count = {
        result: sum(outcome.result == result for outcome in report.outcomes)
        for result in ("done", "unchanged", "failed", "blocked")
    }
    lines.append(
        "Apply: "
        + ", ".join(
            f"{number} {result}" for result, number in count.items() if number or result == "done"
        )
        + "."
    )
    return lines


def _outcomes(report: Report) -> bytes:
    from reconciler.model import canonical

    return canonical(
        [
            {"resource": outcome.ref, "result": outcome.result, "message": outcome.message}
            for outcome in report.outcomes
        ]
    )
