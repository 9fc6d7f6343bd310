"""Decisions of a source and the filters on the distributions of one project. Pure.

Neither the order of rules, filters and units matters, nor earlier decisions. Three stages, each
among the files that the one before lets in: every key on each file alone (a cooldown after the
others, as time will change its answer); `if-nothing-else`; `latest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from reconciler.plugin import ActiveFilter, Decision, StoredUnit, TraceStep, Unit
from reconciler_python.matching.rules import Matcher
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.upload_times import upload_time
from reconciler_python.selecting.checks import (
    SOURCE,
    SOURCE_FILTER,
    Check,
    DenyCheck,
    Scope,
    filter_scope,
)
from reconciler_python.selecting.cooldown import Cooldown
from reconciler_python.selecting.filter_checks import FilterCall, filter_checks
from reconciler_python.selecting.releases import Releases, newest_kept, prerelease_policy
from reconciler_python.selecting.source_checks import (
    NO_MATCH,
    SelectedCheck,
    is_pinned,
    no_match_text,
    selecting_key,
    selects_part,
)
from reconciler_python.selecting.variants_index import (
    split_variants,
    variants_decisions,
    variants_steps,
)


class ProjectSelection:
    """Decides on the distributions of one project.

    `options` is None for what was uploaded: a cooldown does not concern it.
    """

    def __init__(
        self,
        project: str,
        options: SelectionOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        *,
        now: datetime,
    ) -> None:
        written = _written(options, filters)
        prereleases = prerelease_policy(written) in ("allow", "if-nothing-else")
        self._checks: list[Check] = (
            [*_source_checks(project, options, prereleases)] if options is not None else []
        )
        for scope, rules in written:
            self._checks += filter_checks(
                FilterCall(project, scope, rules, prereleases, upstream=options is not None)
            )
        self._asked = [check for check in self._checks if not check.silent]
        self._cooldown = Cooldown(project, written if options is not None else (), now)
        pins = [check.pins for check in self._checks if isinstance(check, SelectedCheck)]
        self._releases = Releases(written, pins[0] if pins else is_pinned)

    def decide(self, units: Iterable[Unit]) -> Sequence[Decision]:
        """Return a decision for each unit of type `python.distribution` of the project."""
        files, indexes = split_variants(units)
        decisions = self._decided(files)
        return [*decisions, *variants_decisions(indexes, decisions)] if indexes else decisions

    def _decided(self, units: Sequence[Unit]) -> Sequence[Decision]:
        speaking = self._asked or self._cooldown
        decisions = (
            [self._alone(unit) for unit in units]
            if speaking
            else [Decision(unit, True) for unit in units]
        )
        if not self._releases:
            return decisions
        return self._with_remark(self._releases.apply(decisions))

    def trace(self, units: Iterable[Unit], traced: Sequence[Unit]) -> Iterator[Sequence[TraceStep]]:
        """Yield every step for each of `traced`, some of `units`.

        A unit is in if all of them pass, and otherwise out because of the first that does not.
        """
        offered = list(units)
        files, indexes = split_variants(traced)
        chains = dict(zip(map(id, files), self._chains(offered, files), strict=True))
        if indexes:
            by_variants = {id(decision.unit): decision for decision in self.decide(offered)}
            chains |= {id(unit): variants_steps(by_variants[id(unit)]) for unit in indexes}
        return (chains[id(unit)] for unit in traced)

    def _chains(
        self, units: Iterable[Unit], traced: Sequence[Unit]
    ) -> Iterator[Sequence[TraceStep]]:
        decided = split_variants(units)[0] if self._releases else ()
        decisions = [self._alone(unit) for unit in decided]
        for unit, last in zip(traced, self._releases.steps(traced, decisions), strict=True):
            yield [
                *(step for check in self._checks for step in check.steps(unit)),
                *self._cooldown.steps(unit),
                *last,
            ]

    def _with_remark(self, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """Say that `latest` landed on older releases because a filter refuses the newest."""
        if not self._releases.keeps_latest:
            return decisions
        fallback = newest_kept(decisions, self._refusing_key)
        if fallback is None:
            return decisions
        kept, text = fallback
        return [
            Decision(kept.unit, True, text, kept.reconsider_at) if decision is kept else decision
            for decision in decisions
        ]

    def _refusing_key(self, unit: Unit) -> str | None:
        """Return the key of a filter that refuses a file; None where the source does, or none."""
        refusing = next((check for check in self._asked if check.reason(unit) is not None), None)
        return None if refusing is None or refusing.scope is SOURCE else refusing.key

    def _alone(self, unit: Unit) -> Decision:
        for check in self._asked:
            reason = check.reason(unit)
            if reason is not None:
                return Decision(unit, False, reason, None, check.rule)
        return self._cooldown.decide(unit) if self._cooldown else Decision(unit, True)


def _written(
    source: SelectionOptions | None, filters: Sequence[ActiveFilter[FilterOptions]]
) -> list[tuple[Scope, FilterOptions]]:
    """Return the filters in force: the source's own, then the others by name."""
    own = (
        [(SOURCE_FILTER, source.filter)] if source is not None and source.filter is not None else []
    )
    by_name = sorted(filters, key=lambda active: active.name)
    return [
        *own,
        *((filter_scope(active.name), active.options) for active in by_name),
    ]


