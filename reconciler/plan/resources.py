"""The difference of resources: manifests against what the last apply recorded. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import ActualResource, Resource
from reconciler.plan.changes import MASKED, Action, FieldChange, ResourceChange
from reconciler.plan.fields import differences


def resource_change(
    desired: Resource, actual: ActualResource | None, secrets: Mapping[str, str]
) -> ResourceChange:
    """Return the change of a declared resource.

    `secrets`: keyed fingerprints of its secret values, by path in the spec.
    """
    if actual is None:
        return ResourceChange(Action.CREATE, desired.meta.ref)
    fields = [
        *differences("spec", actual.spec, desired.spec),
        *differences("metadata.labels", actual.labels, desired.meta.labels),
        *differences("metadata.annotations", actual.annotations, desired.meta.annotations),
        *(
            FieldChange(path, None, MASKED)
            for path in sorted(secrets)
            if actual.secrets.get(path, secrets[path]) != secrets[path]
        ),
    ]
    return ResourceChange(
        Action.UPDATE if fields else Action.NO_OP, desired.meta.ref, fields=tuple(fields)
    )
