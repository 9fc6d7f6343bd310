"""`reconciler repair`: verify, and fetch again what is missing or damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli import output, settings, verify
from reconciler.cli.output import Layout, LayoutOption
from reconciler.cli.verify import ScopeArgument

if TYPE_CHECKING:
    from reconciler.engine.integrity.repair import RepairResult

NAME = "repair"


def command(
    resource: ScopeArgument = None,
    *,
    lock_timeout: settings.LockTimeoutOption = "0",
    layout: LayoutOption = Layout.TABLE,
    home: settings.HomeOption = None,
) -> int:
    """Verify, then fetch damaged files from their sources and render damaged pages anew.

    Works on what the last apply recorded, and changes no version. Exits with 0 when nothing stays
    damaged, with 1 when something does: it names each file and the reason.
    """
    from reconciler.manifest import read_recorded

    scope = verify.scope(resource)
    settings.existing_home(home)
    registry = settings.registry()
    verified, mended = settings.run_engine(
        home,
        registry,
        lambda engine: engine.repair(
            scope, lambda actual: read_recorded(actual, registry, ()).desired
        ),
        lock_timeout=lock_timeout,
    )
    answer = {
        "verified": verify.document(verified),
        "mended": mended.mended,
        "lost": mended.lost,
        "rendered": mended.rendered,
        "unrendered": mended.unrendered,
        "deferred": mended.deferred,
    }
    output.answer(
        layout, answer, lambda: [*_lines(mended), verify.summary(verified), _summary(mended)]
    )
    return 0 if mended.complete else 1


def _lines(result: RepairResult) -> list[str]:
    lines = [
        f"repository/{name}: `{path}` mended"
        for name, paths in sorted(result.mended.items())
        for path in paths
    ]
    lines += [
        f"repository/{name}: {problem}"
        for name in sorted(result.lost)
        for problem in result.problems(name)
    ]
    lines += [f"publication/{name}: rendered anew" for name in result.rendered]
    lines += [
        f"publication/{name}: cannot be rendered anew: {reason}"
        for name, reason in sorted(result.unrendered.items())
    ]
    return lines


def _summary(result: RepairResult) -> str:
    mended = sum(map(len, result.mended.values())) + len(result.rendered)
    lost = sum(map(len, result.lost.values())) + len(result.unrendered)
    text = f"Repair: {mended} mended" + (f", {lost} still damaged" if lost else "")
    if result.deferred:
        text += f", {result.deferred} that pages show to be extracted again by the next apply"
    return f"{text}."
