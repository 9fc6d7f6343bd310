"""Each plugin is validated by itself, in order: the first fault disables it alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reconciler.plugin import (
    API_VERSION,
    ContentType,
    Endpoint,
    Importer,
    Metadata,
    Options,
    PluginFault,
    Publisher,
)
from reconciler.plugin.config import PluginSettings
from tests.support.advertised import Shelf, shelf


@pytest.fixture
def plugins() -> Iterator[Shelf]:
    with shelf() as plugins:
        yield plugins


class Notes(ContentType):
    id = "notes.note"


class NotesImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes", ["notes.note"])


class NotesPublisher(Publisher):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes", ["notes.note"])


def importer_with(metadata: Any) -> type[Importer]:
    """Return an importer with this metadata."""
    return type("Telling", (Importer,), {"metadata": classmethod(lambda cls: metadata)})


def importer(
    id: Any = "broken",
    name: Any = "Broken",
    types: Any = (),
    api: Any = ">=2.0,<3",
    **attributes: Any,
) -> type[Importer]:
    made = importer_with(Metadata(id, name, types, api))
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def publisher(**attributes: Any) -> type[Publisher]:
    return type(
        "Broken",
        (NotesPublisher,),
        {"metadata": classmethod(lambda cls: Metadata("broken", "Broken")), **attributes},
    )


def content_type(**attributes: Any) -> type[ContentType]:
    return type("Broken", (ContentType,), {"id": "broken", **attributes})


class Hostile:
    """Object that raises for every attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def raising(error: BaseException) -> Any:
    def entry_point() -> Any:
        raise error

    return entry_point


class Unreadable(Exception):
    def __str__(self) -> str:
        raise ValueError("not even this")


def reason(plugins: Shelf, kind: str = "importer") -> str:
    """Return the reason of the disabled plugin; all others must work."""
    plugins.add(
        "sound",
        importers={"notes": NotesImporter},
        publishers={"notes": NotesPublisher},
        types={"notes.note": Notes},
    )
    registry = plugins.registry()
    registry.start()
    assert registry.importer("notes").cls is NotesImporter
    [broken] = [plugin for plugin in registry.all() if not plugin.enabled]
    assert (broken.kind, broken.distribution, broken.cls, broken.refused) == (
        kind,
        "broken-plugin",
        None,
        False,
    )
    with pytest.raises(PluginFault, match="is disabled") as raised:
        {
            "importer": registry.importer,
            "publisher": registry.publisher,
            "content-type": registry.content_type,
        }[kind](broken.id)
    assert broken.reason in raised.value.message
    return broken.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "no_such_module_anywhere:importer",
            "it cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("json:no_such_name", "it cannot be imported: AttributeError"),
        ("json:", "it cannot be imported: "),
        (
            "reconciler:__version__",
            "its entry point does not return (class, dict): it is not a function",
        ),
        ("json:dumps", "its entry point fails: TypeError"),
    ],
)
def test_what_cannot_be_loaded_is_disabled_under_the_name_of_its_entry_point(
    plugins: Shelf, value: str, expected: str
) -> None:
    plugins.advertise("broken-plugin", "importers", "lost", value=value)
    assert reason(plugins).startswith(expected)
    assert plugins.registry().find("importer", "lost") is not None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            raising(RuntimeError("no database driver")),
            "its entry point fails: RuntimeError: no database driver",
        ),
        (
            raising(RuntimeError("two\n  lines\x1b[31m")),
            "its entry point fails: RuntimeError: two lines [31m",
        ),
        (raising(SystemExit(3)), "its entry point fails: SystemExit: 3"),
        (raising(GeneratorExit()), "its entry point fails: GeneratorExit"),
        (raising(Unreadable()), "its entry point fails: Unreadable: its message cannot be read"),
        (lambda: NotesImporter, "its entry point does not return (class, dict)"),
        (lambda: (NotesImporter, None), "its entry point does not return (class, dict)"),
        (lambda: (NotesImporter, {}, 1), "its entry point does not return (class, dict)"),
        (lambda: [NotesImporter, {}], "its entry point does not return (class, dict)"),
        (
            lambda: Hostile(),
            "its entry point does not return (class, dict): RuntimeError: no __class__",
        ),
        (
            lambda: (Hostile(), {}),
            "its entry point does not return (class, dict): RuntimeError: no __class__",
        ),
        (
            lambda: (NotesImporter, {1: 2}),
            "its plugin-level configuration has a key that is not a text",
        ),
        (Publisher, "its class does not derive from reconciler.plugin.Importer"),
        (
            lambda: (NotesImporter(), {}),
            "its class does not derive from reconciler.plugin.Importer",
        ),
        (Importer, "its metadata is malformed: NotImplementedError"),
    ],
)
def test_what_an_entry_point_gives_must_be_a_class_of_its_kind_and_a_dictionary(
    plugins: Shelf, answer: Any, expected: str
) -> None:
    plugins.add("broken-plugin", importers={"broken": answer})
    assert reason(plugins) == expected


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (importer_with(None), "`metadata()` must return Metadata"),
        (importer_with({"id": "broken"}), "`metadata()` must return Metadata"),
        (importer(id=""), "its `id` must be a text of letters, digits"),
        (importer(id=" "), "its `id` must be a text of letters, digits"),
        (importer(id="../elsewhere"), "its `id` must be a text of letters, digits"),
        (importer(id=None), "its `id` must be a text of letters, digits"),
        (importer(id=["unhashable"]), "its `id` must be a text of letters, digits"),
        (importer(name=b"Broken"), "`display_name` must be a text"),
        (importer(name=None), "`display_name` must be a text"),
        (importer(types="notes.note"), "`types` must be a sequence of content type IDs"),
        (importer(types=None), "`types` must be a sequence of content type IDs"),
        (importer(types={"notes.note"}), "`types` must be a sequence of content type IDs"),
        (importer(types=[["notes.note"]]), "`types` must be a sequence of content type IDs"),
        (importer(types=[""]), "`types` must be a sequence of content type IDs"),
        (importer(api="newest"), "`newest` is not a PEP 440 range of API versions"),
        (importer(api="1.0"), "`1.0` is not a PEP 440 range of API versions"),
        (importer(api=1), "`1` is not a PEP 440 range of API versions"),
        (importer(api=None), "`None` is not a PEP 440 range of API versions"),
    ],
)
def test_malformed_metadata_disables(plugins: Shelf, cls: type[Importer], expected: str) -> None:
    plugins.add("broken-plugin", importers={"broken": cls})
    text = reason(plugins)
    assert text.startswith("its metadata is malformed: ")
    assert expected in text