def _source_checks(project: str, options: SelectionOptions, prereleases: bool) -> Iterator[Check]:
    if options.excluded:
        matcher = Matcher(options.excluded, project, prereleases=True)
        yield DenyCheck(SOURCE, "exclude", verb="excluded", matcher=matcher)
    if selects_part(options):
        yield SelectedCheck(project, options, prereleases=prereleases)


def needs_first_seen(
    units: Iterable[Unit],
    options: SelectionOptions | None,
    filters: Sequence[ActiveFilter[FilterOptions]],
) -> list[Unit]:
    """Return the files whose age counts from their first sight: no upload time says otherwise."""
    asked = options is not None and any(
        rules.min_age is not None and rules.min_age.unknown == "firstSeen"
        for _, rules in _written(options, filters)
    )
    if not asked:
        return []
    files, _ = split_variants(units)
    return [unit for unit in files if upload_time(unit.metadata.get("uploadTime")) is None]


def refused_project(
    project: str, options: SelectionOptions | None, filters: Sequence[ActiveFilter[FilterOptions]]
) -> str | None:
    """Return why nothing of a project may come in: a rule that means all of it.

    None where its files tell.
    """
    return next((step.text for step in trace_project(project, options, filters)), None)


def trace_project(
    project: str, options: SelectionOptions | None, filters: Sequence[ActiveFilter[FilterOptions]]
) -> Iterator[TraceStep]:
    """Yield the rules that keep out all of a project."""
    if options is not None:
        rule = options.excluded.whole_project(project) if options.excluded else None
        if rule is not None:
            yield SOURCE.step(False, f'excluded by "{rule.text}"', "exclude", rule.index)
        if selects_part(options) and not options.dependencies and not options.concerns(project):
            yield SOURCE.step(False, no_match_text(options), selecting_key(options))
    for scope, rules in _written(options, filters):
        denied = rules.denied.whole_project(project) if rules.denied else None
        if denied is not None:
            yield scope.step(
                False, scope.because(f'denied by "{denied.text}"', "deny"), "deny", denied.index
            )


def removal_reason(unit: StoredUnit, options: SelectionOptions | None, refused: str) -> str:
    """Return why a distribution goes that is no longer in.

    `refused`: why `select` keeps it out now, empty where upstream no longer lists it.
    """
    if options is None:
        return refused or "gone upstream"
    if refused and not (selects_part(options) and refused == no_match_text(options)):
        return refused
    rule = Matcher(options.excluded, unit.group, prereleases=True).find(
        unit.metadata["version"], unit.key
    )
    if rule:
        return f'excluded by "{rule.text}"'
    if not selects_part(options):
        return "gone upstream"
    prereleases = options.filter is not None and options.filter.prereleases in (
        "allow",
        "if-nothing-else",
    )
    if (
        not refused
        and SelectedCheck(unit.group, options, prereleases=prereleases).reason(unit) is None
    ):
        return "gone upstream"
    if not refused and options.dependencies:
        return "gone upstream, or nothing depends on it any more"
    rules = options.included.for_project(unit.group)
    if not rules:
        return _no_longer(options)
    return "no longer matches include " + ", ".join(f'"{rule.text}"' for rule in rules)


def _no_longer(options: SelectionOptions) -> str:
    return (
        no_match_text(options)
        .replace("matches no include", "no longer matches an include")
        .replace("matches no", "no longer matches a")
    )


def project_removal_reason(project: str, options: SelectionOptions | None, refused: str) -> str:
    """Return why a project's status goes.

    It leaves with the last distribution, too; which filter may have put those out cannot be seen
    from here.
    """
    if refused and not refused.startswith(NO_MATCH):
        return refused
    if options is not None:
        rule = options.excluded.whole_project(project)
        if rule:
            return f'excluded by "{rule.text}"'
        if selects_part(options) and not options.dependencies and not options.concerns(project):
            return _no_longer(options)
    return "none of its distributions is left, or its status is active again"
