"""Several plugins: look-up by ID, conflicts, and what is loaded when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.plugin import ContentType, Importer, Metadata, Options, PluginFault, Publisher
from reconciler.plugin.registry import Registry
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


class OrphanImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("orphan", "Handles what nobody defines", ["nobody.knows"])


def broken() -> Any:
    raise RuntimeError("no such driver")


def refusal(registry: Registry) -> str:
    with pytest.raises(PluginFault) as raised:
        registry.start()
    assert "reconciler plugins" in (raised.value.hint or "")
    return raised.value.message


def test_a_good_plugin_is_enabled_with_its_configuration(plugins: Shelf) -> None:
    registry = plugins.add(
        "notes-plugin", "1.2", importers={"notes": NotesImporter}, types={"notes.note": Notes}
    ).registry()
    registry.start()
    plugin = registry.importer("notes")
    assert plugin.enabled
    assert plugin.cls is NotesImporter
    assert (plugin.distribution, plugin.distribution_version, plugin.config) == (
        "notes-plugin",
        "1.2",
        {"colour": "red"},
    )
    assert registry.content_type("notes.note") is Notes
    assert [plugin.id for plugin in registry.all()] == ["notes.note", "notes"]
    assert registry.ids("importer") == ["notes"]


def test_one_distribution_advertises_several_of_a_kind(plugins: Shelf) -> None:
    class Others(NotesImporter):
        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata("others", "Others", ["notes.note"])

    registry = plugins.add(
        importers={"notes": NotesImporter, "others": Others}, types={"notes.note": Notes}
    ).registry()
    registry.start()
    assert registry.ids("importer") == ["notes", "others"]


def test_a_plugin_is_found_under_its_id_whatever_its_entry_point_is_called(plugins: Shelf) -> None:
    registry = plugins.add(
        importers={"something-else": NotesImporter}, types={"note": Notes}
    ).registry()
    assert registry.importer("notes").cls is NotesImporter
    assert registry.find("importer", "something-else") is None


def test_a_broken_plugin_does_not_hide_a_sound_one_of_the_same_name(plugins: Shelf) -> None:
    plugins.add("broken-plugin", importers={"notes": broken}).add(
        importers={"entry": NotesImporter}, types={"notes.note": Notes}
    )
    registry = plugins.registry()
    registry.start()
    assert registry.importer("notes").cls is NotesImporter


def test_an_unknown_plugin_is_a_fault_that_says_where_to_look(plugins: Shelf) -> None:
    with pytest.raises(
        PluginFault, match="no installed plugin provides the importer `notes`"
    ) as raised:
        plugins.registry().importer("notes")
    assert "reconciler plugins" in (raised.value.hint or "")


def test_nothing_is_imported_before_it_is_asked_for(plugins: Shelf) -> None:
    def heavy() -> Any:
        raise AssertionError("nobody asked")

    registry = plugins.add(
        importers={"heavy": heavy, "notes": NotesImporter}, types={"notes.note": Notes}
    ).registry()
    assert registry.importer("notes").enabled
    assert registry.known_ids() == {"heavy", "notes", "notes.note"}
    assert registry.importer("notes").reason == ""


def test_starting_imports_what_is_foreign_and_nothing_of_ours(plugins: Shelf) -> None:
    loaded = []

    def noting(name: str, cls: type) -> Any:
        def entry_point() -> Any:
            loaded.append(name)
            return cls, {}

        return entry_point

    class Others(ContentType):
        id = "others.one"

    plugins.add(
        "Package_Reconciler",
        importers={"notes": noting("ours", NotesImporter)},
        types={"notes.note": noting("our type", Notes)},
    )
    registry = plugins.add("elsewhere", types={"others.one": noting("theirs", Others)}).registry()
    registry.start()
    assert loaded == ["theirs"]
    assert registry.importer("notes").enabled
    assert loaded == ["theirs", "ours", "our type"]


def test_what_comes_with_reconciler_is_sound_and_named_by_its_ids() -> None:
    """`start` relies on it."""
    registry = Registry()
    ours = [plugin for plugin in registry.all() if plugin.distribution == "package-reconciler"]
    assert len(ours) >= 4
    assert [plugin.reason for plugin in ours if not plugin.enabled] == []
    assert {plugin.id for plugin in ours} <= Registry().known_ids(), "IDs are names of entry points"


# Content types that cannot be had.


def test_a_content_type_that_nobody_defines_refuses_the_start(plugins: Shelf) -> None:
    plugins.add("orphan-plugin", importers={"orphan": OrphanImporter}).add(
        "sound", importers={"notes": NotesImporter}, types={"notes.note": Notes}
    )
    message = (
        "the importer `orphan` of orphan-plugin handles `nobody.knows`, a content type that no"
        " installed plugin defines"
    )
    assert refusal(plugins.registry()) == message
    with pytest.raises(
        PluginFault, match=r"`nobody\.knows`, a content type that no installed plugin defines"
    ):
        plugins.registry().importer("orphan")
    with pytest.raises(PluginFault, match=r"`nobody\.knows`"):
        plugins.registry().all()


def test_a_publisher_needs_its_content_types_too(plugins: Shelf) -> None:
    assert "the publisher `notes` of notes-plugin handles `notes.note`" in refusal(
        plugins.add(publishers={"notes": NotesPublisher}).registry()
    )


def test_the_content_types_of_another_distribution_serve_as_well(plugins: Shelf) -> None:
    registry = (
        plugins.add("importer-plugin", importers={"notes": NotesImporter})
        .add("type-plugin", types={"anything": Notes})
        .registry()
    )
    registry.start()
    assert registry.importer("notes").enabled


def test_an_importer_is_disabled_with_the_distribution_of_its_content_type(
    plugins: Shelf,
) -> None:
    registry = (
        plugins.add("type-plugin", types={"notes.note": broken})
        .add("importer-plugin", importers={"notes": NotesImporter})
        .registry()
    )
    registry.start()
    plugin = registry.find("importer", "notes")
    assert plugin is not None
    assert not plugin.refused
    assert (
        plugin.reason
        == "it handles `notes.note`, and the content type `notes.note` of type-plugin is disabled:"
        " its entry point fails: RuntimeError: no such driver"
    )
    with pytest.raises(
        PluginFault, match="the importer `notes` of importer-plugin is disabled: it handles"
    ):
        registry.importer("notes")


def test_a_distribution_whose_content_type_is_broken_under_another_name_disables_its_own_importers(
    plugins: Shelf,
) -> None:
    registry = plugins.add(
        importers={"notes": NotesImporter},
        publishers={"notes": NotesPublisher},
        types={"note": broken},
    ).registry()
    registry.start()
    assert [(plugin.kind, plugin.enabled, plugin.refused) for plugin in registry.all()] == [
        ("content-type", False, False),
        ("importer", False, False),
        ("publisher", False, False),
    ]


# IDs that two claim.


def test_an_id_that_two_distributions_claim_refuses_the_start_naming_both(plugins: Shelf) -> None:
    plugins.add("first-plugin", importers={"notes": NotesImporter}, types={"notes.note": Notes})
    registry = plugins.add("second-plugin", importers={"notes": NotesImporter}).registry()
    message = refusal(registry)
    assert message.startswith(
        "two plugins claim the importer ID `notes`: first-plugin (entry point "
    )
    assert "and second-plugin (entry point " in message
    with pytest.raises(PluginFault, match="two plugins claim"):
        registry.importer("notes")
    with pytest.raises(PluginFault, match="two plugins claim"):
        plugins.registry().all()


def test_two_entry_points_of_one_distribution_may_not_claim_an_id_either(plugins: Shelf) -> None:
    message = refusal(
        plugins.add(
            importers={"one": NotesImporter, "two": NotesImporter}, types={"notes.note": Notes}
        ).registry()
    )
    assert message.count("notes-plugin (entry point ") == 2


def test_a_content_type_that_two_define_refuses_the_start(plugins: Shelf) -> None:
    assert "content-type ID `notes.note`" in refusal(
        plugins.add("a", types={"x": Notes}).add("b", types={"y": Notes}).registry()
    )


@pytest.mark.parametrize("name", ["notes", "another"])
def test_a_foreign_plugin_that_claims_an_id_of_ours_refuses_the_start(
    plugins: Shelf, name: str
) -> None:
    plugins.add(
        "package-reconciler", importers={"notes": NotesImporter}, types={"notes.note": Notes}
    )
    message = refusal(plugins.add("elsewhere", importers={name: NotesImporter}).registry())
    assert "elsewhere (entry point" in message
    assert "package-reconciler (entry point" in message


def test_kinds_have_ids_of_their_own(plugins: Shelf) -> None:
    registry = plugins.add(
        importers={"notes": NotesImporter},
        publishers={"notes": NotesPublisher},
        types={"notes.note": Notes},
    ).registry()
    registry.start()
    assert registry.importer("notes").cls is not registry.publisher("notes").cls


def test_a_disabled_plugin_claims_nothing(plugins: Shelf) -> None:
    class Future(NotesImporter):
        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata("notes", "Notes", ["notes.note"], api=">=9")

    registry = (
        plugins.add("old", importers={"notes": NotesImporter}, types={"notes.note": Notes})
        .add("new", importers={"notes": Future})
        .registry()
    )
    registry.start()
    assert registry.importer("notes").distribution == "old"


def test_every_reason_to_refuse_the_start_is_told_at_once_and_the_examination_marks_the_culprits(
    plugins: Shelf,
) -> None:
    plugins.add(
        "a",
        importers={"notes": NotesImporter, "orphan": OrphanImporter},
        types={"notes.note": Notes},
    )
    registry = plugins.add("b", importers={"notes": NotesImporter}).registry()
    message = refusal(registry)
    assert "two plugins claim" in message
    assert "`nobody.knows`" in message
    refused = [(plugin.id, plugin.distribution) for plugin in registry.examined() if plugin.refused]
    assert refused == [("notes", "a"), ("notes", "b"), ("orphan", "a")]
    assert [plugin.id for plugin in registry.examined() if plugin.enabled] == ["notes.note"]


class Words(Options):
    language: str = "en"


class MoreWords(Words):
    strict: bool = False


class WordNotes(ContentType[Words, Words]):
    id = "notes.note"


@pytest.mark.parametrize(
    ("options", "filter_options", "reason"),
    [
        (MoreWords, Words, ""),
        (Words, Options, "its own, Options, must derive from them"),
        (Options, Words, "its own, Options, must derive from them"),
    ],
)
def test_a_content_type_is_given_only_options_that_it_knows(
    plugins: Shelf, options: type[Options], filter_options: type[Options], reason: str
) -> None:
    """So that no content type asks which options it has: a rule that it does not see is no rule."""

    class Knowing(NotesImporter):
        pass

    Knowing.options, Knowing.filter_options = options, filter_options
    registry = plugins.add(
        importers={"notes": Knowing},
        publishers={"notes": NotesPublisher},
        types={"notes.note": WordNotes},
    ).registry()
    plugin = registry.find("importer", "notes")
    assert plugin is not None
    assert plugin.reason.endswith(reason)
    assert plugin.enabled is not bool(reason)
    assert registry.publisher("notes").enabled
