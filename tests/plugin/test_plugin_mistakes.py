"""Mistakes are told before anything is applied: each with plugin, place and remedy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from pydantic import Field

from reconciler.engine.plugin_calls.plugin_errors import awaited
from reconciler.engine.plugin_calls.upstream_conduits import ReadingConduit
from reconciler.manifest.kinds import (
    SOURCES,
    FilterSpec,
    PublicationSpec,
    RemoteSpec,
    RepositorySpec,
    SourceSpec,
)
from reconciler.model import identify
from reconciler.plugin import (
    RESERVED_KEYS,
    Artifact,
    ContentType,
    Group,
    Importer,
    Metadata,
    Options,
    PluginFault,
    Publisher,
    Unit,
)
from tests.support.advertised import Shelf, shelf


@pytest.fixture
def plugins() -> Iterator[Shelf]:
    with shelf() as plugins:
        yield plugins


class Note(ContentType):
    id = "notes.note"


class Notes(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes", ["notes.note"])

    async def declare(self, conduit: Any) -> AsyncIterator[Group]:
        yield Group("a")


class NotePages(Publisher):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes", ["notes.note"])


class Versioned(Options):
    version: str = ""


class Cached(Options):
    the_cache: bool = Field(default=False, alias="cache")


class Own(Options):
    version: str = Field(default="", alias="x-version")


def plain(self: Any, conduit: Any, *more: Any) -> list[Any]:
    return []


def generating(self: Any, conduit: Any) -> Iterator[Group]:
    yield Group("a")


async def returning(self: Any, conduit: Any) -> list[Group]:
    return []


def reason(plugins: Shelf, kind: str, base: type, **attributes: Any) -> str:
    cls = type("Slip", (base,), attributes)
    given: dict[str, dict[str, Any]] = {
        "importers": {"notes": Notes},
        "publishers": {"notes": NotePages},
        "types": {"notes.note": Note},
    }
    group = {"importer": "importers", "publisher": "publishers", "content-type": "types"}[kind]
    given[group] = dict.fromkeys(given[group], cls)
    registry = plugins.add(**given).registry()
    [told] = [plugin.reason for plugin in registry.examined() if plugin.kind == kind]
    return told


@pytest.mark.parametrize(
    ("kind", "base", "attributes", "expected"),
    [
        ("importer", Notes, {"read": plain}, "its `read` is no coroutine function: write `async"),
        ("importer", Notes, {"sync": plain}, "its `sync` is no coroutine function: write `async"),
        ("importer", Notes, {"copy": plain}, "its `copy` is no coroutine function: write `async"),
        ("importer", Notes, {"declare": generating}, "`declare` is no async generator: write `as"),
        ("importer", Notes, {"declare": returning}, "no async generator: `yield` each group inst"),
        ("importer", Notes, {"options": Versioned}, "the key `version`, which is the core's in t"),
        ("importer", Notes, {"filter_options": type("G", (Options,), {"not_yet": {"global"}})},
         "its `filter_options` have the key `global`, which is the core's in a Filter"),
        ("publisher", NotePages, {"options": Cached}, "its `options` have the key `cache`, which"),
        ("importer", Notes, {"options": Own}, ""),
        ("content-type", Note, {"refusal": None}, "plugin API 2 calls it `refuse_replacement`"),
        ("content-type", Note, {"beside": "x"}, "plugin API 2 calls it `kept_with`"),
        ("publisher", NotePages, {"undated": None}, "plugin API 2 calls it `needs_first_seen`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_when_the_plugin_is_loaded(
    plugins: Shelf, kind: str, base: type, attributes: dict[str, Any], expected: str
) -> None:
    """The kind: what would fail, or be passed over in silence, in the middle of a run."""
    told = reason(plugins, kind, base, **attributes)
    assert expected in told
    assert bool(told) is bool(expected)


def test_the_api_range_is_judged_before_anything_of_another_api(plugins: Shelf) -> None:
    """A plugin for another API has attributes, types and names that mean nothing here."""
    metadata = Metadata("notes", 7, None, ">=3,<4")  # type: ignore[arg-type]
    told = reason(
        plugins,
        "importer",
        Importer,
        metadata=classmethod(lambda cls: metadata),
        revision="third",
        options="later",
    )
    assert told == "it supports plugin API >=3,<4, this is 2.0.0"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from reconciler.plugin import ImporterCall", "`ImporterCall`, where it is called `ReadC"),
        ("import reconciler.plugin as p; p.Step", "has no `Step`, where it is called `TraceStep`"),
        ("from reconciler.plugin import Later", "`reconciler.plugin` 2.0.0 has no `Later` (docs/"),
    ],
)
def test_a_name_of_another_api_says_so(plugins: Shelf, code: str, expected: str) -> None:
    def importer() -> Any:
        exec(code)

    [plugin] = plugins.add(importers={"notes": importer}).registry().examined()
    assert expected in plugin.reason
    assert plugin.reason.startswith("it was written for another plugin API: ")


def test_an_entry_point_may_be_the_class_itself(plugins: Shelf) -> None:
    value = f"{__name__}:Notes"
    plugins.add(types={"notes.note": Note}).advertise("direct", "importers", "notes", value=value)
    assert plugins.registry().importer("notes").cls is Notes
    plugins.advertise("wrong", "publishers", "wrong", value=value)
    wrong = plugins.registry().find("publisher", "wrong")
    assert wrong is not None
    assert wrong.reason == "its class does not derive from reconciler.plugin.Publisher"


@pytest.mark.parametrize(
    ("kind", "models"),
    [
        ("Remote", [RemoteSpec]),
        ("Filter", [FilterSpec]),
        ("Repository", [RepositorySpec]),
        ("Publication", [PublicationSpec]),
        ("source", [SourceSpec, *SOURCES.values()]),
    ],
)
def test_every_key_of_the_core_is_reserved(kind: str, models: list[type[Options]]) -> None:
    keys = {
        key
        for model in models
        for key in (
            *(field.alias or name for name, field in model.model_fields.items()),
            *model.not_yet,
        )
    }
    assert keys <= RESERVED_KEYS[kind]
    assert not [key for keys in RESERVED_KEYS.values() for key in keys if key.startswith("x-")]


@pytest.mark.parametrize(
    ("unit", "expected", "hint"),
    [
        (
            Unit("notes.note", "a", {"weight": 0.5}),
            "unit `a` has metadata that is not plain JSON without floats: float",
            "write a float as a text",
        ),
        (
            Unit("notes.note", "a", {}, [Artifact("a", url="files/a")]),
            "unit `a`: artifact `a` has a relative URL: 'files/a'",
            "urljoin(page.url, url)",
        ),
    ],
)
def test_a_unit_that_cannot_be_recorded_says_its_place_and_the_remedy(
    unit: Unit, expected: str, hint: str
) -> None:
    """Before anything is applied: units are checked where they enter the core."""
    with pytest.raises(PluginFault) as raised:
        identify(
            msgspec.structs.replace(
                unit,
                artifacts=[
                    msgspec.structs.replace(file, sha256="a" * 64) for file in unit.artifacts
                ],
            ),
            "group",
        )
    assert raised.value.message == expected
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (lambda conduit: conduit.incomplete(" "), "`incomplete` takes a reason, which users are s"),
        (lambda conduit: conduit.incomplete(None), "`incomplete` takes a reason, which users are "),
        (lambda conduit: conduit.refuse("a", ""), "`refuse` takes a reason, which users are shown"),
    ],
)
def test_users_are_told_reasons(mistake: Any, expected: str) -> None:
    conduit = ReadingConduit(Mock(), Mock())
    with pytest.raises(PluginFault, match=expected):
        mistake(conduit)


def test_a_coroutine_function_without_its_async_is_named_when_it_is_called() -> None:
    with pytest.raises(PluginFault, match="`read` is no coroutine function: it gives list") as told:
        asyncio.run(awaited([], "read"))
    assert told.value.hint == "write `async def read`"
