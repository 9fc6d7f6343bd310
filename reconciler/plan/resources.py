"""The difference of resources: manifests against what the last apply recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import ActualResource, Resource
from reconciler.plan.changes import Action, FieldChange, ResourceChange

MASKED = "(secret changed)"


def resource_change(
    desired: Resource, actual: ActualResource | None, secrets: Mapping[str, str]
) -> ResourceChange:
    """Return the change of a declared resource.

    `secrets`: keyed fingerprints of its secret values, by path in the spec.
    """
    if actual is None:
        return ResourceChange(Action.CREATE, desired.meta.ref)
    fields = [
        *_differences("spec", actual.spec, desired.spec),
        *_differences("metadata.labels", actual.labels, desired.meta.labels),
        *_differences("metadata.annotations", actual.annotations, desired.meta.annotations),
        *(
            FieldChange(path, None, MASKED)
            for path in sorted(secrets)
            if actual.secrets.get(path, secrets[path]) != secrets[path]
        ),
    ]
    return ResourceChange(
        Action.UPDATE if fields else Action.NO_OP, desired.meta.ref, fields=tuple(fields)
    )


def _differences(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Yield differing leaves; lists are compared whole."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _differences(f"{path}.{name}", before.get(name), after.get(name))
        return
    yield FieldChange(path, before, after)
