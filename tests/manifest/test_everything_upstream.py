"""A source of an index of strangers says in words that it takes everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.errors import Fault, ManifestFaults
from reconciler.manifest import read
from reconciler.manifest.document import ManifestText, Unplaced
from reconciler.manifest.plugin_lookup import Plugins
from reconciler.manifest.resources import declaration
from reconciler.model import DesiredState
from reconciler.plugin.registry import Registry

SITE = """\
apiVersion: reconciler/v1
kind: Remote
metadata: {{name: up}}
spec: {{type: {type}, url: "https://index.example.org/simple/"}}
---
apiVersion: reconciler/v1
kind: Repository
metadata: {{name: team}}
spec:
  type: {type}
  sources:
    - remote:
        name: up
        {keys}
"""


def state(
    folder: Path, keys: str, type: str = "python", overrides: Sequence[str] = ()
) -> DesiredState:
    (folder / "m.yaml").write_text(SITE.format(type=type, keys=keys), encoding="utf-8")
    return read([folder / "m.yaml"], Registry(), overrides=overrides)


def fault(folder: Path, keys: str, type: str = "python", overrides: Sequence[str] = ()) -> Fault:
    with pytest.raises(ManifestFaults) as refused:
        state(folder, keys, type, overrides)
    (refused_one,) = refused.value.faults
    return refused_one


@pytest.mark.parametrize(
    "keys", ["", "exclude: [a]", "filter: {yanked: drop}", "everything: false"]
)
def test_a_source_that_selects_by_no_key_does_not_take_an_index_in_silence(
    tmp_path: Path, keys: str
) -> None:
    """Kind: what is left out means everything."""
    refused_one = fault(tmp_path, keys)
    assert refused_one.message == "`spec.sources[0].remote` does not say what to take"
    assert refused_one.hint is not None
    assert "`everything: true`" in refused_one.hint


@pytest.mark.parametrize(
    "keys",
    [
        "include: [a]",
        "files: [{name: a}]",
        "everything: true",
        "everything: true\n        exclude: [a]\n        filter: {yanked: drop}",
    ],
)
def test_the_word_stands_beside_what_narrows(tmp_path: Path, keys: str) -> None:
    (source,) = state(tmp_path, keys).repositories["team"].sources
    assert source.spec["remote"].get("everything", False) is ("everything" in keys)


@pytest.mark.parametrize("key", ["include: [a]", "files: [{name: a}]"])
def test_everything_and_a_part_contradict_each_other(tmp_path: Path, key: str) -> None:
    refused_one = fault(tmp_path, f"everything: true\n        {key}")
    assert refused_one.message.startswith("`spec.sources[0].remote` has both `everything` and `")


def test_files_that_an_author_lists_need_no_word(tmp_path: Path) -> None:
    assert state(tmp_path, "", "file").repositories["team"].sources
    refused_one = fault(tmp_path, "everything: true", "file")
    assert refused_one.hint == "leave it out"


def test_an_override_does_not_open_a_source_to_everything(tmp_path: Path) -> None:
    refused_one = fault(tmp_path, "include: [a]", overrides=["repository/team.include=null"])
    assert refused_one.message == "`repository/team`: the remote `up` would take everything"


def test_what_an_earlier_release_recorded_is_still_understood() -> None:
    """Kind: a stricter rule for manifests makes the recorded state unreadable."""

    class Recorded(Unplaced):
        floats_as_text = True

    value = {
        "apiVersion": "reconciler/v1",
        "kind": "Repository",
        "metadata": {"name": "team"},
        "spec": {"type": "python", "sources": [{"remote": {"name": "up"}}]},
    }
    faults: list[Fault] = []
    recorded = Recorded(ManifestText("repository/team", "", ""), 0, value, None)
    assert declaration(recorded, Plugins(Registry()), faults) is not None
    assert faults == []
