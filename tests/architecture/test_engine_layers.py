"""Rules inside the engine, as sentences: its rooms import downwards only."""

from __future__ import annotations

from tests.support.source import Module, modules, resolved

ENGINE = "reconciler.engine."
ROOMS = (
    "run",
    "access",
    "plugin_calls",
    "transfer",
    "session",
    "sources",
    "upstream",
    "plugin_lifecycle",
    "publishing",
    "pushing",
    "planning",
    "integrity",
    "applying",
    "uploads",
    "pull_through",
    "explaining",
)  # from the lowest to the highest; the modules of the engine itself stand above them
TOP = "engine, service, inspect"


def engine_room(name: str | None) -> str | None:
    """Return the room of a module of the engine; None for a module of another room."""
    if name is None or not f"{name}.".startswith(ENGINE):
        return None
    first = name.removeprefix(ENGINE).partition(".")[0]
    return first if first in ROOMS else TOP


def imports(module: Module) -> list[tuple[int, str]]:
    """Return line and name of each module of ours that a module imports, wherever it does."""
    names = [(import_.line, resolved(import_.module)) for import_ in module.imports]
    return [(line, name) for line, name in names if name is not None]


def upward(room: str) -> list[str]:
    """Return the imports of a room that lead to a higher one, as `file:line module`."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    return [
        f"{module.place}:{line} {name}"
        for module in modules()
        if engine_room(module.name) == room
        for line, name in imports(module)
        if (other := engine_room(name)) is not None and other not in allowed
    ]


def test_every_folder_of_the_engine_is_a_room_in_this_order() -> None:
    folders = {
        module.name.removeprefix(ENGINE).partition(".")[0]
        for module in modules()
        if module.name.startswith(ENGINE) and module.path.parent.name != "engine"
    }
    assert folders == set(ROOMS)


def test_run_imports_no_other_room_of_the_engine() -> None:
    assert upward("run") == []


def test_access_imports_no_room_but_run() -> None:
    assert upward("access") == []


def test_plugin_calls_import_run_only() -> None:
    assert upward("plugin_calls") == []


def test_transfer_imports_plugin_calls_and_run_only() -> None:
    assert upward("transfer") == []


def test_session_imports_transfer_and_what_is_below_it() -> None:
    assert upward("session") == []


def test_integrity_imports_publishing_and_what_is_below_it() -> None:
    assert upward("integrity") == []


def test_sources_know_neither_publications_nor_plans_nor_uploads() -> None:
    assert upward("sources") == []


def test_upstream_knows_sources_and_neither_publications_nor_plans() -> None:
    assert upward("upstream") == []


def test_plugin_lifecycle_knows_neither_publications_nor_plans() -> None:
    assert upward("plugin_lifecycle") == []


def test_publishing_knows_neither_plans_nor_how_they_are_applied() -> None:
    assert upward("publishing") == []


def test_pushing_does_not_know_how_a_plan_is_made() -> None:
    assert upward("pushing") == []


def test_planning_does_not_know_how_a_plan_is_applied() -> None:
    assert upward("planning") == []


def test_applying_knows_nothing_of_uploads_and_explanations() -> None:
    assert upward("applying") == []


def test_uploads_know_nothing_of_explanations() -> None:
    assert upward("uploads") == []


def test_explaining_knows_every_room_below_and_not_the_engine_itself() -> None:
    assert upward("explaining") == []


def test_the_engine_does_not_know_how_a_manifest_is_written() -> None:
    assert [
        f"{module.place}:{line} {name}"
        for module in modules()
        if engine_room(module.name) is not None
        for line, name in imports(module)
        if name.partition(".manifest")[0] == "reconciler"
    ] == []


def test_an_import_of_a_higher_room_would_be_found() -> None:
    assert engine_room("reconciler.engine.sources.selection") == "sources"
    assert engine_room("reconciler.engine") == TOP
    assert engine_room("reconciler.engine.service") == TOP
    assert engine_room("reconciler.enginery") is None
    assert ROOMS.index("applying") > ROOMS.index("planning")
