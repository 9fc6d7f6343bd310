"""`reconciler validate`: check manifests offline and report all faults at once."""

from __future__ import annotations

from reconciler.cli import output, settings
from reconciler.cli.output import Layout, LayoutOption
from reconciler.errors import ManifestFaults

NAME = "validate"


def command(
    paths: settings.PathsArgument = None,
    layout: LayoutOption = Layout.TABLE,
) -> int:
    """Check manifests without asking any remote.

    Unknown keys, wrong types, duplicates, references, all in one run.
    """
    from reconciler.cli.manifests import read
    from reconciler.manifest import annotations, as_json
    from reconciler.model import pluralize

    try:
        desired = read(settings.paths(paths))
    except ManifestFaults as faults:
        if layout is Layout.TABLE:
            raise
        if layout is Layout.GITHUB:
            output.line(annotations(faults.faults))
        else:
            all_faults = faults.faults
            output.answer(layout, as_json(all_faults), lambda: map(str, all_faults))
        return 1
    number = sum(1 for _ in desired)
    if layout is not Layout.GITHUB:
        output.answer(layout, as_json([]), lambda: [f"{pluralize(number, 'resource')}, no faults"])
    return 0
