"""Desired states, plans and sessions for tests of the engine that need no command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from reconciler.database import Writer
from reconciler.engine.plugin_calls.workdirs import Workdirs
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.errors import Origin
from reconciler.model import (
    DesiredState,
    Digest,
    Filter,
    Kind,
    Meta,
    Publication,
    Ref,
    Remote,
    Repository,
    Resource,
    Source,
    SourceKind,
    StoredUnit,
    Unit,
)
from reconciler.plan import Action, ContentChanges, Plan, ResourceChange
from reconciler.plugin import (
    ActiveFilter,
    ContentType,
    Decision,
    Importer,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Summary,
)
from reconciler.plugin.registry import Registry
from reconciler.store import LocalStore
from tests.support.databases import NOW

LATER = NOW + timedelta(days=1)


def meta(kind: Kind, name: str, folder: str = "") -> Meta:
    return Meta(kind, name, Origin(f"{folder}/site.yaml" if folder else "site.yaml", 1))


def a_remote(name: str = "up", policy: str = "immediate") -> Remote:
    return Remote(meta(Kind.REMOTE, name), {}, "test", policy=policy)


def a_source(
    name: str, kind: SourceKind = SourceKind.REMOTE, version: str | int = "latest"
) -> Source:
    id_ = kind.value if kind is SourceKind.UPLOAD else f"{kind.value}:{name}"
    return Source(id_, kind, name, {}, None, None, Origin("site.yaml", 1), version)


def copy_of(name: str, version: str | int = "latest") -> Source:
    return a_source(name, SourceKind.REPOSITORY, version)


def a_repository(
    name: str = "team", *sources: Source, mode: str = "mirror", filters: tuple[str, ...] = ()
) -> Repository:
    return Repository(
        meta(Kind.REPOSITORY, name), {"type": "test"}, "test", sources, filters=filters, mode=mode
    )


def a_publication(
    name: str = "team",
    *,
    repository: str = "team",
    path: str = "",
    version: str | int = "latest",
    written: Sequence[str] = (),
    folder: str = "",
    filters: tuple[str, ...] = (),
) -> Publication:
    """`written`: export directories as the manifest in `folder` writes them."""
    spec: dict[str, Any] = {"repository": repository, "path": path or name, "publisher": "test"}
    if written:
        spec["exports"] = [{"directory": {"path": text}} for text in written]
    return Publication(
        meta(Kind.PUBLICATION, name, folder),
        spec,
        repository,
        path or name,
        "test",
        version,
        exports=tuple(text if text.startswith("/") else f"{folder}/{text}" for text in written),
        filters=filters,
    )


def desired(*resources: Resource) -> DesiredState:
    def of(kind: type) -> Any:
        return {
            resource.meta.name: resource for resource in resources if isinstance(resource, kind)
        }

    return DesiredState(of(Remote), of(Filter), of(Repository), of(Publication))


def planned(
    kind: Kind,
    name: str,
    action: Action = Action.UPDATE,
    *,
    content: ContentChanges | None = None,
    version: tuple[int | None, int | None] = (None, None),
    refusal: str = "",
) -> ResourceChange:
    return ResourceChange(
        action, Ref(kind, name), content=content, version=version, refusal=refusal, hint="none"
    )


def a_plan(*changes: ResourceChange) -> Plan:
    return Plan(Digest.of(b"manifests"), changes)


class Rules(Options):
    """`deny`: keys that are kept out; `later`: keys that are kept out until LATER."""

    deny: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


class SourceOptions(Options):
    """`skip`: keys that the source keeps out."""

    skip: tuple[str, ...] = ()


def rules(name: str, *, deny: tuple[str, ...] = (), later: tuple[str, ...] = ()) -> Filter:
    options = Rules(deny=deny, later=later)
    return Filter(meta(Kind.FILTER, name), {}, "test", False, options)


@dataclass
class FakeRegistry:
    """One importer, one content type, one publisher.

    Attributes:
        options: Of a source.
        asked: Groups whose units were decided.
        rendered: Groups that the publisher was asked to render, by call.
        revision: Of what the publisher renders.
        on_publish: Called at the beginning of each rendering.
    """

    options: type[Options] = SourceOptions
    asked: list[str] = field(default_factory=list)
    rendered: list[list[str]] = field(default_factory=list)
    revision: int = 1
    on_publish: Callable[[PublishConduit], None] = lambda conduit: None

    def importer(self, type: str) -> Any:
        metadata = SimpleNamespace(types=("test.file",))
        return SimpleNamespace(cls=_importer(self.options), metadata=metadata)

    def content_type(self, name: str) -> type[ContentType]:
        return _content_type(self.asked)

    def publisher(self, id: str) -> Any:
        """Emits a page for each unit, and `index`; see `rendered`."""
        cls = _publisher(self)
        return SimpleNamespace(cls=cls, id=id, kind="publisher", config={})


def _publisher(registry: FakeRegistry) -> type[Publisher]:
    class Pages(Publisher):
        revision = registry.revision

        def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
            registry.on_publish(conduit)
            registry.rendered.append([])
            for name in conduit.changed_groups():
                registry.rendered[-1].append(name)
                with conduit.group(name) as output:
                    for unit in conduit.units(name):
                        output.page(f"{name}/{unit.key}", unit.key.encode(), "text/plain")
            with conduit.whole_repository() as output:
                output.page("index", ", ".join(conduit.groups()).encode(), "text/plain")

    return Pages


def _importer(options_: type[Options]) -> type[Importer]:
    class FakeImporter(Importer):
        options = options_

    return FakeImporter


def _content_type(asked: list[str]) -> type[ContentType]:
    class Files(ContentType):
        id = "test.file"
        plural = "files"

        @classmethod
        def select(
            cls,
            group: str,
            units: Sequence[Unit],
            options: Options | None,
            filters: Sequence[ActiveFilter],
            now: datetime,
        ) -> Iterable[Decision]:
            asked.append(group)
            return [_decision(unit, options, filters, now) for unit in units]

        @classmethod
        def summary(cls, unit: Unit | StoredUnit) -> Summary:
            return Summary("1.0", "file")

    return Files


def _decision(
    unit: Unit, options: Options | None, filters: Sequence[ActiveFilter], now: datetime
) -> Decision:
    if isinstance(options, SourceOptions) and unit.key in options.skip:
        return Decision(unit, accepted=False, reason="skipped by its source")
    for filter_ in filters:
        assert isinstance(filter_.options, Rules)
        if unit.key in filter_.options.deny:
            return Decision(unit, accepted=False, reason=f"{filter_.name}.deny")
        if unit.key in filter_.options.later and now < LATER:
            reason = f"{filter_.name}.later"
            return Decision(unit, accepted=False, reason=reason, reconsider_at=LATER)
    return Decision(unit, accepted=True)


def writing_session(
    folder: Path,
    writer: Writer,
    *,
    registry: Any = None,
    remotes: Any = None,
    now: datetime = NOW,
    clock: Callable[[], datetime] | None = None,
) -> WritingSession:
    """A session on a real database and store, with fakes of everything that is foreign."""
    return WritingSession(
        reader=writer,
        writer=writer,
        store=LocalStore(folder / "store"),
        registry=cast(Registry, registry or FakeRegistry()),
        remotes=cast(Remotes, remotes),
        workdirs=Workdirs(folder / "work"),
        measurements=Measurements(),
        clock=clock or (lambda: now),
        now=now,
    )