@pytest.mark.parametrize(
    ("group", "kind", "cls", "expected"),
    [
        (
            "importers",
            "importer",
            importer(options=dict),
            "its `options` does not derive from Options",
        ),
        (
            "importers",
            "importer",
            importer(filter_options=None),
            "its `filter_options` does not derive from Options",
        ),
        (
            "publishers",
            "publisher",
            publisher(options=Options()),
            "its `options` does not derive from Options",
        ),
        (
            "publishers",
            "publisher",
            publisher(revision="2"),
            "its `revision` must be a whole number",
        ),
        (
            "types",
            "content-type",
            content_type(id=None),
            "its metadata is malformed: its `id` must be a text",
        ),
        (
            "types",
            "content-type",
            content_type(id=7),
            "its metadata is malformed: its `id` must be a text",
        ),
        (
            "types",
            "content-type",
            type("Broken", (ContentType,), {}),
            "its metadata is malformed: its `id` must be a text",
        ),
        ("types", "content-type", content_type(plural=1), "its `plural` must be a text"),
        (
            "types",
            "content-type",
            content_type(revision=True),
            "its `revision` must be a whole number",
        ),
        (
            "types",
            "content-type",
            content_type(revision=1.0),
            "its `revision` must be a whole number",
        ),
        (
            "types",
            "content-type",
            content_type(kept_with=1),
            "its `kept_with` must be the ID of a content type, or None",
        ),
        *(
            ("publishers", "publisher", publisher(endpoints=[endpoint]), f"its endpoint {said}")
            for endpoint, said in [
                ("upload/", "'upload/' is no Endpoint"),
                (Endpoint("GET", "a"), "Endpoint(method='GET', path='a', form=False) has the meth"),
                (Endpoint("PUT", "../a"), "Endpoint(method='PUT', path='../a', form=False) has "),
                (Endpoint("PUT", "a/{b"), "Endpoint(method='PUT', path='a/{b', form=False) has "),
                (
                    Endpoint("PUT", "{a}/{a}"),
                    "Endpoint(method='PUT', path='{a}/{a}', form=False) names a parameter twice",
                ),
            ]
        ),
    ],
)
def test_malformed_attributes_disable(
    plugins: Shelf, group: str, kind: str, cls: type, expected: str
) -> None:
    plugins.add("broken-plugin", **{group: {"broken": cls}})
    assert reason(plugins, kind).startswith(expected)


