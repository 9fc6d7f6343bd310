"""In, or out because: what a source and the filters say about the distributions of one project.

Pure. Neither the order of rules, filters and units matters, nor what was decided before: one unit, one answer.
Rules that no passing of time will change are asked first; a cooldown speaks only when they let the unit in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from reconciler.plugin import ActiveFilter, Decision, Options, StoredUnit, Unit
from reconciler_python.options import FilterOptions, SelectionOptions
from reconciler_python.rules import Matcher

_DAY = timedelta(days=1)

NO_INCLUDE = "matches no include"


class ProjectJudge:
    """Decides on the distributions of one project. `now` is aware; times are compared in UTC."""

    def __init__(self, project: str, options: Options | None, filters: Sequence[ActiveFilter], now: datetime) -> None:
        self._now = now
        self._source = _SourceJudge(project, options) if isinstance(options, SelectionOptions) else None
        by_name = sorted(filters, key=lambda active: active.name)
        self._filters = [_FilterJudge(project, active.name, active.options) for active in by_name if isinstance(active.options, FilterOptions)]
        # Of several cooldowns the longest counts: until it ends, the answer stays the same.
        self._longest = max((judge for judge in self._filters if judge.age), key=lambda judge: judge.age or _DAY, default=None)

    def decide(self, unit: Unit) -> Decision:
        """One unit of type `python.distribution`."""
        version, package_type = unit.metadata["version"], unit.metadata["packageType"]
        reason = self._source.reason(version, unit.key) if self._source else None
        for judge in self._filters:
            reason = reason or judge.reason(version, unit.key, package_type)
        if reason:
            return Decision(unit, False, reason)
        return self._cooldown(unit)

    def _cooldown(self, unit: Unit) -> Decision:
        judge = self._longest
        if judge is None or judge.age is None:
            return Decision(unit, True)
        uploaded = upload_time(unit.metadata.get("uploadTime"))
        if uploaded is None:
            return Decision(unit, False, f"upload time unknown ({judge.cooldown})")
        try:
            eligible = uploaded + judge.age
        except OverflowError:  # upstream claims a time at the end of the calendar
            return Decision(unit, False, f"upload time unknown ({judge.cooldown})")
        if eligible <= self._now:
            return Decision(unit, True)
        shown = "%Y-%m-%d" if judge.age % _DAY == timedelta() else "%Y-%m-%d %H:%M"
        return Decision(unit, False, f"uploaded {uploaded:{shown}}, eligible {eligible:{shown}} ({judge.cooldown})", eligible)


class _SourceJudge:
    """`include` and `exclude` of the source."""

    def __init__(self, project: str, options: SelectionOptions) -> None:
        self._exclude = Matcher(options.excluded, project, prereleases=True)
        self._include = Matcher(options.included, project, prereleases=False) if options.included else None

    def reason(self, version: str, filename: str) -> str | None:
        rule = self._exclude.find(version, filename)
        if rule:
            return f'excluded by "{rule.text}"'
        if self._include and not self._include.find(version, filename):
            return NO_INCLUDE
        return None


class _FilterJudge:
    """One Filter, narrowed to one project. `age` is None where its cooldown does not concern the project."""

    def __init__(self, project: str, name: str, options: FilterOptions) -> None:
        self._name = name
        self._deny = Matcher(options.denied, project, prereleases=True)
        self._allow = Matcher(options.allowed, project, prereleases=False) if options.allowed else None
        self._package_types = options.package_types
        self.age = None if options.exempt.about(project) else options.min_age
        self.cooldown = f"{name}.minAge {_written(self.age)}" if self.age else ""

    def reason(self, version: str, filename: str, package_type: str) -> str | None:
        rule = self._deny.find(version, filename)
        if rule:
            return f'denied by "{rule.text}" ({self._name}.deny)'
        if self._allow and not self._allow.find(version, filename):
            return f"matches no allow ({self._name}.allow)"
        if self._package_types and package_type not in self._package_types:
            return f"package type {package_type} ({self._name}.packageTypes)"
        return None


def _written(age: timedelta) -> str:
    """`7d`, `36h`: in the largest unit that tells it exactly."""
    seconds = int(age.total_seconds())
    unit, length = next((unit, length) for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % length == 0)
    return f"{seconds // length}{unit}"


def upload_time(text: object) -> datetime | None:
    """ISO 8601 as upstream said it, in UTC; None when it is missing or cannot be read. Without a zone it is UTC (PEP 700)."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def removal_reason(unit: StoredUnit, options: Options | None) -> str:
    """Why a distribution goes that is no longer in: the source's own selection, else upstream."""
    if not isinstance(options, SelectionOptions):
        return "gone upstream"
    version = unit.metadata["version"]
    rule = Matcher(options.excluded, unit.group, prereleases=True).find(version, unit.key)
    if rule:
        return f'excluded by "{rule.text}"'
    if not options.included or Matcher(options.included, unit.group, prereleases=False).find(version, unit.key):
        return "gone upstream"
    rules = options.included.about(unit.group)
    if not rules:
        return "no longer matches an include"
    return "no longer matches include " + ", ".join(f'"{rule.text}"' for rule in rules)


def project_removal_reason(project: str, options: Options | None) -> str:
    """Why a project's status goes. It leaves with the last distribution too, and by what a filter may have put those out is not seen from here."""
    if isinstance(options, SelectionOptions):
        rule = options.excluded.whole_project(project)
        if rule:
            return f'excluded by "{rule.text}"'
        if options.included and not options.included.about(project):
            return "no longer matches an include"
    return "none of its distributions is left, or its status is active again"
