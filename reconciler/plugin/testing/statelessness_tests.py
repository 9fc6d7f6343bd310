"""Tests for state between calls, blocking calls, and a pure `select`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reconciler.plugin import ActiveFilter, ContentType, Unit
from reconciler.plugin.testing.base_tests import BaseTests, apply_or_skip
from reconciler.plugin.testing.plugin_modules import modules_of
from reconciler.plugin.testing.reproducibility import shifted_clock

SEED = 20  # of shuffling: every run tries the same orders


class StatelessnessTests(BaseTests):
    """Tests for state between calls, blocking calls, and a pure `select`."""

    def test_no_state_is_kept_between_calls(self, tmp_path: Path) -> None:
        """Syncs change no value in classes, modules and functions of the plugin."""
        changed = self._history(tmp_path).changed_state
        assert not changed, (
            f"{', '.join(changed)} changed during a sync: plugins keep no state between calls; use"
            " the scratchpad"
        )

    def test_no_call_object_is_kept(self, tmp_path: Path) -> None:
        """Call objects, conduits and plugin instances are not referenced after their call."""
        kept = self._history(tmp_path).kept_objects
        assert not kept, (
            f"after a sync there is still a reference to a stale {' and a stale '.join(kept)}:"
            " plugins keep nothing between calls, neither in an attribute of a class or module nor"
            " in the cache of a method"
        )

    def test_the_event_loop_is_not_blocked(self, tmp_path: Path) -> None:
        """The importer does not block the event loop."""
        blocked = self._history(tmp_path).blocked
        assert not blocked, (
            f"{'; '.join(blocked)}: use `await`, or run it in a thread by `asyncio.to_thread`"
        )

    def test_selection_is_pure(self, tmp_path: Path) -> None:
        """`select` decides the same each time, and changes no unit.

        It does so on any day, and for any order of units and filters.
        """
        with (
            self._sandbox(tmp_path) as sandbox,
            _recorded_selections(sandbox.subject.classes) as calls,
        ):
            apply_or_skip(sandbox)
            for change in sandbox.subject.changes:
                change(sandbox.subject.upstream)
                sandbox.plan()
        modules = modules_of(sandbox.subject)
        for call in calls:
            first = _decisions_of(call, call.units, call.filters)
            assert call.encoded == _encoded(call.units), (
                f"`select` of {call.name} changes the units of group `{call.group}`: return"
                " decisions, leave units as they are"
            )
            shuffled = list(call.units)
            random.Random(SEED).shuffle(shuffled)  # noqa: S311  # an order, no secret
            for units, filters in (
                (shuffled, call.filters),
                (list(reversed(call.units)), list(reversed(call.filters))),
            ):
                assert _decisions_of(call, units, filters) == first, (
                    f"`select` of {call.name} decides group `{call.group}` differently when units"
                    " or filters have another order: sort them"
                )
            with shifted_clock(modules):
                assert _decisions_of(call, call.units, call.filters) == first, (
                    f"`select` of {call.name} decides group `{call.group}` differently on another"
                    " day: use `now`, not the clock"
                )


class _SelectCall(NamedTuple):
    """One call of `select` by the core. `encoded`: the units as they were then."""

    cls: type[ContentType]
    group: str
    units: Sequence[Unit]
    options: Any
    filters: Sequence[ActiveFilter]
    now: datetime
    encoded: bytes

    @property
    def name(self) -> str:
        return f"`{self.cls.id}`"


@contextmanager
def _recorded_selections(classes: Sequence[type]) -> Iterator[list[_SelectCall]]:
    """Collect the calls of `select` of these classes within the block."""
    calls: list[_SelectCall] = []
    own = [(cls, vars(cls).get("select")) for cls in classes if issubclass(cls, ContentType)]
    for cls, _ in own:
        cls.select = _recording_select(cls, calls)  # type: ignore[method-assign]  # for as long as the block lasts
    try:
        yield calls
    finally:
        for cls, before in own:
            if before is None:
                del cls.select
            else:
                setattr(cls, "select", before)  # noqa: B010  # the class method itself


def _recording_select(cls: type[ContentType], calls: list[_SelectCall]) -> Any:
    original = cls.select

    def select(  # noqa: PLR0917  # plugin API 1.x
        _: type,
        group: str,
        units: Sequence[Unit],
        options: Any,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Any:
        calls.append(
            _SelectCall(cls, group, list(units), options, list(filters), now, _encoded(units))
        )
        return original(group, units, options, filters, now)

    return classmethod(select)


def _encoded(units: Sequence[Unit]) -> bytes:
    return msgspec.json.encode(units)


def _decisions_of(
    call: _SelectCall, units: Sequence[Unit], filters: Sequence[ActiveFilter]
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
