"""`minAge`: recent uploads wait.

It applies when nothing permanent keeps the file out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from reconciler.plugin import Decision, Step, Unit
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.selecting.checks import Scope

_DAY = timedelta(days=1)


class Cooldown:
    """The cooldowns of several filters, for one project. `now` is aware; times are compared in UTC.

    The longest counts: until it ends, the answer stays the same.
    """

    def __init__(
        self, project: str, filters: Sequence[tuple[Scope, FilterOptions]], now: datetime
    ) -> None:
        self._project = project
        self._now = now
        written = [
            (scope, options, options.min_age) for scope, options in filters if options.min_age
        ]
        written.sort(key=lambda item: -item[2])
        self._written = [(scope, options) for scope, options, _ in written]
        waiting = [
            (scope, age)
            for scope, options, age in written
            if not options.exempt.for_project(project)
        ]
        self._longest = waiting[0] if waiting else None

    def __bool__(self) -> bool:
        """Return True if a cooldown concerns the project."""
        return self._longest is not None

    def decide(self, unit: Unit) -> Decision:
        if self._longest is None:
            return Decision(unit, True)
        scope, age = self._longest
        reason, eligible = self._word(unit, scope, age)
        if reason is None:
            return Decision(unit, True)
        # An unknown time is another thing than a recent one, and is the same for every file: it is
        # counted by its own words.
        return Decision(
            unit, False, reason, eligible, _rule(scope, age) if eligible is not None else reason
        )

    def steps(self, unit: Unit) -> Iterator[Step]:
        """Yield the step of each cooldown, the longest first."""
        for scope, options in self._written:
            exempt = options.exempt.for_project(self._project)
            if exempt:
                yield scope.step(
                    True,
                    f'exempt from minAge by "{exempt[0].text}" ({scope.name}.minAgeExempt)',
                    "minAgeExempt",
                    exempt[0].index,
                )
            elif options.min_age is not None:
                reason, _ = self._word(unit, scope, options.min_age)
                uploaded = upload_time(unit.metadata.get("uploadTime"))
                yield scope.step(
                    reason is None,
                    reason or f"uploaded {uploaded:%Y-%m-%d} ({_rule(scope, options.min_age)})",
                    "minAge",
                )

    def _word(self, unit: Unit, scope: Scope, age: timedelta) -> tuple[str | None, datetime | None]:
        """Return why the file waits, and until when; (None, None) if it does not."""
        unknown = f"upload time unknown ({_rule(scope, age)})"
        uploaded = upload_time(unit.metadata.get("uploadTime"))
        if uploaded is None:
            return unknown, None
        try:
            eligible = uploaded + age
        except OverflowError:  # upstream claims a time at the end of the calendar
            return unknown, None
        if eligible <= self._now:
            return None, None
        shown = "%Y-%m-%d" if age % _DAY == timedelta() else "%Y-%m-%d %H:%M"
        return (
            f"uploaded {uploaded:{shown}}, eligible {eligible:{shown}} ({_rule(scope, age)})",
            eligible,
        )


def upload_time(text: object) -> datetime | None:
    """Return a time of ISO 8601 in UTC; None when it is missing or cannot be read.

    Without a zone it is UTC (PEP 700).
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _rule(scope: Scope, age: timedelta) -> str:
    return f"{scope.key('minAge')} {_written(age)}"


def _written(age: timedelta) -> str:
    """Return `7d` or `36h`: in the largest unit that is exact."""
    seconds = int(age.total_seconds())
    unit, length = next(
        (unit, length)
        for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
        if seconds % length == 0
    )
    return f"{seconds // length}{unit}"
