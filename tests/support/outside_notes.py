"""Plugins that come from outside: a project of its own holds a copy of this module, pip installs
that, and the command line finds it.

Like any plugin it imports nothing of ours but `reconciler.plugin`. Two importers, three publishers
and two content types come from the one distribution: `notes` the low-level way, whose content
stands in the manifest; `pages` the high-level way, from a web folder.

`notes` does what the keys of a manifest say, and writes what it was asked for into the file that
`$NOTES_JOURNAL` names. `misdeeds`: `fail METHOD`, `forbid`, `keep` (its conduits), `reuse CONDUIT`
(one that was kept), `note object` (in a scratchpad).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from reconciler.plugin import (
    GENERIC_UPLOAD,
    UNCHANGED,
    Artifact,
    ContentType,
    CopyConduit,
    Endpoint,
    Group,
    GroupedUnit,
    Importer,
    Malformed,
    Metadata,
    OptionFault,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReadConduit,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    RepositoryInfo,
    StoredUnit,
    SyncConduit,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
    ValidateConduit,
    WritableScratchpads,
)

NOTE, PAGE = "notes.note", "pages.page"
API = ">=2.0,<3"
SIGNS = ("changed_groups", "counts", "save_unit", "set_scratchpad", "source", "to_importer")

kept: dict[str, Any] = {}


class NoteSource(Options):
    groups: dict[str, tuple[str, ...]] = Field(default={}, strict=False)
    colour: str = "white"
    misdeeds: tuple[str, ...] = ()


class NotePages(Options):
    title: str = "Notes"
    misdeeds: tuple[str, ...] = ()


class Note(ContentType):
    id = NOTE
    plural = "notes"


class Page(ContentType):
    id = PAGE
    plural = "pages"


class Journal:
    """What the low-level importer and its publisher have in common."""

    def told(
        self,
        method: str,
        repository: RepositoryInfo,
        config: PluginCallConfiguration,
        conduit: Any = None,
        kind: str = "",
    ) -> None:
        """Write down that it was called, and do what the manifest asks for besides."""
        line = {
            "call": method,
            "repository": repository.name,
            "knows": sorted(vars(self)),
            "folder": str(repository.working_directory),
            "colour": config.get("colour", "none"),
            "ink": config.get("ink", "none"),
            "offers": [sign for sign in SIGNS if conduit is not None and hasattr(conduit, sign)],
            "note": conduit.get_scratchpad() if conduit is not None else None,
            "shared": conduit.get_repository_scratchpad() if conduit is not None else None,
        }
        with open(os.environ["NOTES_JOURNAL"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        repository.working_directory.joinpath(f"{method}.txt").touch()
        self.called = method
        misdeeds = config.get("misdeeds", ())
        if f"fail {method}" in misdeeds:
            raise RuntimeError(f"{method} was told to fail")
        self.misuse(misdeeds, conduit, kind)

    def misuse(self, misdeeds: Iterable[str], conduit: Any, kind: str) -> None:
        for misdeed in misdeeds:
            verb, _, which = misdeed.partition(" ")
            if verb == "keep" and conduit is not None:
                kept[kind] = conduit
            elif verb == "reuse" and conduit is not None and kind != "ValidateConduit":
                kept[which].get_scratchpad()

    def note(self, conduit: WritableScratchpads, config: PluginCallConfiguration, who: str) -> None:
        """Count its calls in its own scratchpad, and sign the shared one."""
        before = conduit.get_scratchpad() or {"by": who, "calls": 0}
        conduit.set_scratchpad({**before, "calls": before["calls"] + 1})
        conduit.set_repository_scratchpad(
            sorted({*(conduit.get_repository_scratchpad() or ()), who})
        )
        if "note object" in config.get("misdeeds", ()):
            conduit.set_scratchpad({"seen": [{"when": datetime.now(UTC)}]})


class NoteImporter(Journal, Importer):
    options = NoteSource

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes in manifests", [NOTE], API)

    def validate_config(
        self, repository: RepositoryInfo, config: PluginCallConfiguration, conduit: ValidateConduit
    ) -> None:
        self.told("validate importer", repository, config, conduit, "ValidateConduit")
        if conduit.options.colour == "purple" and not conduit.counts().get(NOTE):
            raise OptionFault(
                "an empty repository cannot be purple", hint="bring in some notes first"
            )

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        self.told("importer_added", repository, config)

    def importer_removed(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        self.told("importer_removed", repository, config)

    async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
        self.told("sync", conduit.repository, config, conduit, "SyncConduit")
        self.note(conduit, config, "importer")
        wanted = {(group, key) for group, keys in conduit.options.groups.items() for key in keys}
        for unit in [unit for group in conduit.groups() for unit in conduit.units(group)]:
            if (unit.group, unit.key) not in wanted:
                conduit.remove_unit(unit)
        for group, key in sorted(wanted):
            conduit.save_unit(
                group, conduit.init_unit(NOTE, key, {"colour": conduit.options.colour})
            )

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        self.told("upload", conduit.repository, config, conduit, "UploadConduit")
        return [
            (
                "sent",
                Unit(
                    NOTE,
                    file.name,
                    {"colour": "sent"},
                    [Artifact(file.name, file.sha256, file.size)],
                ),
            )
        ]

    async def copy(
        self, conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        misdeeds: Iterable[str] = conduit.options.misdeeds
        config = PluginCallConfiguration({}, {"misdeeds": misdeeds}, {})
        self.told("copy", conduit.repository, config, conduit, "CopyConduit")
        assert units == conduit.source.units(group)
        return units


class NotePublisher(Journal, Publisher):
    options = NotePages

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("notes", "Notes as a list", [NOTE], API)

    def validate_config(
        self, repository: RepositoryInfo, config: PluginCallConfiguration, conduit: ValidateConduit
    ) -> None:
        self.told("validate publisher", repository, config, conduit, "ValidateConduit")
        if conduit.options.title == repository.name:
            raise OptionFault("a title says more than the repository's name")

    def publisher_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        self.told("publisher_added", repository, config)

    def publisher_removed(
        self, repository: RepositoryInfo, config: PluginCallConfiguration
    ) -> None:
        self.told("publisher_removed", repository, config)

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        self.told("publish", conduit.repository, config, conduit, "PublishConduit")
        self.note(conduit, config, "publisher")
        for name in conduit.changed_groups():
            units = conduit.units(name)
            with conduit.group(name) as output:
                if units:
                    output.page(
                        f"{name}/", " ".join(unit.key for unit in units).encode(), "text/plain"
                    )
        with conduit.whole_repository() as output:
            output.page("title/", config.get("title", "Notes").encode(), "text/plain")


class BoardPublisher(NotePublisher):
    """A second publisher of the same content."""

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("board", "Notes on a board", [NOTE], API)


class PageImporter(Importer):
    """`index.json` is `{folder: [{name, sha256, size}]}`; a page lies at `<folder>/<name>`. It has
    no hook, and no check of its own.
    """

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("pages", "Pages of a web folder", [PAGE], API)

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        index = await conduit.get_json("index.json")
        if not isinstance(index, dict):
            raise Malformed(f"{conduit.url}index.json: not a mapping of folders")
        for folder, listed in index.items():
            yield Group(folder, validator=json.dumps(listed, sort_keys=True), data=listed)

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit] | Unchanged:
        if group.validator is not None and conduit.unchanged(group.validator):
            return UNCHANGED
        return [
            Unit(
                PAGE,
                one["name"],
                {},
                [
                    Artifact(
                        one["name"],
                        one["sha256"],
                        one["size"],
                        f"{conduit.url}{group.name}/{one['name']}",
                    )
                ],
            )
            for one in group.data
        ]

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        return [
            (
                fields.get("folder", "sent"),
                Unit(PAGE, file.name, {}, [Artifact(file.name, file.sha256, file.size)]),
            )
        ]

    async def copy(
        self, conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        return [unit for unit in units if not unit.key.startswith("draft-")]


class PagePublisher(Publisher):
    """The pages where upstream has them, and an `index.json` that the importer reads again. Files
    are sent to `post/` or `upload/`.
    """

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("pages", "Pages as a web folder", [PAGE], API)

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for folder in conduit.changed_groups():
            with conduit.group(folder) as output:
                for unit in conduit.units(folder):
                    output.file(f"{folder}/{unit.key}", unit.artifacts[0], "text/plain")
        index = {
            folder: [_listed(unit) for unit in conduit.units(folder)] for folder in conduit.groups()
        }
        with conduit.whole_repository() as output:
            output.page("index.json", json.dumps(index).encode(), "application/json")

    endpoints = (GENERIC_UPLOAD, Endpoint("POST", "post/"))

    def receive(
        self, conduit: ReceiveConduit, request: ReceivedRequest
    ) -> Received | Iterable[GroupedUnit]:
        if request.path == "post/":
            return conduit.to_importer(request.files[0], {"folder": "post"})
        return super().receive(conduit, request)


def _listed(unit: StoredUnit) -> dict[str, Any]:
    [file] = unit.artifacts
    return {"name": unit.key, "sha256": file.sha256, "size": file.size}


def notes_importer() -> tuple[type[Importer], dict[str, Any]]:
    return NoteImporter, {"colour": "grey", "ink": "blue"}


def pages_importer() -> tuple[type[Importer], dict[str, Any]]:
    return PageImporter, {}


def notes_publisher() -> tuple[type[Publisher], dict[str, Any]]:
    return NotePublisher, {"title": "Notes of the entry point"}


def board_publisher() -> tuple[type[Publisher], dict[str, Any]]:
    return BoardPublisher, {}


def pages_publisher() -> tuple[type[Publisher], dict[str, Any]]:
    return PagePublisher, {}


def note() -> tuple[type[ContentType], dict[str, Any]]:
    return Note, {}


def page() -> tuple[type[ContentType], dict[str, Any]]:
    return Page, {}
