"""The rooms of the Python plugin, as sentences: each imports what stands before it in the order.

What is imported for type checkers only counts as well.
"""

from __future__ import annotations

import pytest

from tests.support.source import Module, modules, resolved

PLUGIN = "reconciler_python"
READING = frozenset({"reading"})
WORDS = READING | {"matching"}
KEYS = WORDS | {"evidence", "requirements", "options"}
KNOWS = {
    "reading": frozenset[str](),
    "matching": READING,
    "evidence": frozenset[str](),
    "requirements": READING,
    "options": WORDS | {"evidence", "requirements"},
    "selecting": KEYS,
    "dependencies": KEYS | {"selecting"},
    "uploads": READING | {"options"},
    "arriving": WORDS | {"constants"},
    "pushing": WORDS | {"constants"},
    "publishing": READING | {"uploads", "pushing"},
    "local_trees": READING | {"options"},
    "content": KEYS | {"selecting", "dependencies"},
    "constants": frozenset[str](),
    "simple_importer": KEYS
    | {"selecting", "dependencies", "constants", "uploads", "arriving", "local_trees"},
    "": frozenset({"content", "simple_importer", "publishing"}),
}


def room(module: str) -> str:
    """The folder, or the module beside the folders: empty for the entry points."""
    return module.removeprefix(PLUGIN).removeprefix(".").partition(".")[0]


def own_imports(module: Module) -> set[str]:
    """Modules of the plugin that a module of it imports, for type checkers or not."""
    names = {resolved(import_.module) for import_ in module.imports}
    return {name for name in names if name is not None and name.partition(".")[0] == PLUGIN}


PLUGIN_MODULES = [module for module in modules() if module.room == PLUGIN]


def strangers(name: str) -> list[str]:
    """Imports of a room that its sentence does not allow."""
    return [
        f"{module.place}: {imported}"
        for module in PLUGIN_MODULES
        if room(module.name) == name
        for imported in sorted(own_imports(module))
        if room(imported) != name and room(imported) not in KNOWS[name]
    ]


def test_every_room_has_its_sentence() -> None:
    assert {room(module.name) for module in PLUGIN_MODULES} == set(KNOWS)


def test_reading_knows_documents_and_archives_and_nothing_of_options() -> None:
    assert strangers("reading") == []


def test_matching_knows_names_and_versions_and_nothing_of_options() -> None:
    assert strangers("matching") == []


def test_evidence_judges_facts_and_knows_no_other_room() -> None:
    assert strangers("evidence") == []


def test_requirements_reads_files_beside_the_manifests_and_knows_no_options_of_a_source() -> None:
    assert strangers("requirements") == []


def test_options_are_made_of_what_words_files_and_evidence_mean() -> None:
    assert strangers("options") == []


def test_selecting_decides_by_options_and_knows_no_dependencies() -> None:
    assert strangers("selecting") == []


def test_dependencies_asks_the_selection_and_knows_no_content_type() -> None:
    assert strangers("dependencies") == []


def test_arriving_writes_words_and_knows_no_options() -> None:
    assert strangers("arriving") == []


def test_pushing_says_what_is_published_in_the_words_of_another_index() -> None:
    assert strangers("pushing") == []


def test_publishing_renders_what_reading_reads() -> None:
    assert strangers("publishing") == []


@pytest.mark.parametrize("name", ["content", "constants", "simple_importer", ""])
def test_what_stands_on_the_rooms_knows_only_those_below(name: str) -> None:
    assert strangers(name) == []


def test_no_modules_of_the_plugin_import_each_other_in_a_circle() -> None:
    graph = {module.name: own_imports(module) - {module.name} for module in PLUGIN_MODULES}
    done: set[str] = set()
    while ready := {name for name in graph.keys() - done if graph[name] - {PLUGIN} <= done}:
        done |= ready
    assert graph.keys() - done == set(), "they wait for each other"
