"""The rooms of the Debian plugin: each imports what stands before it in the order."""

from __future__ import annotations

import pytest

from tests.support.source import Module, modules, resolved

PLUGIN = "reconciler_deb"
ORDER = (
    "control",
    "releases",
    "reading",
    "options",
    "selecting",
    "dependencies",
    "uploads",
    "content",
    "publishing",
    "deb_importer",
    "",
)
UNKNOWN = {
    "reading": {"options"},
    "publishing": {"selecting", "dependencies", "uploads", "content"},
    "deb_importer": {"content", "publishing"},
}


def room(module: str) -> str:
    """The folder, or the module beside the folders: empty for the entry points."""
    return module.removeprefix(PLUGIN).removeprefix(".").partition(".")[0]


def own_imports(module: Module) -> set[str]:
    names = {resolved(import_.module) for import_ in module.imports}
    return {room(name) for name in names if name is not None and name.startswith(PLUGIN)}


MODULES = [module for module in modules() if module.room == PLUGIN]


def test_every_room_has_its_place() -> None:
    assert {room(module.name) for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_a_room_knows_only_what_stands_before_it(name: str) -> None:
    known = {*ORDER[: ORDER.index(name) + 1]} - UNKNOWN.get(name, set())
    assert [
        f"{module.place}: {other}"
        for module in MODULES
        if room(module.name) == name
        for other in sorted(own_imports(module) - known)
    ] == []
