"""Is anything kept between calls, does anything wait that should not, does `select` decide by what
it is given?
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reconciler.plugin import ActiveFilter, ContentType, Unit
from reconciler.plugin.testing.elsewhere import another_day
from reconciler.plugin.testing.examination import Examination, applied
from reconciler.plugin.testing.modules import own_modules

SEED = 20  # of the orders in which units are shuffled: every run tries the same ones


class Keeping(Examination):
    """Tests of what a plugin's code does beside its task."""

    def test_nothing_is_remembered_between_calls(self, tmp_path: Path) -> None:
        """Classes, modules and functions of the plugin are after all syncs what they were before
        them.
        """
        changed = self._history(tmp_path).remembered
        assert not changed, (
            f"{', '.join(changed)} changed during a sync: plugins keep no state between calls; note"
            " it in the scratchpad"
        )

    def test_no_conduit_is_kept(self, tmp_path: Path) -> None:
        """Once a call has returned nobody holds its call object, its conduit or the plugin's
        instance any more.
        """
        kept = self._history(tmp_path).kept
        assert not kept, (
            f"after a sync somebody still holds a stale {' and a stale '.join(kept)}: plugins keep"
            " nothing between calls, neither in an attribute of a class or module nor in a cache"
            " of a method"
        )

    def test_the_event_loop_is_not_blocked(self, tmp_path: Path) -> None:
        """While the importer waits, others can work."""
        blocked = self._history(tmp_path).blocked
        assert not blocked, (
            f"{'; '.join(blocked)}: await, or move the work into a thread with `asyncio.to_thread`"
        )

    def test_selection_is_pure(self, tmp_path: Path) -> None:
        """`select` decides the same twice, in whatever order units and filters come, on any day,
        and alters nothing.
        """
        with self._trial(tmp_path) as trial, _listening(trial.subject.classes) as calls:
            applied(trial)
            for change in trial.subject.changes:
                change(trial.subject.upstream)
                trial.plan()
        modules = own_modules(trial.subject)
        for call in calls:
            first = _decided(call, call.units, call.filters)
            assert call.known == _known(call.units), (
                f"`select` of {call.name} alters the units of group `{call.group}`: return"
                " decisions, leave units as they are"
            )
            shuffled = list(call.units)
            random.Random(SEED).shuffle(shuffled)  # noqa: S311  # an order, no secret
            for units, filters in (
                (shuffled, call.filters),
                (list(reversed(call.units)), list(reversed(call.filters))),
            ):
                assert _decided(call, units, filters) == first, (
                    f"`select` of {call.name} decides group `{call.group}` differently when units"
                    " or filters come in another order: sort them"
                )
            with another_day(modules):
                assert _decided(call, call.units, call.filters) == first, (
                    f"`select` of {call.name} decides group `{call.group}` differently on another"
                    " day: ask `now`, not the clock"
                )


class _Call(NamedTuple):
    """What the core asked, and of which content type. `known`: the units as they were then."""

    cls: type[ContentType]
    group: str
    units: Sequence[Unit]
    options: Any
    filters: Sequence[ActiveFilter]
    now: datetime
    known: bytes

    @property
    def name(self) -> str:
        return f"`{self.cls.id}`"


@contextmanager
def _listening(classes: Sequence[type]) -> Iterator[list[_Call]]:
    """Within the block, what `select` of these classes is asked comes together in the list."""
    calls: list[_Call] = []
    own = [(cls, vars(cls).get("select")) for cls in classes if issubclass(cls, ContentType)]
    for cls, _ in own:
        cls.select = _recording(cls, calls)  # type: ignore[method-assign]  # for as long as the block lasts
    try:
        yield calls
    finally:
        for cls, before in own:
            if before is None:
                del cls.select
            else:
                setattr(cls, "select", before)  # noqa: B010  # a class method, as it lay there


def _recording(cls: type[ContentType], calls: list[_Call]) -> Any:
    true = cls.select

    def select(
        asked: type,
        group: str,
        units: Sequence[Unit],
        options: Any,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Any:
        calls.append(_Call(cls, group, list(units), options, list(filters), now, _known(units)))
        return true(group, units, options, filters, now)

    return classmethod(select)


def _known(units: Sequence[Unit]) -> bytes:
    return msgspec.json.encode(units)


def _decided(
    call: _Call, units: Sequence[Unit], filters: Sequence[ActiveFilter]
) -> Mapping[tuple[str, str], tuple[bool, str, datetime | None]]:
    decisions = call.cls.select(call.group, units, call.options, filters, call.now)
    return {
        (decision.unit.type, decision.unit.key): (
            decision.accepted,
            decision.reason,
            decision.reconsider_at,
        )
        for decision in decisions
    }
