"""The record of a closure: it fits into a scratchpad, and a broken one is none."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler_python.dependencies.dependency_record import DependencyRecord, dependents


class Pads:
    """The notes of a call, within the core's own limits."""

    url = "https://index.example.org/simple/"

    def __init__(self, recorded: Any = None) -> None:
        self._session = ScratchpadSession(lambda owner: recorded)

    def get_scratchpad(self) -> Any:
        return self._session.get("importer:python")

    def set_scratchpad(self, value: Any) -> None:
        self._session.set("importer:python", value)


def record(pads: Pads) -> DependencyRecord:
    conduit: Any = pads
    return DependencyRecord(conduit)


def kept(pads: Pads, missing: list[str], declared: frozenset[str] = frozenset()) -> list[str]:
    return [group.name for group in record(pads).kept_groups(missing, declared)]


def chain(count: int, width: int) -> dict[str, set[str]]:
    """Each project is required by `width` before it."""
    return {
        f"project-number-{number}": {
            f"project-number-{before}" for before in range(max(0, number - width), number)
        }
        for number in range(count)
    }


def test_a_closure_of_ten_thousand_projects_can_be_recorded() -> None:
    """The note is bounded, and what goes into it must not fail a whole source."""
    pads, requirers = Pads(), chain(10_000, 12)
    record(pads).write(requirers)
    assert kept(pads, ["project-number-9990"]) == [
        f"project-number-{number}" for number in range(9991, 10_000)
    ]


def test_what_is_too_much_is_not_recorded_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reconciler.engine.plugin_calls.scratchpads.LIMIT", 1000)
    pads = Pads()
    record(pads).write({"b": {"a"}})
    record(pads).write(chain(1000, 3))
    assert kept(pads, ["a"]) == ["b"]


@pytest.mark.parametrize("noted", ["text", {"dependencies": {Pads.url: "no base85 \n"}}, [1]])
def test_a_note_that_cannot_be_read_is_none(noted: Any) -> None:
    pads = Pads(noted)
    assert kept(pads, ["a"]) == []
    record(pads).write({"b": {"a"}, "c": {"b"}})
    assert kept(pads, ["a"]) == ["b", "c"]
    assert kept(pads, ["a"], frozenset({"b"})) == ["c"]


def test_dependents_of_a_cycle() -> None:
    assert dependents(["a"], {"a": {"b"}, "b": {"a", "c"}}) == {"a", "b", "c"}
