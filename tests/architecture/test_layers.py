"""The house, as sentences: who may know whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tests.support.source import PLUGINS, Module, modules, resolved, room_of

GROUND = frozenset(
    {
        "audit",
        "errors",
        "logs",
        "model",
        "process_identity",
        "reach",
        "redaction",
        "retrying",
        "secret_values",
        "threads",
    }
)
ROOMS = frozenset({"database", "plan", "plugin", "remote", "store"})
KNOWS: Mapping[str, frozenset[str]] = {
    "": frozenset(),
    "errors": frozenset(),
    "audit": frozenset({"errors", "redaction"}),
    "reach": frozenset({"errors"}),
    "redaction": frozenset(),
    "model": frozenset({"errors", "redaction"}),
    "logs": frozenset({"model", "redaction"}),
    "retrying": frozenset({"errors"}),
    "threads": frozenset(),
    "process_identity": frozenset(),
    "secret_values": frozenset({"errors", "model", "redaction"}),
    **dict.fromkeys(ROOMS, GROUND),
    "scaffold": frozenset({"errors"}),
    "manifest": GROUND | {"plugin"},
    "engine": GROUND | ROOMS,
    "serve": GROUND | {"database", "store"},
    "serve_adapter": GROUND | ROOMS | {"manifest", "engine", "serve"},
    "plugin.testing": GROUND | ROOMS | {"manifest", "engine", "serve_adapter"},
    "cli": GROUND | ROOMS | {"manifest", "engine", "scaffold", "serve", "serve_adapter"},
    **dict.fromkeys(PLUGINS, frozenset({"plugin"})),
}

# Commands import what they need when they run. Elsewhere only these wait: the HTTP client, and what
# a plugin's entry points name.
LATE = {
    ("reconciler_python.reading.media_types", "reconciler_python.reading.html_documents"),
    ("reconciler.remote.fetcher_factory", "reconciler.remote.http_fetcher"),
    ("reconciler.remote.fetcher_factory", "reconciler.remote.egress"),
    ("reconciler.remote.fetcher_factory", "reconciler.remote.http_sender"),
    ("reconciler_python.pushing.index_exporter", "reconciler_python.pushing.upload_form"),
    ("reconciler_example", "reconciler_example.content"),
    ("reconciler_example", "reconciler_example.low_importer"),
    ("reconciler_example", "reconciler_example.tree_publisher"),
    ("reconciler_deb", "reconciler_deb.content"),
    ("reconciler_deb", "reconciler_deb.deb_importer"),
    ("reconciler_deb", "reconciler_deb.publishing.apt_publisher"),
    ("reconciler_file", "reconciler_file.content"),
    ("reconciler_file", "reconciler_file.file_importer"),
    ("reconciler_file", "reconciler_file.file_publisher"),
    ("reconciler_npm", "reconciler_npm.content"),
    ("reconciler_npm", "reconciler_npm.npm_importer"),
    ("reconciler_npm", "reconciler_npm.npm_publisher"),
    ("reconciler_python", "reconciler_python.content"),
    ("reconciler_python", "reconciler_python.simple_importer"),
    ("reconciler_python", "reconciler_python.publishing.simple_publisher"),
    ("reconciler_python.simple_importer", "reconciler_python.arriving.starter"),
    ("reconciler_python.simple_importer", "reconciler_python.arriving.translation"),
    ("reconciler_python.simple_importer", "reconciler_python.uploads.uploaded_files"),
}


def strangers(room: str) -> list[str]:
    """Imports of a room that its sentence does not allow, as `file:line module`."""
    return [
        f"{module.place}:{import_.line} {import_.module}"
        for module in modules()
        if module.room == room
        for import_ in module.imports
        if (known := room_of(import_.module)) is not None
        and known != room
        and known not in KNOWS[room]
    ]


def test_every_room_has_its_sentence() -> None:
    assert {module.room for module in modules()} == set(KNOWS)


@pytest.mark.parametrize("module", ["errors", "redaction"])
def test_errors_and_redaction_know_nothing_of_ours(module: str) -> None:
    assert strangers(module) == []


def test_model_knows_errors_and_redaction_and_nothing_above_it() -> None:
    assert strangers("model") == []


def test_logs_know_the_nouns_and_the_redaction_of_secrets() -> None:
    assert strangers("logs") == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_know_the_ground_and_not_each_other(room: str) -> None:
    assert strangers(room) == []


def test_manifest_knows_the_ground_and_the_plugin_door() -> None:
    assert strangers("manifest") == []


def test_engine_joins_the_rooms_and_knows_neither_manifests_nor_surfaces() -> None:
    assert strangers("engine") == []


def test_serve_reads_what_was_published_and_knows_neither_engine_nor_manifest_nor_plugins() -> None:
    assert strangers("serve") == []


def test_one_module_joins_the_server_with_the_engine() -> None:
    assert strangers("serve_adapter") == []


def test_scaffold_writes_text_and_knows_nothing_of_what_it_is_for() -> None:
    assert strangers("scaffold") == []


def test_the_conformance_kit_stands_above_the_engine_and_the_core_does_without_it() -> None:
    assert strangers("plugin.testing") == []
    users = {
        module.room
        for module in modules()
        if any(room_of(import_.module) == "plugin.testing" for import_ in module.imports)
    }
    assert users <= {"plugin.testing"}, (
        "plugins' tests import it, and nothing that is installed to run"
    )


def test_cli_stands_on_top_and_nobody_knows_it() -> None:
    assert strangers("cli") == []
    assert [
        module.name
        for module in modules()
        if module.room != "cli"
        and any(room_of(import_.module) == "cli" for import_ in module.imports)
    ] == []


@pytest.mark.parametrize("plugin", sorted(PLUGINS))
def test_plugins_enter_by_the_door_only(plugin: str) -> None:
    entered = {
        import_.module
        for module in modules()
        if module.room == plugin
        for import_ in module.imports
        if room_of(import_.module) == "plugin"
    }
    assert strangers(plugin) == []
    assert {resolved(name) for name in entered} == {"reconciler.plugin"}, (
        "its modules behind the door are its own business"
    )


def test_the_core_imports_no_plugin() -> None:
    assert [
        module.name
        for module in modules()
        if module.name.startswith("reconciler.")
        and any("reconciler_" in import_.module for import_ in module.imports)
    ] == []


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("sqlalchemy", "database"),
        ("alembic", "database"),
        ("aiohttp", "remote"),
        ("granian", "serve"),
        ("python_multipart", "serve"),
        ("starlette", "serve"),
        ("yaml", "manifest"),
        ("pydantic", "plugin"),
        ("packaging", "plugin"),
        ("jinja2", "scaffold"),
        ("rich", "cli"),
        ("license_expression", "reconciler_python"),
        ("lxml", "reconciler_python"),
        ("tomli", "cli"),
        ("typer", "cli"),
    ],
)
def test_a_library_stays_in_its_room(library: str, room: str) -> None:
    """pydantic serves manifests and the option models of plugins, yaml also prints, packaging also
    reads plugins' packages and orders versions in what people read, until content types say how
    theirs are ordered, tomli settings and lock files, jinja2 pages for people. lxml is the plugins'
    alone.
    """
    also = {
        "pydantic": {"manifest", *PLUGINS},
        "yaml": {"cli"},
        "packaging": {"reconciler_python", "plan"},
        "jinja2": {"serve"},
        "lxml": {"reconciler_file"},
        "tomli": {"reconciler_python"},
    }.get(library, set())
    users = {
        module.room
        for module in modules()
        if any(import_.module.partition(".")[0] == library for import_ in module.imports)
    }
    assert room in users
    assert users - {room} <= also


def test_imports_are_absolute() -> None:
    assert [
        f"{module.place}:{import_.line}"
        for module in modules()
        for import_ in module.imports
        if import_.relative
    ] == []


def test_functions_import_nothing_of_ours_but_where_starting_up_would_cost() -> None:
    found = {
        (module.name, resolved(import_.module))
        for module in modules()
        for import_ in module.imports
        if import_.inside and room_of(import_.module) is not None
    }
    assert {pair for pair in found if not pair[0].startswith("reconciler.cli.")} == LATE


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Count imports for type checkers too; those inside functions are listed in `LATE`."""
    assert circle({module.name: imported(module) for module in modules()}) == []


def imported(module: Module) -> set[str]:
    """Modules of ours that a module imports at its top; a package does not wait for itself."""
    names = {resolved(import_.module) for import_ in module.imports if not import_.inside}
    return {name for name in names if name is not None and name != module.name}


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Some circle, in order, or nothing."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_a_circle_would_be_found() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
