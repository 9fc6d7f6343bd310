"""Plugins are judged when they are found: what is wrong with one disables it, by name and with the cause."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from reconciler.plugin import API_VERSION, ContentType, Importer, Metadata, PluginFault, Publisher, Registry

MODULE = "a_plugin_for_registry_tests"


class Notes(ContentType):
    id = "notes.note"


class NotesImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes", ["notes.note"])


class FutureImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("future", "From the future", ["notes.note"], api=">=2")


class NamelessImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("", "No ID")


class RangelessImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("rangeless", "No range", api="newest")


class OrphanImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("orphan", "Handles what nobody defines", ["nobody.knows"])


@pytest.fixture
def install() -> Iterator[Callable[..., Registry]]:
    """Make a registry of entry points: `install(importers={"notes": NotesImporter}, ...)`."""
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module

    def made(importers: dict[str, Any] | None = None, types: dict[str, Any] | None = None) -> Registry:
        groups = {"reconciler.importers": importers or {}, "reconciler.content_types": types or {}}
        points: dict[str, list[EntryPoint]] = {}
        for group, plugins in groups.items():
            for number, (name, answer) in enumerate(plugins.items()):
                attribute = f"{group.replace('.', '_')}_{number}"
                setattr(module, attribute, answer if callable(answer) and not isinstance(answer, type) else lambda answer=answer: (answer, {"a": 1}))
                points.setdefault(group, []).append(EntryPoint(name, f"{MODULE}:{attribute}", group))

        def of_group(group: str) -> Iterable[EntryPoint]:
            return points.get(group, [])

        return Registry(of_group)

    yield made
    del sys.modules[MODULE]


def test_a_good_plugin_is_enabled_with_its_configuration(install: Callable[..., Registry]) -> None:
    registry = install({"notes": NotesImporter}, {"notes.note": Notes})
    plugin = registry.importer("notes")
    assert plugin.enabled
    assert plugin.cls is NotesImporter
    assert plugin.config == {"a": 1}
    assert registry.content_type("notes.note") is Notes
    assert [one.id for one in registry.all()] == ["notes.note", "notes"]


def test_a_plugin_is_found_under_its_id_whatever_its_entry_point_is_called(install: Callable[..., Registry]) -> None:
    registry = install({"something-else": NotesImporter}, {"note": Notes})
    assert registry.importer("notes").cls is NotesImporter


def _raises() -> Any:
    raise RuntimeError("no database driver")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_raises, "no database driver"),
        (lambda: NotesImporter, "does not return (class, dict)"),
        (lambda: (NotesImporter, None), "does not return (class, dict)"),
        (Publisher, "does not derive from reconciler.plugin.Importer"),
        (FutureImporter, f"supports plugin API >=2, this is {API_VERSION}"),
        (NamelessImporter, "malformed"),
        (RangelessImporter, "`newest` is no PEP 440 range"),
        (Importer, "malformed"),
    ],
)
def test_what_is_wrong_with_a_plugin_disables_it_and_nothing_else(install: Callable[..., Registry], answer: Any, reason: str) -> None:
    registry = install({"broken": answer, "notes": NotesImporter}, {"notes.note": Notes})
    [broken] = [plugin for plugin in registry.all() if not plugin.enabled]
    assert reason in broken.reason
    with pytest.raises(PluginFault, match="is disabled"):
        registry.importer(broken.id)
    assert registry.importer("notes").enabled


def test_a_module_that_cannot_be_imported_is_disabled_under_its_entry_point(install: Callable[..., Registry]) -> None:
    registry = Registry(lambda group: [EntryPoint("lost", "no_such_module_anywhere:importer", group)] if group == "reconciler.importers" else [])
    plugin = registry.find("importer", "lost")
    assert plugin is not None
    assert "cannot be imported" in plugin.reason
    assert "no_such_module_anywhere" in plugin.reason


def test_an_unknown_plugin_is_a_fault_that_says_where_to_look(install: Callable[..., Registry]) -> None:
    with pytest.raises(PluginFault, match="no installed plugin provides the importer `notes`") as raised:
        install().importer("notes")
    assert "reconciler plugins" in (raised.value.hint or "")


def test_a_content_type_that_nobody_defines_stops_its_importer(install: Callable[..., Registry]) -> None:
    with pytest.raises(PluginFault, match=r"`nobody\.knows`, a content type that no installed plugin defines"):
        install({"orphan": OrphanImporter}).importer("orphan")


def test_nothing_is_imported_before_it_is_asked_for(install: Callable[..., Registry]) -> None:
    calls: list[str] = []

    def heavy() -> Any:
        calls.append("heavy")
        return NotesImporter, {}

    registry = install({"heavy": heavy, "notes": NotesImporter}, {"notes.note": Notes})
    registry.importer("notes")
    assert calls == []
