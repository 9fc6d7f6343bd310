"""Recorded resources replace manifests; invalid ones are left out and named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.manifest import read, read_recorded
from reconciler.model import ActualResource, ActualState, DesiredState, Kind, Ref
from reconciler.plugin import PluginCallConfiguration
from reconciler.plugin.registry import Registry
from tests.manifest.conftest import ANYWHERE, GOLDEN
from tests.manifest.test_manifest_overrides import forest, trees
from tests.support import quotes
from tests.support.source import ROOT

EXAMPLES = sorted((ROOT / "manifests").glob("*.yaml"))


def records(state: DesiredState, folder: Path | str) -> ActualState:
    """Return the resources as the database does: specifications through JSON."""
    resources = [
        ActualResource(
            resource.meta.ref,
            resource.meta.labels,
            resource.meta.annotations,
            msgspec.json.decode(msgspec.json.encode(resource.spec)),
            folder=str(folder),
        )
        for resource in state
    ]
    return ActualState({resource.ref: resource for resource in resources})


def meaning(value: Any) -> Any:
    """Return a state as plain data for comparison, without places."""
    if isinstance(value, PluginCallConfiguration):
        return [dict(value.override), dict(value.repository), dict(value.plugin)]
    if isinstance(value, msgspec.Struct):
        return [
            type(value).__name__,
            *(
                meaning(getattr(value, name))
                for name in value.__struct_fields__
                if name != "origin"
            ),
        ]
    if isinstance(value, dict):
        return {key: meaning(inner) for key, inner in value.items()}
    return [meaning(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def without(actual: ActualState, *refs: Ref) -> ActualState:
    return ActualState(
        {ref: resource for ref, resource in actual.resources.items() if ref not in refs}
    )


def changed(actual: ActualState, ref: Ref, spec: dict[str, Any]) -> ActualState:
    return ActualState(
        {**actual.resources, ref: msgspec.structs.replace(actual.resources[ref], spec=spec)}
    )


def names(refs: Iterable[Ref]) -> list[str]:
    return sorted(map(str, refs))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_comes_back_from_its_records_as_it_was_read(path: Path) -> None:
    state = read([path], Registry())
    again = read_recorded(records(state, path.parent), Registry())
    assert again.faults == {}
    assert meaning(again.desired) == meaning(state)
    assert again.desired.digest == state.digest


def test_everything_that_manifests_can_say_comes_back() -> None:
    assert EXAMPLES
    state = read([GOLDEN / "sound.yaml"], quotes.registry(), limits=ANYWHERE)
    again = read_recorded(records(state, GOLDEN), quotes.registry())
    assert again.faults == {}
    assert meaning(again.desired) == meaning(state)


def test_fractions_and_the_plugin_level_come_back(tmp_path: Path) -> None:
    registry = trees({"required": "everywhere", "leaves": ["a"]}, {"depth": 5})
    state = forest(
        tmp_path, registry, "{upload: {share: 0.125, leaves: []}}", publication=", depth: 1"
    )
    again = read_recorded(records(state, tmp_path), registry)
    assert again.faults == {}
    assert meaning(again.desired) == meaning(state)
    assert again.desired.repositories["it"].sources[0].options.share == 0.125


def test_resources_of_a_plugin_that_is_gone_are_left_out_with_the_reason() -> None:
    state = read([GOLDEN / "sound.yaml"], quotes.registry(), limits=ANYWHERE)
    again = read_recorded(records(state, GOLDEN), trees())
    assert list(again.desired) == []
    assert names(again.faults) == names(resource.meta.ref for resource in state)
    (fault,) = again.faults[Ref(Kind.REPOSITORY, "team")]
    assert str(fault.origin) == "repository/team:1:1"
    assert "no installed plugin provides the importer `quotes`" in fault.message


def test_rules_that_cannot_be_read_are_not_taken_for_no_rules() -> None:
    state = read([GOLDEN / "sound.yaml"], quotes.registry(), limits=ANYWHERE)
    broken = changed(
        records(state, GOLDEN),
        Ref(Kind.FILTER, "house-rules"),
        {"type": "quotes", "global": True, "denied": ["q1"]},
    )
    again = read_recorded(broken, quotes.registry())
    assert names(resource.meta.ref for resource in again.desired) == [
        "filter/nothing",
        "remote/disk",
        "remote/famous",
        "remote/far",
    ]
    assert [fault.message for fault in again.faults[Ref(Kind.REPOSITORY, "team")]] == [
        "`filter/house-rules` cannot be understood any more"
    ]
    assert [fault.message for fault in again.faults[Ref(Kind.PUBLICATION, "team")]] == [
        "`repository/team` cannot be understood any more"
    ]


def test_what_copies_from_a_repository_goes_with_it_and_the_rest_stays() -> None:
    state = read([GOLDEN / "sound.yaml"], quotes.registry(), limits=ANYWHERE)
    again = read_recorded(
        without(records(state, GOLDEN), Ref(Kind.REMOTE, "disk")), quotes.registry()
    )
    assert names(again.faults) == [
        "publication/newest",
        "publication/team",
        "repository/base",
        "repository/team",
    ]
    assert [fault.message for fault in again.faults[Ref(Kind.REPOSITORY, "base")]] == [
        "`spec.sources[0].remote.name`: unknown Remote `disk`"
    ]
    assert sorted(again.desired.filters) == ["house-rules", "nothing"]


def test_a_relative_path_is_not_guessed_where_the_folder_is_not_known() -> None:
    state = read([GOLDEN / "sound.yaml"], quotes.registry(), limits=ANYWHERE)
    again = read_recorded(records(state, ""), quotes.registry())
    assert (
        "is relative to a folder that was not recorded"
        in again.faults[Ref(Kind.REMOTE, "disk")][0].message
    )
    assert "far" in again.desired.remotes, "an absolute path needs no folder"


def test_a_fault_of_the_plugin_level_leaves_out_everything_that_uses_it(tmp_path: Path) -> None:
    state = forest(tmp_path, trees())
    again = read_recorded(records(state, tmp_path), trees({"leaves": 3}))
    assert names(again.faults) == ["publication/it", "repository/it"]
