"""`reconciler plan`: show what an apply would change, and why. Never writes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from reconciler.cli import manifests, output, settings
from reconciler.cli.output import Layout, LayoutOption

NAME = "plan"
PENDING = 2


VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show every content change and every refusal.")
]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Remove resources that no manifest declares any more.")
]
AllowDestroyOption = Annotated[
    bool,
    typer.Option("--allow-destroy", help="Override the guards against mass removal for this run."),
]


def command(  # noqa: PLR0913  # an option each
    paths: settings.PathsArgument = None,
    *,
    layout: LayoutOption = Layout.TABLE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when changes are pending.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Ask no remote: use cached pages, say `unknown` where there is none."
        ),
    ] = False,
    verbose: VerboseOption = False,
    prune: PruneOption = False,
    allow_destroy: AllowDestroyOption = False,
    override: manifests.OverrideOption = None,
    home: settings.HomeOption = None,
) -> int:
    """Show what an apply would change, down to each file, with reasons."""
    from reconciler.engine import PlanOptions
    from reconciler.plan import render_json, render_text

    registry = settings.registry()
    desired = manifests.read(settings.paths(paths), registry, override)
    manifests.warn_of_secrets(desired, registry)
    options = PlanOptions(prune=prune, allow_destroy=allow_destroy)
    plan = settings.run_engine(
        home,
        registry,
        lambda engine: engine.plan(desired, options),
        offline=offline,
        may_be_new=True,
    )
    if layout is Layout.JSON:
        output.pieces(render_json(plan, verbose=verbose))
    elif layout is Layout.YAML:
        output.yaml_document(json.loads(b"".join(render_json(plan, verbose=verbose))))
    else:
        output.text(layout, render_text(plan, verbose=verbose))
    if plan.failed:
        return 1
    return PENDING if detailed_exitcode and plan.pending else 0
