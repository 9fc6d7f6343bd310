"""Projects that a filter keeps out by name alone, so that their pages are not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.plugin import ActiveFilter
from reconciler_python.matching.rules import Rules
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.filenames import project_name, stem_and_type
from reconciler_python.selecting.checks import SOURCE_FILTER, Scope, filter_scope


class ProjectFilter:
    """The filters in force, for one project after the other.

    Lives for one listing; cheap for every name of a long list.
    """

    def __init__(
        self, options: SelectionOptions | None, filters: Sequence[ActiveFilter[FilterOptions]]
    ) -> None:
        own = options.filter if options is not None else None
        written = [(SOURCE_FILTER, own)] if own is not None else []
        by_name = sorted(filters, key=lambda active: active.name)
        written += [(filter_scope(active.name), active.options) for active in by_name]
        self._asked = [
            _Names(scope, rules) for scope, rules in written if rules.denied or rules.allowed
        ]

    def __bool__(self) -> bool:
        """True if any filter asks for names: else each `refusal` is empty."""
        return bool(self._asked)

    def refusal(self, project: str) -> str:
        """Return why none of the project's files can pass; empty where its files decide.

        The text is the reason of each of its files.
        """
        for names in self._asked:
            reason = names.refusal(project)
            if reason:
                return reason
        return ""


class _Names:
    """Names in `deny` and `allow` of one filter."""

    def __init__(self, scope: Scope, rules: FilterOptions) -> None:
        self._scope = scope
        self._denied = rules.denied
        self._allowed = rules.allowed
        self._of_files = _projects_of(rules.allowed)
        self._matches_no_allow = scope.because("matches no allow", "allow")

    def refusal(self, project: str) -> str:
        denied = self._denied.whole_project(project) if self._denied.concerns(project) else None
        if denied is not None:
            return self._scope.because(f'denied by "{denied.text}"', "deny")
        if self._allowed and project not in self._of_files and not self._allowed.concerns(project):
            return self._matches_no_allow
        return ""


def refusal(
    project: str, options: SelectionOptions | None, filters: Sequence[ActiveFilter[FilterOptions]]
) -> str:
    """Return `ProjectFilter.refusal` of one project.

    Pure; neither the order of filters nor that of rules matters.
    """
    return ProjectFilter(options, filters).refusal(project)


def _projects_of(rules: Rules) -> frozenset[str]:
    """Return every project to which a file may belong that is allowed by its name.

    That is what stands before any of its hyphens.
    """
    return frozenset(
        name
        for filename in rules.by_filename
        for name in _before_hyphens(filename)
        if name is not None
    )


def _before_hyphens(filename: str) -> Iterable[str | None]:
    stem = stem_and_type(filename)
    parts = stem[0].split("-") if stem is not None else []
    return (project_name("-".join(parts[:length])) for length in range(1, len(parts)))
