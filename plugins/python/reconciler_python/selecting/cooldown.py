"""`minAge`: recent uploads wait, and as asked what was first seen of late.

It applies when nothing permanent keeps the file out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.plugin import Decision, TraceStep, Unit
from reconciler_python.matching.rules import Matcher
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.upload_times import MinAge
from reconciler_python.reading.upload_times import upload_time
from reconciler_python.selecting.checks import Scope

FIRST_SEEN = "_firstSeen"  # as the core says it of units that are `needs_first_seen`
_DAY = timedelta(days=1)


class _Wait(NamedTuple):
    """The cooldown of one filter, narrowed to one project."""

    scope: Scope
    min_age: MinAge
    exempt: Matcher

    @property
    def rule(self) -> str:
        return f"{self.scope.key('minAge')} {_written(self.min_age.age)}"


class Cooldown:
    """The cooldowns of several filters, for one project. `now` is aware; times are compared in UTC.

    Of those that concern a file the longest counts: until it ends, the answer stays the same.
    """

    def __init__(
        self, project: str, filters: Sequence[tuple[Scope, FilterOptions]], now: datetime
    ) -> None:
        self._now = now
        self._waits = [
            _Wait(scope, options.min_age, Matcher(options.exempt, project, prereleases=True))
            for scope, options in filters
            if options.min_age
        ]
        self._waits.sort(key=lambda wait: -wait.min_age.age)
        self._asked = [wait for wait in self._waits if not wait.exempt.always]

    def __bool__(self) -> bool:
        """Return True if a cooldown concerns the project."""
        return bool(self._asked)

    def decide(self, unit: Unit) -> Decision:
        """Return the decision about one file.

        An unknown time is another thing than a recent one, and is the same for every file: it is
        counted by its own words.
        """
        for wait in self._asked:
            if wait.exempt.find(unit.metadata["version"], unit.key) is None:
                reason, eligible = self._word(unit, wait)
                if reason is not None:
                    rule = reason if eligible is None else wait.rule
                    return Decision(unit, False, reason, eligible, rule)
        return Decision(unit, True)

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        """Yield the step of each cooldown, the longest first."""
        for wait in self._waits:
            exempt = wait.exempt.find(unit.metadata["version"], unit.key)
            if exempt is not None:
                yield wait.scope.step(
                    True,
                    f'exempt from minAge by "{exempt.text}" ({wait.scope.name}.minAgeExempt)',
                    "minAgeExempt",
                    exempt.index,
                )
            else:
                reason, _ = self._word(unit, wait)
                yield wait.scope.step(reason is None, reason or self._passing(unit, wait), "minAge")

    def _word(self, unit: Unit, wait: _Wait) -> tuple[str | None, datetime | None]:
        """Return why the file waits, and until when; (None, None) if it does not."""
        allowed = wait.min_age.unknown == "allow"
        unknown = None if allowed else f"upload time unknown ({wait.rule})"
        verb, since = self._since(unit, wait)
        if since is None:
            return unknown, None
        try:
            eligible = since + wait.min_age.age
        except OverflowError:  # upstream claims a time at the end of the calendar
            return unknown, None
        if eligible <= self._now:
            return None, None
        shown = "%Y-%m-%d" if wait.min_age.age % _DAY == timedelta() else "%Y-%m-%d %H:%M"
        return (
            f"{verb} {since:{shown}}, eligible {eligible:{shown}} ({wait.rule})",
            eligible,
        )

    def _since(self, unit: Unit, wait: _Wait) -> tuple[str, datetime | None]:
        """Return from when the age of a file counts, None if unknown, and what happened then.

        Without a record of it, a file is seen now.
        """
        uploaded = upload_time(unit.metadata.get("uploadTime"))
        if uploaded is not None or wait.min_age.unknown != "firstSeen":
            return "uploaded", uploaded
        return "first seen", upload_time(unit.metadata.get(FIRST_SEEN)) or self._now

    def _passing(self, unit: Unit, wait: _Wait) -> str:
        verb, since = self._since(unit, wait)
        if since is None:
            return f"upload time unknown, allowed ({wait.scope.key('minAge')})"
        return f"{verb} {since:%Y-%m-%d} ({wait.rule})"


def _written(age: timedelta) -> str:
    """Return `7d` or `36h`: in the largest unit that is exact."""
    seconds = int(age.total_seconds())
    unit, length = next(
        (unit, length)
        for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
        if seconds % length == 0
    )
    return f"{seconds // length}{unit}"
