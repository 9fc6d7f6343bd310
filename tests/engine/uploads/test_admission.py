"""Who may upload under a name, and what plugins may make of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.database import WITHDRAWN, CommittedGroup
from reconciler.engine.sources.source_responses import GONE, REFUSED
from reconciler.engine.uploads.admission import check_owner
from reconciler.engine.uploads.plugin_results import (
    placed_units,
    removed_units,
    upload_faults,
)
from reconciler.engine.uploads.upload_target import UploadTarget
from reconciler.errors import Conflict, PluginFault, Refused
from reconciler.model import Digest, StoredUnit
from reconciler.plugin import Artifact, Unit, UploadedFile

SHA, OTHER = "ab" * 32, "cd" * 32
FILE = UploadedFile("one.txt", Path("one.txt"), 3, SHA)


@dataclass
class Target:
    """The parts of an upload target that the owner of a name is decided by."""

    sources: Sequence[str]
    committed: dict[str, str | None] = field(default_factory=dict)  # source -> validator
    source: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(reserved=()))
    shared: bool = False
    name: str = "team"

    @property
    def repository(self) -> Any:
        return SimpleNamespace(sources=[SimpleNamespace(id=source) for source in self.sources])

    @property
    def importer_class(self) -> Any:
        return SimpleNamespace(shared_groups=self.shared)

    actual = SimpleNamespace(id=7)

    @property
    def writer(self) -> Any:
        return self

    def committed_group(self, repository_id: int, source: str, name: str) -> CommittedGroup | None:
        assert (repository_id, name) == (7, "lib")
        if source not in self.committed:
            return None
        return CommittedGroup(name, self.committed[source], Digest.of(b""))


def owner(target: Target) -> str | None:
    """Return the source that the refusal names, None where the upload may go on."""
    try:
        check_owner(cast(UploadTarget, target), "lib")
    except Conflict as error:
        return error.message.removeprefix("`lib` belongs to ").partition(" in ")[0]
    return None


@pytest.mark.parametrize("validator", ["1", None, REFUSED, WITHDRAWN])
def test_a_name_of_a_source_before_uploads_is_not_taken(validator: str | None) -> None:
    target = Target(("remote:up", "upload"), {"remote:up": validator})
    assert owner(target) == "remote:up"


@pytest.mark.parametrize(
    "target",
    [
        Target(("remote:up", "upload")),
        Target(("remote:up", "upload"), {"remote:up": GONE}),
        Target(("upload", "remote:up"), {"remote:up": "1"}),
        Target(("remote:up", "upload"), {"remote:up": "1"}, shared=True),
    ],
)
def test_any_other_name_is_free(target: Target) -> None:
    assert owner(target) is None


def test_the_first_of_several_owners_is_named() -> None:
    committed: dict[str, str | None] = {"remote:up": GONE, "remote:down": "1", "remote:last": "1"}
    assert owner(Target(("remote:up", "remote:down", "remote:last", "upload"), committed)) == (
        "remote:down"
    )


def unit(key: str = "one", *artifacts: Artifact) -> Unit:
    return Unit("lines.line", key, {}, list(artifacts or [Artifact("one.txt", SHA, 3)]))


def stored(key: str) -> StoredUnit:
    return StoredUnit(group="a", type="t", key=key, metadata={}, artifacts=[])


def is_sent(group: str, sha256: str) -> bool:
    return sha256 == FILE.sha256


def test_units_of_a_file_are_gathered_by_group() -> None:
    placed = [("a", unit("one")), ("b", unit("two")), ("a", unit("three"))]
    groups = placed_units(placed, is_sent)
    assert {name: [unit.key for unit in units] for name, units in groups.items()} == {
        "a": ["one", "three"],
        "b": ["two"],
    }


@pytest.mark.parametrize("placed", [None, 5, [unit()], [("a", "b")], [(1, unit())], [("a",)]])
def test_anything_but_pairs_is_a_fault_of_the_plugin(placed: Any) -> None:
    with pytest.raises(PluginFault, match=r"\(group, unit\) pairs"):
        placed_units(placed, is_sent)


def test_a_file_brings_no_bytes_but_its_own_and_what_is_within_it() -> None:
    within = Artifact("meta", OTHER, 1, within="METADATA")
    assert placed_units([("a", unit("one", within))], is_sent)
    with pytest.raises(PluginFault, match="is not the file that was sent"):
        placed_units([("a", unit("one", Artifact("other", OTHER, 1)))], is_sent)


def test_a_file_does_not_become_units_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.uploads.plugin_results.MAX_UNITS", 3)

    def endless() -> Iterable[tuple[str, Unit]]:
        number = 0
        while True:
            number += 1
            yield "a", unit(str(number))

    with pytest.raises(PluginFault, match="more than 3 units"):
        placed_units(endless(), is_sent)
    with pytest.raises(PluginFault, match="at most 3"):
        removed_units(stored(str(number)) for number in range(4))


def test_what_leaves_is_gathered_by_group() -> None:
    leaving = removed_units([stored("1"), stored("2")])
    assert leaving == {"a": {("t", "1"), ("t", "2")}}
    with pytest.raises(PluginFault, match="units that the repository holds"):
        removed_units([unit()])


def test_a_message_for_the_uploader_passes_and_others_name_the_call() -> None:
    with pytest.raises(Refused, match="not this one"), upload_faults("`upload`"):
        raise Refused("not this one")
    expected = "`upload` failed: ZeroDivisionError"
    with pytest.raises(PluginFault, match=expected), upload_faults("`upload`"):
        raise ZeroDivisionError
