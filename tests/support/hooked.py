"""A site whose plugins do what a test tells them, and keep a journal of it. Content comes out of
the manifest: nobody asks upstream.

`Hooked(folder, registry)` applies manifests in this process. `plugins(shelf, behaviour)` are the
importer `notes`, the publisher `notes` and the content type `notes.note`; a source's `groups` says
which keys each group holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from reconciler.database import Outcome, Reader
from reconciler.engine import Engine, Home, PlanOptions, Report
from reconciler.manifest import read, read_recorded
from reconciler.plan import Plan
from reconciler.plugin import (
    ContentType,
    Importer,
    Metadata,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    RepositoryInfo,
    SyncConduit,
    ValidateConduit,
)
from reconciler.plugin.registry import Registry
from tests.support.advertised import Shelf

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOTE = "notes.note"


@dataclass
class Behaviour:
    """What the plugins do. `raising`: by method; `rendering`: instead of one page for each group;
    `journal`: (method, repository, colour).
    """

    raising: dict[str, BaseException] = field(default_factory=dict)
    rendering: Callable[[PublishConduit], None] | None = None
    checking: Callable[[PluginCallConfiguration, ValidateConduit], None] | None = None
    journal: list[tuple[str, str, str]] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def called(
        self, method: str, repository: RepositoryInfo, config: PluginCallConfiguration
    ) -> None:
        self.journal.append((method, repository.name, config.get("colour", "")))
        self.folders.append(repository.working_directory)
        (self.folders[-1] / f"{method}.txt").write_text(method, encoding="utf-8")
        if method in self.raising:
            raise self.raising[method]

    def methods(self) -> list[str]:
        """What was called since the last time that this was asked."""
        names = [method for method, _, _ in self.journal]
        self.journal.clear()
        return names


class NoteSource(Options):
    groups: dict[str, list[str]] = Field(default_factory=dict)
    colour: str = "red"


class NotePages(Options):
    title: str = "Notes"
    colour: str = "red"


class Note(ContentType):
    id = NOTE
    plural = "notes"


def plugins(
    shelf: Shelf,
    behaviour: Behaviour,
    *,
    importers: Sequence[str] = ("notes",),
    publishers: Sequence[str] = ("notes",),
) -> Registry:
    """One plugin of each ID, all with this behaviour."""
    shelf.add(
        importers={id: _importer(id, behaviour) for id in importers},
        publishers={id: _publisher(id, behaviour) for id in publishers},
        types={NOTE: Note},
    )
    return shelf.registry()


def _importer(id: str, behaviour: Behaviour) -> type[Importer]:
    class NoteImporter(Importer):
        options = NoteSource

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Notes", (NOTE,), ">=2.0,<3")

        def validate_config(
            self,
            repository: RepositoryInfo,
            config: PluginCallConfiguration,
            conduit: ValidateConduit,
        ) -> None:
            _validate(behaviour, "validate_importer", repository, config, conduit)

        def importer_added(
            self, repository: RepositoryInfo, config: PluginCallConfiguration
        ) -> None:
            behaviour.called("importer_added", repository, config)

        def importer_removed(
            self, repository: RepositoryInfo, config: PluginCallConfiguration
        ) -> None:
            behaviour.called("importer_removed", repository, config)

        async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
            wanted = conduit.options.groups
            for group in list(conduit.groups()):
                for unit in conduit.units(group):
                    if unit.key not in wanted.get(group, ()):
                        conduit.remove_unit(unit)
            for group, keys in wanted.items():
                for key in keys:
                    conduit.save_unit(group, conduit.init_unit(NOTE, key, {}))

    return NoteImporter


def _publisher(id: str, behaviour: Behaviour) -> type[Publisher]:
    class NotePublisher(Publisher):
        options = NotePages

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Notes", (NOTE,), ">=2.0,<3")

        def validate_config(
            self,
            repository: RepositoryInfo,
            config: PluginCallConfiguration,
            conduit: ValidateConduit,
        ) -> None:
            _validate(behaviour, "validate_publisher", repository, config, conduit)

        def publisher_added(
            self, repository: RepositoryInfo, config: PluginCallConfiguration
        ) -> None:
            behaviour.called("publisher_added", repository, config)

        def publisher_removed(
            self, repository: RepositoryInfo, config: PluginCallConfiguration
        ) -> None:
            behaviour.called("publisher_removed", repository, config)

        def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
            (behaviour.rendering or render)(conduit)

    return NotePublisher


def _validate(
    behaviour: Behaviour,
    method: str,
    repository: RepositoryInfo,
    config: PluginCallConfiguration,
    conduit: ValidateConduit,
) -> None:
    behaviour.called(method, repository, config)
    if behaviour.checking is not None:
        behaviour.checking(config, conduit)


def render(conduit: PublishConduit) -> None:
    """A page for each group that holds something, and a list of them."""
    for name in conduit.changed_groups():
        with conduit.group(name) as output:
            keys = [unit.key for unit in conduit.units(name)]
            if keys:
                output.page(f"{name}/", " ".join(keys).encode(), "text/plain")
    with conduit.whole_repository() as output:
        output.page("index/", " ".join(conduit.groups()).encode(), "text/plain")


def resource(kind: str, name: str, spec: str) -> str:
    """One document; `spec` is a flow mapping without its braces."""
    return (
        f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )


def repository(
    name: str = "team",
    *,
    groups: str = "a: [one], b: [two]",
    more: str = "",
    type: str = "notes",
    plain: bool = False,
) -> str:
    """`more`: further keys of its source; `plain`: without any source."""
    sources = (
        ""
        if plain
        else (
            "sources: [{remote: {name: up, groups:"
            f" {{{groups}}}{', ' if more else ''}{more}}}}}], "
        )
    )
    return resource("Repository", name, f"type: {type}, {sources}guard: {{maxRemovals: 100%}}")


def publication(name: str = "team", *, of: str = "team", more: str = "") -> str:
    return resource(
        "Publication", name, f"repository: {of}, path: {name}{', ' if more else ''}{more}"
    )


class Hooked:
    """Manifests in `<folder>/site.yaml`, state in `<folder>/home`."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.manifest = folder / "site.yaml"
        self.home = Home(folder / "home")
        self.registry = registry

    def declare(self, *documents: str, type: str = "notes") -> None:
        """These are the manifests from now on, and a remote `up` that nobody asks."""
        up = resource("Remote", "up", f"type: {type}, url: https://notes.example.org/")
        self.manifest.write_text("---\n".join((up, *documents)), encoding="utf-8")

    def apply(self, *overrides: str, prune: bool = False) -> Report:
        return asyncio.run(self._apply(overrides, prune))

    def applied(self, *documents: str, prune: bool = False) -> Report:
        """Declare and apply, which must succeed."""
        self.declare(*documents)
        report = self.apply(prune=prune)
        assert not report.failed, report.outcomes
        return report

    async def _apply(self, overrides: Sequence[str], prune: bool) -> Report:
        async with Engine(
            self.home, self.registry, read_recorded, writes=True, clock=lambda: NOW
        ) as engine:
            desired = read([self.manifest], self.registry, overrides=overrides)
            return await engine.apply(
                desired, PlanOptions(prune=prune, allow_destroy=prune), {}, show=lambda plan: None
            )

    def plan(self, *overrides: str) -> Plan:
        return asyncio.run(self._plan(overrides))

    async def _plan(self, overrides: Sequence[str]) -> Plan:
        async with Engine(self.home, self.registry, read_recorded, clock=lambda: NOW) as engine:
            return await engine.plan(
                read([self.manifest], self.registry, overrides=overrides), PlanOptions()
            )

    def ask(self, question: Callable[[Reader], Any]) -> Any:
        """An answer of the database."""
        with self.home.database() as database:
            return question(database.reader())

    def recorded(self) -> list[str]:
        """References of everything that is recorded, without the remote."""
        return sorted(
            str(ref)
            for ref in self.ask(lambda reader: reader.actual_state()).resources
            if str(ref) != "remote/up"
        )

    def owners(self, name: str = "team") -> list[str]:
        """Plugins that are attached to a repository."""
        state = self.ask(lambda reader: reader.actual_state()).repositories[name]
        return [
            attachment.owner for attachment in self.ask(lambda reader: reader.attachments(state.id))
        ]

    def note(self, owner: str, name: str = "team") -> Any:
        """The scratchpad of a plugin."""
        state = self.ask(lambda reader: reader.actual_state()).repositories[name]
        return self.ask(lambda reader: reader.scratchpad(state.id, owner))

    def folders(self) -> list[str]:
        """Working directories that exist."""
        work = self.home.root / "work"
        return sorted(str(path.relative_to(work)) for path in work.glob("*/*"))

    def served(self, name: str = "team") -> dict[str, tuple[str, int]]:
        """What a publication serves: path -> (media type, bytes); empty where nothing is served."""
        one = self.ask(lambda reader: reader.actual_state()).publications[name]
        record = self.ask(lambda reader: reader.publication(one.id))
        if record is None:
            return {}
        return {
            entry.path: (entry.media_type, entry.size)
            for entry in self.ask(lambda reader: list(reader.all_entries(one.id, record.number)))
        }


def outcome(report: Report, ref: str) -> Outcome:
    """What became of one resource; exactly one thing did."""
    [found] = [outcome for outcome in report.outcomes if outcome.ref == ref]
    return found