MEETING = [
    "~=2.0",
    "~=2.0.0",
    "==2.0.0",
    "==2.*",
    "== 2.0.*",
    "!=3.0",
    "<=2.0.0",
    ">=1.0.0",
    "<3",
    ">1.9",
    "===2.0.0",
    ">=2.0,<3",
    ">=2.0.0a1,!=2.0.1",
    "",
]
MISSING = [
    "~=2.1",
    "~=1.4",
    "==2.0.1",
    "==3.*",
    "!=2.0.0",
    "!=2.*",
    "<=1.9",
    ">=2.0.1",
    "<2.0.0",
    ">2.0.0",
    "===2.0",
    ">=1.0,<2",
    ">=2.1.0a1",
]


@pytest.mark.parametrize("api", MEETING)
def test_every_comparator_can_let_this_version_in(plugins: Shelf, api: str) -> None:
    registry = plugins.add(importers={"ranged": importer("ranged", api=api)}).registry()
    registry.start()
    plugin = registry.importer("ranged")
    assert plugin.metadata is not None
    assert plugin.metadata.api == api


@pytest.mark.parametrize("api", MISSING)
def test_every_comparator_can_keep_this_version_out_and_both_are_named(
    plugins: Shelf, api: str
) -> None:
    plugins.add("broken-plugin", importers={"ranged": importer("ranged", api=api)})
    assert reason(plugins) == f"it supports plugin API {api}, this is {API_VERSION}"


def test_a_range_that_cannot_be_compared_disables_its_plugin_alone(plugins: Shelf) -> None:
    plugins.add("broken-plugin", importers={"ranged": importer("ranged", api=f"=={'9' * 5000}")})
    assert reason(plugins).startswith("its metadata is malformed: ValueError")


def test_a_plugin_outside_the_range_bears_its_own_id_not_its_entry_points(plugins: Shelf) -> None:
    registry = plugins.add(importers={"entry": importer("future", api=">=3")}).registry()
    assert [(plugin.id, plugin.enabled) for plugin in registry.all()] == [("future", False)]


def test_an_interrupt_is_the_users_and_no_plugins_fault(plugins: Shelf) -> None:
    registry = plugins.add(importers={"slow": raising(KeyboardInterrupt())}).registry()
    with pytest.raises(KeyboardInterrupt):
        registry.start()


def test_what_a_plugin_prints_while_it_is_imported_does_not_get_into_documents(
    plugins: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    def talking() -> Any:
        print("Welcome!")
        return NotesImporter, {}

    plugins.add(importers={"notes": talking}, types={"notes.note": Notes}).registry().start()
    assert capsys.readouterr() == ("", "Welcome!\n")


def test_metadata_is_asked_for_once(plugins: Shelf) -> None:
    asked = []

    class Counting(NotesImporter):
        @classmethod
        def metadata(cls) -> Metadata:
            asked.append(1)
            return super().metadata()

    registry = plugins.add(importers={"notes": Counting}, types={"notes.note": Notes}).registry()
    registry.start()
    registry.all()
    registry.importer("notes")
    assert len(asked) == 1


def test_what_is_known_of_a_plugin_does_not_change_with_its_own_lists(plugins: Shelf) -> None:
    types: Sequence[str] = ["notes.note"]
    config: dict[str, Any] = {"a": 1}
    cls = importer("notes", types=types)
    plugin = (
        plugins.add(importers={"notes": lambda: (cls, config)}, types={"notes.note": Notes})
        .registry()
        .importer("notes")
    )
    assert isinstance(types, list)
    types.append("nobody.knows")
    config["a"] = 2
    assert plugin.metadata is not None
    assert plugin.metadata.types == ("notes.note",)
    assert plugin.config == {"a": 1}


def test_settings_lie_over_a_plugins_own_configuration_key_by_key(plugins: Shelf) -> None:
    settings = PluginSettings({"notes": {"colour": None, "size": 2}, "other": {"colour": "blue"}})
    registry = plugins.add(
        importers={"notes": NotesImporter},
        publishers={"notes": NotesPublisher},
        types={"notes.note": Notes},
    ).registry(settings)
    assert registry.importer("notes").config == {"colour": None, "size": 2}
    assert registry.publisher("notes").config == {"colour": None, "size": 2}
    assert plugins.registry().importer("notes").config == {"colour": "red"}


def test_judging_leaves_nothing_of_stdout_behind(plugins: Shelf) -> None:
    before = sys.stdout
    plugins.add(importers={"broken": raising(SystemExit())}).registry().start()
    assert sys.stdout is before
