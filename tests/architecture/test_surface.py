"""What plugins may rely on is recorded in `tests/golden/plugin_surface.json`, with its version: it
does not change by accident.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any, ClassVar, Protocol

import msgspec
import pytest

import reconciler.plugin
from reconciler.plugin import API_VERSION
from tests.support.source import ROOT
from tests.support.surface import HOW, Difference, compared, objection, plugin_surface, surface

RECORDED = ROOT / "tests" / "golden" / "plugin_surface.json"


def test_the_surface_of_the_plugin_api_is_the_one_that_is_recorded() -> None:
    current = plugin_surface()
    recorded: Any = json.loads(RECORDED.read_text(encoding="utf-8"))
    difference = compared(recorded["names"], current)
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        assert objection(difference, recorded["version"], API_VERSION) is None
        RECORDED.write_text(
            json.dumps({"version": API_VERSION, "names": current}, indent=2) + "\n",
            encoding="utf-8",
        )
        return
    assert not difference, (
        f"the surface of `reconciler.plugin` {API_VERSION} is not what is recorded as"
        f" {recorded['version']}: {difference}; {HOW}"
    )
    assert recorded["version"] == API_VERSION, (
        f"recorded is version {recorded['version']}, this is {API_VERSION}; {HOW}"
    )


def test_everything_that_is_exported_is_recorded_with_its_insides() -> None:
    current = plugin_surface()
    assert set(reconciler.plugin.__all__) <= set(current)
    assert (
        current["Importer.read"]
        == "async method(self, conduit: ReadConduit[Source, Filter], group: Group)"
        " -> Iterable[Unit] | Unchanged"
    )
    assert current["Artifact.sha256"] == "field: str = ''"
    assert current["ContentType.revision"] == "attribute: ClassVar[int] = 1"
    assert current["ReadConduit.get_json"] == "async method(self, url: str) -> Any", (
        "what a protocol inherits belongs to it"
    )
    assert current["PublishConduit.options"] == "property -> Pages_co"
    assert " at 0x" not in json.dumps(current)


class Base(Protocol):
    def inherited(self) -> int: ...


class Conduit(Base, Protocol):
    @property
    def url(self) -> str: ...


class Thing(msgspec.Struct):
    name: str
    size: int | None = None


class Importer:
    options: ClassVar[type[dict[str, int]]] = dict
    retries = 3
    later: str

    def __init__(self, name: str, *, deep: bool = False) -> None: ...

    @classmethod
    def metadata(cls) -> Thing:
        raise NotImplementedError

    def read(self, conduit: Conduit, /, *groups: str, **more: Any) -> AsyncIterator[Thing]:
        raise NotImplementedError

    def _private(self) -> None: ...


def module(**names: Any) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(names, __all__=list(names))
    return made


def made(**more: Any) -> dict[str, str]:
    return surface(
        module(**{"Thing": Thing, "Importer": Importer, "Conduit": Conduit, "LIMIT": 3, **more}),
        __name__,
    )


def test_a_surface_tells_fields_methods_properties_and_attributes() -> None:
    assert made() == {
        "Conduit": "protocol(Base, Protocol)",
        "Conduit.inherited": "method(self) -> int",
        "Conduit.url": "property -> str",
        "Importer": "class(object)",
        "Importer.__init__": "method(self, name: str, *, deep: bool = False) -> None",
        "Importer.later": "attribute: str",
        "Importer.metadata": "classmethod method(cls) -> Thing",
        "Importer.options": "attribute: ClassVar[type[dict[str, int]]] = dict",
        "Importer.read": (
            "method(self, conduit: Conduit, /, *groups: str, **more: Any) -> AsyncIterator[Thing]"
        ),
        "Importer.retries": "attribute = 3",
        "LIMIT": "constant 3",
        "Thing": "struct(Struct)",
        "Thing.name": "field: str",
        "Thing.size": "field: int | None = None",
    }


def without_read() -> type:
    members = {
        name: value
        for name, value in vars(Importer).items()
        if name not in ("read", "__dict__", "__weakref__")
    }
    return type("Importer", (), members)


def with_another_read() -> type:
    def read(self: Any, conduit: Conduit, group: str) -> AsyncIterator[Thing]:
        raise NotImplementedError

    return type(
        "Importer",
        (),
        {
            **{
                name: value
                for name, value in vars(Importer).items()
                if name not in ("__dict__", "__weakref__")
            },
            "read": read,
        },
    )


class ThingOfAnySize(msgspec.Struct):
    name: str
    size: int | None = 0


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"LIMIT": 3}, Difference((), (), ())),
        ({"MORE": 1}, Difference(("MORE",), (), ())),
        ({"LIMIT": 4}, Difference((), (), ("LIMIT",))),
        ({"Importer": without_read()}, Difference((), ("Importer.read",), ())),
        ({"Importer": with_another_read()}, Difference((), (), ("Importer.read",))),
        ({"Thing": ThingOfAnySize}, Difference((), (), ("Thing.size",))),
    ],
)
def test_what_was_added_removed_and_changed_is_noticed_by_name(
    now: dict[str, Any], expected: Difference
) -> None:
    assert compared(made(), made(**now)) == expected
    assert bool(expected) == (now != {"LIMIT": 3})


ADDED = Difference(("Unit.colour",), (), ())
REMOVED = Difference((), ("Unit.key",), ())
CHANGED = Difference((), (), ("Importer.read",))


@pytest.mark.parametrize(
    ("difference", "recorded", "version", "expected"),
    [
        (
            ADDED,
            "1.2.0",
            "1.2.0",
            "added Unit.colour: that takes a minor version above 1.2.0, this is 1.2.0",
        ),
        (
            ADDED,
            "1.2.0",
            "1.2.1",
            "added Unit.colour: that takes a minor version above 1.2.0, this is 1.2.1",
        ),
        (ADDED, "1.2.0", "1.3.0", None),
        (
            REMOVED,
            "1.2.0",
            "1.3.0",
            "removed Unit.key: that takes a major version above 1.2.0, this is 1.3.0",
        ),
        (
            CHANGED,
            "1.2.0",
            "1.3.0",
            "changed Importer.read: that takes a major version above 1.2.0, this is 1.3.0",
        ),
        (
            CHANGED,
            "1.0.0",
            "1.1.0",
            "changed Importer.read: that takes a major version above 1.0.0, this is 1.1.0",
        ),
        (CHANGED, "1.2.0", "2.0.0", None),
        (REMOVED, "2.0.0", "2.0.0", None),
        (Difference((), (), ()), "1.2.0", "1.2.0", None),
        (
            Difference((), (), ()),
            "1.2.0",
            "1.1.0",
            "version 1.1.0 is older than the recorded 1.2.0",
        ),
    ],
)
def test_a_version_must_rise_as_far_as_the_difference_asks(
    difference: Difference, recorded: str, version: str, expected: str | None
) -> None:
    assert objection(difference, recorded, version) == expected
