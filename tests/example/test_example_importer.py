"""The low-level importer: what it records and notes, and what it leaves unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import (
    Artifact,
    Gone,
    Malformed,
    Page,
    PluginCallConfiguration,
    Refused,
    StoredUnit,
    UploadedFile,
)
from reconciler.plugin.importer import low_level
from reconciler_example.low_importer import ExampleImporter, group_of
from reconciler_example.options import SourceOptions
from tests.support.conduits import FakeSyncConduit, FakeUploadConduit, page

URL = "https://files.example.org/pool/PULP_MANIFEST"
SHA, OTHER = "a" * 64, "b" * 64
NO_CONFIGURATION = PluginCallConfiguration({}, {}, {})

Members = Mapping[str, list[StoredUnit]]


def synced(
    body: str | bytes,
    *,
    validator: str = "v1",
    before: FakeSyncConduit | None = None,
    rules_changed: bool = False,
) -> FakeSyncConduit:
    """Return the conduit after a sync; an earlier sync was committed as a whole."""
    pages: dict[str, Page | Exception] = {
        "": page(body, "text/plain", url=URL, validator=validator)
    }
    committed = frozenset(before.validators[-1:]) if before and not rules_changed else frozenset()
    members = before.after if before else {}
    notes = before.notes if before else {}
    conduit = FakeSyncConduit(
        pages, SourceOptions(), committed, URL, members=members, notes=dict(notes)
    )
    asyncio.run(ExampleImporter().sync(conduit, NO_CONFIGURATION))
    return conduit


def manifest(**files: str) -> str:
    return "".join(f"{name},{sha256},1\n" for name, sha256 in files.items())


def keys(conduit: FakeSyncConduit) -> tuple[list[str], list[str]]:
    """Return the keys that were saved, and those that were removed."""
    return sorted(unit.key for _, unit in conduit.saved), sorted(
        unit.key for unit in conduit.removed
    )


def test_it_is_written_the_low_level_way() -> None:
    assert low_level(ExampleImporter)


def test_a_first_sync_saves_everything() -> None:
    conduit = synced(f"a b.iso,{SHA},3\nsub/c.iso,{OTHER},4\n")
    assert {unit.key: (group, unit.metadata, unit.artifacts) for group, unit in conduit.saved} == {
        "a b.iso": (
            group_of("a b.iso"),
            {},
            [Artifact("a b.iso", SHA, 3, "https://files.example.org/pool/a%20b.iso")],
        ),
        "sub/c.iso": (
            group_of("sub/c.iso"),
            {},
            [Artifact("sub/c.iso", OTHER, 4, "https://files.example.org/pool/sub/c.iso")],
        ),
    }
    assert conduit.removed == []


def test_only_the_difference_is_recorded() -> None:
    before = synced(manifest(a=SHA, b=SHA, c=SHA))
    assert keys(synced(manifest(a=SHA, b=OTHER, d=SHA), validator="v2", before=before)) == (
        ["b", "d"],
        ["c"],
    )


def test_a_manifest_that_is_committed_is_not_even_read() -> None:
    before = synced(manifest(a=SHA))
    again = synced("what comes is not looked at", before=before)
    assert keys(again) == ([], [])
    assert again.notes == before.notes


def test_groups_whose_lines_are_noted_are_not_compared_again() -> None:
    before = synced(manifest(a=SHA, b=SHA))
    # nothing is there any more, and the source does not know
    damaged = FakeSyncConduit({}, validators=before.validators, notes=before.notes)
    assert keys(synced(manifest(a=SHA, b=OTHER), validator="v2", before=damaged)) == (["b"], [])


def test_new_rules_or_a_sync_that_failed_in_part_make_every_group_compared() -> None:
    before = synced(manifest(a=SHA, b=SHA))
    damaged = FakeSyncConduit({}, validators=before.validators, notes=before.notes)
    again = synced(manifest(a=SHA, b=OTHER), validator="v2", before=damaged, rules_changed=True)
    assert keys(again) == (["a", "b"], [])


def test_syncing_step_by_step_ends_where_syncing_at_once_does() -> None:
    states = [
        manifest(a=SHA),
        manifest(a=OTHER, b=SHA),
        "",
        manifest(b=OTHER, c=SHA),
        manifest(b=OTHER, c=SHA, d=SHA),
    ]
    conduit = None
    for number, state in enumerate(states):
        conduit = synced(state, validator=f"v{number}", before=conduit)
        assert conduit.after == synced(state).after


def test_what_cannot_be_a_unit_is_refused_and_the_rest_goes_in() -> None:
    conduit = synced(
        f"../x,{SHA},1\nok,{SHA},1\nok,{OTHER},1\nbell\x07,{SHA},1\n".encode()
        + b"\xff,%s,1\n" % SHA.encode()
    )
    assert keys(conduit) == (["ok"], [])
    assert {key for _, key in conduit.refused} == {"../x", "ok", "bell\\x07", "\\udcff"}
    assert all(key.isprintable() for _, key in conduit.refused)


@pytest.mark.parametrize(
    "answer",
    [
        page(f"a,{SHA},1\nb,{SHA[:20]}", "text/plain", url=URL),
        page("<html>502</html>", "text/html", url=URL),
        page(f"a,{SHA},-1\n", "text/plain", url=URL),
        Gone("404"),
    ],
)
def test_a_failure_records_no_removal_and_notes_nothing(answer: Page | Exception) -> None:
    held = synced(manifest(a=SHA, b=SHA)).after
    conduit = FakeSyncConduit({"": answer}, SourceOptions(), url=URL, members=held)
    with pytest.raises((Malformed, Gone)):
        asyncio.run(ExampleImporter().sync(conduit, NO_CONFIGURATION))
    assert (keys(conduit), conduit.notes) == (([], []), {})


def test_uploads(tmp_path: Path) -> None:
    def uploaded(fields: dict[str, str]) -> list[Any]:
        return list(
            ExampleImporter().upload(
                FakeUploadConduit({}),
                UploadedFile("a.iso", tmp_path, 3, SHA),
                fields,
                NO_CONFIGURATION,
            )
        )

    [(group, unit)] = uploaded({})
    assert (group, unit.key, unit.artifacts) == (
        group_of("a.iso"),
        "a.iso",
        [Artifact("a.iso", SHA, 3)],
    )
    with pytest.raises(Refused):
        uploaded({"path": "../a.iso"})
