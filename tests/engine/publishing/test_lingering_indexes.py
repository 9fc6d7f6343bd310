"""Index files that linger: gone at once when a rule takes away a unit that their index lists.

Kind: a rule about one unit that ends what shows nothing of it, or leaves what does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Digest
from reconciler.plugin import IndexFile, PublishConduit
from tests.engine.publishing.withheld import declare, two_groups
from tests.support.rehearsal import Rehearsal, publication


def open_all(conduit: PublishConduit) -> None:
    for name in conduit.changed_groups():
        with conduit.group(name):
            pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    """An index for each of two groups, which a change has dropped both."""
    with two_groups(tmp_path) as site:
        site.server_keeps_time = True
        site.script.on_publish = open_all
        cls: Any = site.registry.publisher("lines").cls
        methods: dict[str, Any] = {
            "indexes_of": lambda cls, unit, options: [unit.group],
            "entry_of": lambda cls, unit, index, options: f"{unit.key}\n".encode(),
            "index_file": lambda cls, name, options: IndexFile(
                f"{name}/list", by_digest=(f"{name}/by-hash/{{sha256}}",)
            ),
        }
        for name, method in methods.items():
            monkeypatch.setattr(cls, name, classmethod(method))
        declare(site, publication())
        site.applied()
        site.says("a", site.file("one"), validator="2")
        site.says("b", site.file("three"), site.file("six"), validator="2")
        site.applied()
        yield site


def lingers(site: Rehearsal, folder: str, body: str) -> bool:
    [answer] = site.get(f"/team/{folder}/by-hash/{Digest.of(body.encode()).hex}")
    assert (answer.status, answer.text) in ((200, body), (404, answer.text))
    return answer.status == 200


def test_a_rule_ends_the_files_of_indexes_that_list_the_unit(site: Rehearsal) -> None:
    """Those of another index show nothing of it, and stay."""
    assert lingers(site, "a", "one\ntwo\n")
    assert lingers(site, "b", "three\n")
    declare(site, publication(), deny="two")
    site.applied()
    assert not lingers(site, "a", "one\ntwo\n")
    assert lingers(site, "b", "three\n")


def test_a_file_that_is_still_shown_by_another_version_goes_with_its_unit(site: Rehearsal) -> None:
    declare(site, publication(), deny="three")
    site.applied()
    assert not lingers(site, "b", "three\n")
    assert lingers(site, "a", "one\ntwo\n")


@pytest.mark.parametrize("changed", ["revision", "fault"])
def test_files_of_indexes_go_where_nobody_can_tell_what_they_list(
    site: Rehearsal, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher was another one then, or does not know the unit any more."""
    cls: Any = site.registry.publisher("lines").cls
    before = cls.indexes_of

    def unsure(cls: Any, unit: Any, options: Any) -> Any:
        if unit.key == "two":
            raise KeyError(unit.key)
        return before(unit, options)

    if changed == "revision":
        monkeypatch.setattr(cls, "revision", 7)
    else:
        monkeypatch.setattr(cls, "indexes_of", classmethod(unsure))
    declare(site, publication(), deny="two")
    site.applied()
    assert not lingers(site, "a", "one\ntwo\n")
    assert not lingers(site, "b", "three\n")
