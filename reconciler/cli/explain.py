"""`reconciler explain`: show why content is in a repository or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import invocation, manifests, output, settings
from reconciler.cli.names import completer, take_repository
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import ManifestFaults

if TYPE_CHECKING:
    from reconciler.model import DesiredState
    from reconciler.plugin.registry import Registry

NAME = "explain"


def command(
    words_and_paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[repository/]NAME SUBJECT [PATH]...",
            help=(
                "A repository; a file, a project, or a requirement such as `idna>=3`; and manifest"
                " files and folders, if not the current one."
            ),
            autocompletion=completer("repository"),
        ),
    ],
    *,
    layout: LayoutOption = Layout.TABLE,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Ask no remote: use cached pages, say `unknown` where there is none."
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="Tell the chain of rules of every file, however many are meant."
        ),
    ] = False,
    override: manifests.OverrideOption = None,
    home: settings.HomeOption = None,
) -> int:
    """Say why a file is in a repository or not.

    Shows what is recorded, what each source says now, and which rule of which manifest line
    decides. The manifests decide as they would in a plan. If none of them declares the repository,
    the state that the last apply recorded decides.
    """
    from reconciler.cli.explain_text import lines
    from reconciler.manifest import read_recorded

    name, (subject, *paths) = take_repository(
        words_and_paths, more=1, usage="explain NAME SUBJECT [PATH]..."
    )
    invocation.set_manifests(settings.paths(paths))
    registry = settings.registry()
    overrides = override or []
    declared = _declared(paths, registry, name, overrides=overrides)
    answer = settings.run_engine(
        home,
        registry,
        lambda engine: engine.explain(
            name,
            subject,
            lambda actual: read_recorded(actual, registry, overrides).desired,
            declared=declared,
            verbose=verbose,
        ),
        offline=offline,
    )
    output.answer(layout, answer, lambda: lines(answer, verbose=verbose))
    return 0


def _declared(
    paths: list[str], registry: Registry, name: str, *, overrides: list[str]
) -> DesiredState | None:
    """Return the desired state if the manifests declare the repository, else None.

    Faults in the manifests of the current folder are only a warning if the user named no manifests.
    """
    from reconciler.manifest.overrides import OPTION

    places = settings.paths(paths)
    try:
        desired = manifests.read(places, registry, overrides if paths else None)
        if name in desired.repositories and overrides and not paths:
            # only now: overrides may be meant for recorded resources
            desired = manifests.read(places, registry, overrides)
        return desired if name in desired.repositories else None
    except ManifestFaults as faults:
        if paths or any(fault.origin.file == OPTION for fault in faults.faults):
            raise
        from reconciler.model import pluralize

        output.warning(
            f"the manifests here have {pluralize(len(faults.faults), 'fault')} and are ignored",
            "`reconciler validate` lists them",
        )
        return None
