"""VersionView: what a publisher sees of a version of which units are withheld."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from reconciler.database import Reader, WithheldUnit
from reconciler.engine.publishing import version_view
from reconciler.engine.publishing.version_view import (
    RepositoryVersion,
    VersionView,
    WithheldUnits,
    withheld_units,
)
from reconciler.model import Digest, StoredArtifact, StoredUnit

VERSION = RepositoryVersion(7, 3, Digest.of(b"version"))
TYPE = "test.file"
CONTENT = {"alpha": ["one", "two"], "beta": ["three"], "gamma": ["four"]}


class FakeReader:
    """Version 3 of repository 7 holds CONTENT; `gamma` differs from version 2."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.derives = False

    def group_names(self, repository_id: int, number: int) -> Iterator[str]:
        assert (repository_id, number) == (7, 3)
        return iter(CONTENT)

    def changed_groups(self, repository_id: int, before: int, number: int) -> Iterator[str]:
        assert (repository_id, before, number) == (7, 2, 3)
        return iter(["gamma"])

    def derived_artifacts(
        self, repository_id: int, number: int, groups: Collection[str]
    ) -> dict[tuple[str, str, str], dict[str, StoredArtifact | None]]:
        key = ("alpha", TYPE, "file")
        return {key: {"made": StoredArtifact("made", "0" * 64, 3)}} if self.derives else {}

    def units(
        self, repository_id: int, number: int, groups: Collection[str]
    ) -> dict[str, list[StoredUnit]]:
        if groups:
            self.reads.append(sorted(groups))
        return {
            group: [
                StoredUnit(artifacts=[], group=group, key=key, metadata={}, type=TYPE)
                for key in CONTENT[group]
            ]
            for group in groups
            if group in CONTENT
        }


def view(
    reader: FakeReader | None = None,
    *,
    before: int | None = None,
    changed: Collection[str] = (),
    **withheld: Collection[str],
) -> VersionView:
    units = {group: frozenset((TYPE, key) for key in keys) for group, keys in withheld.items()}
    return VersionView(
        cast("Reader", reader or FakeReader()),
        VERSION,
        before=before,
        withheld=WithheldUnits(units, frozenset(changed)),
    )


def keys(view: VersionView, group: str) -> list[str]:
    return [unit.key for unit in view.units(group)]


def test_withheld_units_are_left_out() -> None:
    shown = view(alpha=["one"])
    assert [keys(shown, group) for group in CONTENT] == [["two"], ["three"], ["four"]]
    assert keys(shown, "unknown") == []


def test_a_unit_of_the_same_key_and_another_type_stays() -> None:
    withheld = WithheldUnits({"beta": frozenset({("test.page", "three")})})
    shown = VersionView(cast("Reader", FakeReader()), VERSION, before=None, withheld=withheld)
    assert keys(shown, "beta") == ["three"]


def test_a_group_of_which_everything_is_withheld_is_not_there() -> None:
    shown = view(alpha=["one"], beta=["three"])
    assert list(shown.groups()) == ["alpha", "gamma"]


def test_a_first_rendering_takes_every_group() -> None:
    assert list(view().changed_groups()) == ["alpha", "beta", "gamma"]


def test_a_later_rendering_takes_what_the_version_or_the_withholding_changed() -> None:
    assert list(view(before=2).changed_groups()) == ["gamma"]
    emptied = view(before=2, changed=["beta"], beta=["three"])
    assert list(emptied.changed_groups()) == ["beta", "gamma"], "its page has to go"


def test_groups_are_read_ahead_in_batches() -> None:
    reader = FakeReader()
    shown = view(reader)
    for name in shown.read_changed():
        assert keys(shown, name) == CONTENT[name]
    assert len(CONTENT) < version_view.READ_AHEAD
    assert reader.reads == [["alpha", "beta", "gamma"]]


def test_groups_with_another_withholding_than_before_are_changed() -> None:
    def withheld(group: str, key: str, reason: str = "denied") -> dict[Digest, WithheldUnit]:
        digest = Digest.of(f"{group}/{key}".encode())
        return {digest: WithheldUnit(group, TYPE, key, digest, reason)}

    kept = withheld("alpha", "one")
    now = kept | withheld("beta", "three")
    before = withheld("alpha", "one", "denied for another reason") | withheld("gamma", "four")
    units = withheld_units(now, before)
    assert units.units == {
        "alpha": frozenset({(TYPE, "one")}),
        "beta": frozenset({(TYPE, "three")}),
    }
    assert units.changed_groups == {"beta", "gamma"}
