"""The desired state from recorded resources, for uploads and on-demand downloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from reconciler.errors import Fault, ManifestFaults, Origin
from reconciler.manifest.document import ManifestText, Unplaced
from reconciler.manifest.kinds import API
from reconciler.manifest.loader import state
from reconciler.manifest.overrides import override, parsed
from reconciler.manifest.plugin_lookup import Plugins
from reconciler.manifest.promotion import downstream
from reconciler.manifest.references import Named, Table, connect
from reconciler.manifest.resources import declaration
from reconciler.model import ActualResource, ActualState, Kind, RecordedState, Ref
from reconciler.plugin.registry import Registry


class _Record(Unplaced):
    floats_as_text: ClassVar[bool] = True


def read_recorded(
    actual: ActualState, registry: Registry, overrides: Sequence[str] = ()
) -> RecordedState:
    """Return the desired state as the last apply recorded it. `overrides`: as of `read`.

    Resources that are no longer valid (their plugin is gone, or has other keys now) are left out,
    with all that depend on them: the repositories and publications of a filter, and the
    publications of a repository. Raises ManifestFaults with all faults of the overrides.
    """
    plugins = Plugins(registry, repeat=True)
    faults: dict[Ref, list[Fault]] = {ref: [] for ref in sorted(actual.resources)}
    results = [
        declaration(_document(actual.resources[ref]), plugins, own) for ref, own in faults.items()
    ]
    declarations = [declared for declared in results if declared is not None]
    named = connect(declarations, plugins, complete=True)
    wrong: list[Fault] = []
    override(parsed(overrides, wrong), named, plugins, faults=wrong, complete=True)
    if wrong:
        raise ManifestFaults(wrong)
    _mark_dependents(named, faults)
    return RecordedState(
        state(
            [declared for declared in declarations if not faults[Ref(declared.kind, declared.name)]]
        ),
        {ref: own for ref, own in faults.items() if own},
    )


def _document(resource: ActualResource) -> _Record:
    ref = resource.ref
    metadata = {
        "name": ref.name,
        "labels": dict(resource.labels),
        "annotations": dict(resource.annotations),
    }
    value = {
        "apiVersion": API,
        "kind": ref.kind.value,
        "metadata": metadata,
        "spec": dict(resource.spec),
    }
    return _Record(ManifestText(str(ref), resource.folder, ""), 0, value, None)


def _mark_dependents(named: Named, faults: dict[Ref, list[Fault]]) -> None:
    """Mark dependents as faulty: unreadable rules must not be treated as no rules."""
    repositories = named[Kind.REPOSITORY]
    lost = {ref for ref, own in faults.items() if own}
    for name, cause in downstream(
        dict(_affected_repositories(repositories, named[Kind.FILTER], lost)), repositories
    ).items():
        _mark(Ref(Kind.REPOSITORY, name), cause, faults)
    for name, publication in named[Kind.PUBLICATION].items():
        needed = [Ref(Kind.REPOSITORY, publication.checked.text("spec", "repository") or "")]
        needed += [
            Ref(Kind.FILTER, own)
            for own in publication.checked.items("spec", "filters")
            if isinstance(own, str)
        ]
        missing = next((ref for ref in needed if faults.get(ref)), None)
        if missing is not None:
            _mark(Ref(Kind.PUBLICATION, name), str(missing), faults)


def _affected_repositories(
    repositories: Table, filters: Table, lost: set[Ref]
) -> Iterable[tuple[str, str]]:
    """Yield the repositories that need a lost resource, each with that resource."""
    ruling: dict[str | None, list[Ref]] = {}
    for name, declared in filters.items():
        if declared.checked.get("spec", "global") is True:
            ruling.setdefault(declared.checked.text("spec", "type"), []).append(
                Ref(Kind.FILTER, name)
            )
    for name, declared in repositories.items():
        remotes = (
            declared.checked.text("spec", "sources", index, "remote", "name")
            for index, _ in enumerate(declared.checked.items("spec", "sources"))
        )
        needed = [
            Ref(Kind.REPOSITORY, name),
            *(Ref(Kind.REMOTE, remote) for remote in remotes if remote is not None),
            *(Ref(Kind.FILTER, own) for own in declared.checked.items("spec", "filters")),
            *ruling.get(declared.checked.text("spec", "type"), ()),
        ]
        yield from ((name, str(ref)) for ref in needed if ref in lost)


def _mark(ref: Ref, cause: str, faults: dict[Ref, list[Fault]]) -> None:
    if not faults[ref]:
        faults[ref].append(
            Fault(
                Origin(str(ref), 1),
                f"`{cause}` cannot be understood any more",
                "`reconciler plugins` says what is installed",
            )
        )
