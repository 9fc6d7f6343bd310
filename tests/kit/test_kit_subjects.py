"""Keys of a Subject for each kind of source, and pages that are about one group alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict

from reconciler.errors import ManifestFaults
from reconciler.plugin.testing import Upstream
from reconciler.plugin.testing.interpreters import orders_with
from reconciler.plugin.testing.reading_tests import pages_of_one_group
from tests.kit import broken_content
from tests.kit.sound import KeyedPublisher
from tests.kit.test_kit_on_broken_plugins import kit, verdict
from tests.support.quotes import Quote, QuoteImporter, QuotePublisher, QuoteSource

GROUPS = {"war": ["w1", "w2"], "peace": ["p1"]}


class Shelf(QuoteSource):
    """A key that must be given."""

    shelf: str


class Shelved(broken_content.Uploads):
    """Sound: sources of two kinds have a key of their own each, which must be given."""

    upload_options = Shelf
    repository_options = Shelf


@pytest.mark.parametrize(
    ("test", "field"),
    [
        ("test_uploads_are_idempotent", "upload_source"),
        ("test_a_repository_can_be_promoted", "copy_source"),
    ],
)
def test_sources_of_each_kind_are_tried_with_their_own_keys(
    test: str, field: str, tmp_path: Path
) -> None:
    """Kind: a feature that the kit cannot examine because a source needs a key."""
    given = {"uploads": {"q1": b"one"}, field: {"shelf": "upper"}}
    getattr(kit(Shelved, **given), test)(tmp_path)
    with pytest.raises(ManifestFaults, match="shelf"):
        getattr(kit(Shelved, **given | {field: {}}), test)(tmp_path)


def test_another_process_has_the_environment_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: what a process that was started for earlier tests does not know of this one."""
    parts: dict[str, Any] = {"importer": QuoteImporter, "content_types": [Quote]}
    test = "test_another_process_gives_the_same_result"
    getattr(kit(QuoteImporter, **parts, publisher=QuotePublisher), test)(tmp_path / "started")
    monkeypatch.setenv("LATER", "a-word-that-nobody-guesses")
    keyed = {"publisher": KeyedPublisher, "publication": {"key": {"env": "LATER"}}}
    getattr(kit(QuoteImporter, **parts, **keyed), test)(tmp_path / "keyed")


def test_a_set_has_another_order_in_the_interpreter_that_is_chosen() -> None:
    """Of all sets of two texts it is so in every second interpreter."""
    names = [["peace", "war"], ["a", "b", "c"]]
    with_seeds = {seed: orders_with(seed, json.dumps(names)) for seed in range(8)}
    here = with_seeds[0]
    assert [sorted(each) for each in here] == names
    assert {tuple(orders[0]) for orders in with_seeds.values()} == {
        ("peace", "war"),
        ("war", "peace"),
    }
    assert len({tuple(orders[1]) for orders in with_seeds.values()}) > 2


@pytest.mark.parametrize("kind", ["upload", "repository"])
def test_keys_of_every_kind_of_source_are_to_be_strict(kind: str, tmp_path: Path) -> None:
    """Kind: options that the kit does not look at, since no source of the subject has them."""
    loose = type("Loose", (QuoteSource,), {"model_config": ConfigDict(extra="allow")})
    part = type("Slip", (broken_content.Uploads,), {f"{kind}_options": loose})
    message = verdict(kit(part), "test_options_are_strict_and_described", tmp_path)
    assert f"options of sources `{kind}` accept the unknown key" in (message or "")


@pytest.mark.parametrize(
    ("path", "body", "group"),
    [
        ("war.json", b"[]", "war"),
        ("packages/w2/list", b"", "war"),
        ("a", b"p1 1.0\n", "peace"),
        ("a.gz", gzip.compress(b"p1 1.0\n"), "peace"),
        ("Release", b"sha256 123 Packages", None),
        ("index.json", b'{"war": 1, "peace": 2}', None),
        ("prewar.json", b"w11 p12", None),
        ("torn.gz", gzip.compress(b"p1 1.0\n")[:12], None),
        ("both/war/peace", b"p1", None),
    ],
)
def test_a_page_is_about_a_group_if_it_names_no_other(
    path: str, body: bytes, group: str | None
) -> None:
    """Kind: a source of whole-source pages that is told to split them."""
    assert pages_of_one_group(Upstream({path: body}), [path], GROUPS).get(path) == group
