"""The generated plugin at work: hostile pages, rules, uploads, publication as upstream."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.model import identify
from reconciler.plugin import (
    UNCHANGED,
    ActiveFilter,
    Group,
    Malformed,
    Page,
    PluginCallConfiguration,
    Refused,
    StoredUnit,
    Unit,
    UploadedFile,
)
from tests.support.conduits import FakeConduit, FakePublishConduit, page, stored

BASE = "https://documents.example.org/"
NOTHING = PluginCallConfiguration({}, {}, {})
WINTER = {
    "name": "winter.txt",
    "url": "files/poems/winter.txt",
    "sha256": sha256(b"Snow").hexdigest(),
    "size": 4,
}


@pytest.fixture
def plugin(distribution: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(distribution / "src")
    package = "reconciler_json_schemas"
    classes = {
        "importer": importlib.import_module(f"{package}.document_importer").DocumentImporter,
        "publisher": importlib.import_module(f"{package}.document_publisher").DocumentPublisher,
        "document": importlib.import_module(f"{package}.content").Document,
    }
    return SimpleNamespace(**classes)


def call(
    plugin: Any, pages: Mapping[str, Any], committed: frozenset[str] = frozenset(), **options: Any
) -> Any:
    responses: dict[str, Page | Exception] = {
        path: page(json.dumps(value), "application/json", url=BASE + path)
        for path, value in pages.items()
    }
    return FakeConduit(
        responses, options=plugin.importer.options(**options), committed=committed, url=BASE
    )


def declared(plugin: Any, conduit: Any) -> list[Group]:
    async def groups() -> list[Group]:
        return [group async for group in plugin.importer().declare(conduit)]

    return asyncio.run(groups())


def read(plugin: Any, conduit: Any, group: Group) -> Any:
    return asyncio.run(plugin.importer().read(conduit, group))


def test_groups_that_are_wanted_and_usable_are_declared(plugin: Any) -> None:
    index = {"poems": {"validator": "v1"}, "songs": {}, "letters": {}, "index": {}, "../up": {}}
    groups = declared(plugin, call(plugin, {"index.json": index}, include=("poems", "song*")))
    assert groups == [Group("poems", "v1", listed=True), Group("songs", None, listed=True)]
    assert [group.name for group in declared(plugin, call(plugin, {"index.json": index}))] == [
        "poems",
        "songs",
        "letters",
    ]


@pytest.mark.parametrize("index", [[], {"poems": 1}, {"poems": {"validator": 1}}])
def test_a_list_that_is_none_is_a_failure_and_no_absence(plugin: Any, index: Any) -> None:
    with pytest.raises(Malformed, match=r"index\.json: cannot be read"):
        declared(plugin, call(plugin, {"index.json": index}))


def test_documents_become_units(plugin: Any) -> None:
    [unit] = read(plugin, call(plugin, {"poems.json": [WINTER]}), Group("poems"))
    assert (unit.type, unit.key, unit.artifacts[0].url) == (
        "json-schemas.document",
        "winter.txt",
        f"{BASE}files/poems/winter.txt",
    )
    assert identify(unit, "poems").unit == unit


def test_a_page_that_is_committed_ends_the_reading(plugin: Any) -> None:
    for group in (Group("poems", "v7"), Group("poems")):
        asked = call(plugin, {"poems.json": [WINTER]}, committed=frozenset({"v7", "v1"}))
        assert read(plugin, asked, group) is UNCHANGED


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        ({"name": "../winter"}, "'../winter'", "its name cannot be a file's"),
        ({"name": "a\nb"}, r"'a\nb'", "its name cannot be a file's"),
        ({"sha256": "F" * 64}, "winter.txt", "its sha256 is not 64 lower-case hex digits"),
        ({"url": "file:///etc/passwd"}, "winter.txt", "its URL cannot be fetched"),
        ({"url": "http://[broken"}, "winter.txt", "its URL cannot be fetched"),
    ],
)
def test_a_hostile_entry_is_refused_and_harms_no_other(
    plugin: Any, change: dict[str, str], key: str, reason: str
) -> None:
    asked = call(plugin, {"poems.json": [{**WINTER, **change}, {**WINTER, "name": "other.txt"}]})
    assert [unit.key for unit in read(plugin, asked, Group("poems"))] == ["other.txt"]
    assert asked.refused == {key: reason}


def test_filters_and_sources_say_why_a_document_is_out(plugin: Any) -> None:
    document, importer = plugin.document, plugin.importer
    rules = [ActiveFilter("house", importer.filter_options(deny=("*.exe",)), "rules.yaml:7")]
    units = [Unit(document.id, "a.exe", {}), Unit(document.id, "b.txt", {})]
    decided = list(
        document.select("poems", units, importer.options(), rules, datetime(2026, 1, 1, tzinfo=UTC))
    )
    assert [(decision.accepted, decision.reason) for decision in decided] == [
        (False, 'denied by "*.exe" (house.deny)'),
        (True, ""),
    ]
    [outside, _] = document.select(
        "poems", units, importer.options(include=("songs",)), [], datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert outside.reason == "`poems` matches no include"


def test_a_group_that_is_not_asked_for_is_not_said_to_be_gone(plugin: Any) -> None:
    document, options = plugin.document, plugin.importer.options
    unit = stored(Unit(document.id, "winter.txt", {}), "poems")
    assert (
        document.removal_reason(unit, options(include=("songs",)), "")
        == "no longer selected: `poems` matches no include"
    )
    assert document.removal_reason(unit, options(), "") == "gone upstream"
    assert document.removal_reason(unit, options(), "denied") == "denied"


def test_a_file_that_is_sent_becomes_a_document(plugin: Any, tmp_path: Path) -> None:
    importer = plugin.importer()
    file = UploadedFile("aunt.txt", tmp_path / "part", 4, sha256(b"Dear").hexdigest())
    [(group, unit)] = importer.upload(None, file, {"group": "letters"}, NOTHING)
    assert (group, unit.key, unit.artifacts[0].sha256, unit.artifacts[0].size) == (
        "letters",
        "aunt.txt",
        file.sha256,
        4,
    )
    assert importer.upload(None, file, {}, NOTHING)[0][0] == "uploads"
    for name, fields in (("../aunt", {}), ("aunt.txt", {"group": "index"})):
        with pytest.raises(Refused, match="cannot be the name"):
            importer.upload(None, UploadedFile(name, file.path, 4, file.sha256), fields, NOTHING)


def test_a_publication_is_an_upstream_with_the_same_units(plugin: Any) -> None:
    [unit] = read(plugin, call(plugin, {"poems.json": [WINTER]}), Group("poems"))
    groups: dict[str, list[StoredUnit]] = {"poems": [stored(unit, "poems")], "gone": []}
    publisher = plugin.publisher
    conduit = FakePublishConduit(groups, options=publisher.options())
    publisher().publish(conduit, NOTHING)
    made = conduit.merged
    assert {path for path, _ in made.pages} == {"index.json", "poems.json"}
    assert made.files == {"files/poems/winter.txt": (WINTER["sha256"], "application/octet-stream")}
    again = call(plugin, {path: json.loads(body) for (path, _), body in made.pages.items()})
    [group] = declared(plugin, again)
    [same] = read(plugin, again, group)
    assert identify(same, "poems").digest == identify(unit, "poems").digest
