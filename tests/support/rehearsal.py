"""A site whose importers do what a test tells them, step by step, over a real database, a real
store and, where bytes matter, a real server.

    with rehearsal(tmp_path) as stage:
        stage.says("a", stage.file("one"), validator="1")      # what `up` holds in group `a`
        stage.declare(remote(stage), repository())
        stage.applied()
        assert stage.held() == ["a/one"]

The importer `lines` declares and reads, `records` does the same through `sync`; what either does
can be replaced by the hooks of `Script`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.cli.serve_adapter import assembled
from reconciler.database import Reader
from reconciler.engine import CallLimits, Engine, Home, PlanOptions, Report
from reconciler.engine.service import Service, uploaded_file
from reconciler.engine.uploads.receiving import UploadResult
from reconciler.manifest import read, read_recorded
from reconciler.model import Digest, Kind, stored_unit
from reconciler.plan import ContentChanges, Plan, render_text
from reconciler.plugin import (
    UNCHANGED,
    ActiveFilter,
    Artifact,
    ContentType,
    CopyConduit,
    Decision,
    Group,
    Importer,
    ImporterCall,
    Metadata,
    Options,
    Placed,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Refused,
    Step,
    StoredUnit,
    SyncConduit,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
)
from reconciler.plugin.registry import Registry
from tests.support.advertised import shelf
from tests.support.asgi import Answer, Client, live
from tests.support.faulty import FaultyServer, body, running
from tests.support.uploading import FORM, form

LINE = "lines.line"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class LineSource(Options):
    """`skip`: keys that are kept out; `upstream`: which one of the script is meant."""

    skip: tuple[str, ...] = ()
    upstream: str = "up"


class LineRules(Options):
    """`deny`: keys; `later`: keys that are let in a day after `NOW`, unless they were uploaded;
    `max`: bytes.
    """

    deny: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    max: int | None = None


@dataclass
class Holdings:
    """What one upstream holds: units by group, validators by group, and a validator of it all."""

    groups: dict[str, list[Unit]] = field(default_factory=dict)
    validators: dict[str, str | None] = field(default_factory=dict)
    validator: str | None = None


@dataclass
class Script:
    """What the importers do. `declared`, `asked`: what was called, by upstream and group. Each hook
    replaces what the importer would do.
    """

    upstreams: dict[str, Holdings] = field(default_factory=dict)
    failing: dict[str, BaseException] = field(
        default_factory=dict
    )  # by group, by `declare` or by `sync`
    declared: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    traced: list[str] = field(default_factory=list)
    on_declare: Callable[[ImporterCall], AsyncIterator[Group | Unchanged]] | None = None
    on_read: Callable[[ImporterCall, Group], Any] | None = None
    on_sync: Callable[[SyncConduit], Any] | None = None
    on_copy: Callable[[CopyConduit, str, Sequence[StoredUnit]], Any] | None = None
    on_upload: Callable[[UploadConduit, UploadedFile], Iterable[Placed]] | None = None
    on_remove: Callable[[UploadConduit, Sequence[StoredUnit]], Iterable[StoredUnit]] | None = None
    on_trace: Callable[[Unit], Iterable[Step]] | None = None
    replaceable: bool = True

    def upstream(self, name: str) -> Holdings:
        return self.upstreams.setdefault(name, Holdings())

    def fail(self, where: str) -> None:
        if where in self.failing:
            raise self.failing[where]

    def forget(self) -> None:
        """Begin to note calls anew."""
        for calls in (self.declared, self.asked, self.decided, self.copied, self.traced):
            calls.clear()


def _content(script: Script) -> type[ContentType]:
    class Line(ContentType):
        id = LINE
        plural = "lines"

        @classmethod
        def select(
            cls,
            group: str,
            units: Sequence[Unit],
            options: Options | None,
            filters: Sequence[ActiveFilter],
            now: datetime,
        ) -> Iterable[Decision]:
            script.decided.append(group)
            return [_decision(unit, options, filters, now) for unit in units]

        @classmethod
        def refusal(cls, before: StoredUnit, after: Unit, options: Options | None) -> str | None:
            return None if script.replaceable else "it must not be replaced"

        @classmethod
        def trace(
            cls,
            group: str,
            units: Sequence[Unit],
            traced: Sequence[Unit],
            options: Options | None,
            filters: Sequence[ActiveFilter],
            now: datetime,
        ) -> Iterable[Iterable[Step]]:
            script.traced += [unit.key for unit in traced]
            return (
                map(script.on_trace, traced)
                if script.on_trace is not None
                else super().trace(group, units, traced, options, filters, now)
            )

    return Line


def _decision(
    unit: Unit, options: Options | None, filters: Sequence[ActiveFilter], now: datetime
) -> Decision:
    if isinstance(options, LineSource) and unit.key in options.skip:
        return Decision(unit, accepted=False, reason="skipped")
    for filter_ in filters:
        assert isinstance(filter_.options, LineRules)
        if unit.key in filter_.options.deny:
            return Decision(unit, accepted=False, reason=f"{filter_.name}.deny")
        if filter_.options.max is not None and any(
            (part.size or 0) > filter_.options.max for part in unit.artifacts
        ):
            return Decision(unit, accepted=False, reason=f"{filter_.name}.max")
        if (
            options is not None
            and unit.key in filter_.options.later
            and now < NOW + timedelta(days=1)
        ):
            return Decision(
                unit,
                accepted=False,
                reason=f"{filter_.name}.later",
                reconsider_at=NOW + timedelta(days=1),
            )
    return Decision(unit, accepted=True)


def _high(script: Script, id: str = "lines") -> type[Importer]:
    class LineImporter(Importer):
        options = LineSource
        filter_options = LineRules

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Lines", (LINE,), ">=1.0,<2")

        async def declare(self, call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
            script.declared.append(call.options.upstream)
            script.fail("declare")
            if script.on_declare is not None:
                async for one in script.on_declare(call):
                    yield one
                return
            upstream = script.upstream(call.options.upstream)
            if upstream.validator is not None and call.unchanged(upstream.validator):
                yield UNCHANGED
                return
            for name in upstream.groups:
                yield Group(name, upstream.validators.get(name), listed=True)

        async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit] | Unchanged:
            script.asked.append(f"{call.options.upstream}/{group.name}")
            script.fail(group.name)
            if script.on_read is not None:
                answer: Iterable[Unit] | Unchanged = await script.on_read(call, group)
                return answer
            return script.upstream(call.options.upstream).groups[group.name]

        def upload(
            self,
            conduit: UploadConduit,
            file: UploadedFile,
            fields: Mapping[str, str],
            config: PluginCallConfiguration,
        ) -> Iterable[Placed]:
            return _upload(script, conduit, file, fields=fields)

        def remove(
            self, conduit: UploadConduit, units: Sequence[StoredUnit]
        ) -> Iterable[StoredUnit]:
            return script.on_remove(conduit, units) if script.on_remove is not None else units

    return LineImporter


def _low(script: Script) -> type[Importer]:
    class RecordImporter(Importer):
        options = LineSource
        filter_options = LineRules

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata("records", "Recorded lines", (LINE,), ">=1.0,<2")

        async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
            script.declared.append(conduit.options.upstream)
            if script.on_sync is not None:
                await script.on_sync(conduit)
                return
            upstream = script.upstream(conduit.options.upstream)
            if upstream.validator is not None and conduit.unchanged(upstream.validator):
                return
            for name in sorted({*upstream.groups, *conduit.groups()}):
                listed = {unit.key for unit in upstream.groups.get(name, [])}
                for held in conduit.units(name):
                    if held.key not in listed:
                        conduit.remove_unit(held)
                for unit in upstream.groups.get(name, []):
                    conduit.save_unit(name, unit)
            script.fail("sync")

    return RecordImporter


def _copying(script: Script) -> type[Importer]:
    class CopyingImporter(_high(script, "copies")):  # type: ignore[misc]  # made for this script
        async def copy(
            self, conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
        ) -> Iterable[StoredUnit]:
            script.copied.append(group)
            assert script.on_copy is not None
            chosen: Iterable[StoredUnit] = await script.on_copy(conduit, group, units)
            return chosen

    return CopyingImporter


def _upload(
    script: Script, conduit: UploadConduit, file: UploadedFile, *, fields: Mapping[str, str]
) -> Iterable[Placed]:
    if script.on_upload is not None:
        return script.on_upload(conduit, file)
    if file.name.startswith("."):
        raise Refused(f"`{file.name}` is hidden")
    artifact = Artifact(file.name, file.sha256, file.size)
    return [
        (
            fields.get("group", "uploads"),
            Unit(LINE, file.name, {"by": fields.get("by", "")}, [artifact]),
        )
    ]


def _publisher(id: str) -> type[Publisher]:
    class LinePublisher(Publisher):
        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Lines", (LINE,), ">=1.0,<2")

        def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
            for name in conduit.changed():
                with conduit.group(name) as output:
                    for artifact in (
                        artifact for unit in conduit.units(name) for artifact in unit.artifacts
                    ):
                        output.file(f"{name}/{artifact.path}", artifact.sha256, "text/plain")
            with conduit.whole() as output:
                output.page("index/", "\n".join(conduit.groups()).encode(), "text/plain")

    return LinePublisher


def resource(kind: str, name: str, spec: str) -> str:
    """One document; `spec` is a flow mapping without its braces."""
    return (
        f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )


def rules(spec: str, *, type: str = "lines") -> str:
    return resource("Filter", "rules", f"type: {type}, global: true, {spec}")


def repository(
    name: str = "team", *sources: str, type: str = "lines", more: str = "", removals: str = "100%"
) -> str:
    """`sources`: flow mappings of entries; the remote `up` without any."""
    listed = ", ".join(f"{{{source}}}" for source in sources or ("remote: {name: up}",))
    return resource(
        "Repository",
        name,
        f"type: {type}, sources: [{listed}], guard: {{maxRemovals:"
        f" {removals}}}{', ' if more else ''}{more}",
    )


def source(name: str, more: str = "") -> str:
    """An entry of `sources`: a remote with an upstream of its own."""
    return f"remote: {{name: {name}, upstream: {name}{', ' if more else ''}{more}}}"


def copy(base: str = "team", *, version: str = "latest", more: str = "") -> str:
    """An entry of `sources` that copies from another repository."""
    return f"repository: {{name: {base}, version: {version}{', ' if more else ''}{more}}}"


def publication(name: str = "team", *, of: str = "team", more: str = "") -> str:
    return resource(
        "Publication", name, f"repository: {of}, path: {name}{', ' if more else ''}{more}"
    )


class Rehearsal:
    """Manifests in `<folder>/site.yaml`, state in `<folder>/home`. `now` is what the engine takes
    for the time.
    """

    def __init__(
        self, folder: Path, script: Script, registry: Registry, *, server: FaultyServer
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.script = script
        self.registry = registry
        self.server = server
        self.manifest = folder / "site.yaml"
        self.home = Home(folder / "home")
        self.now = NOW
        self.limits: CallLimits | None = None

    def file(
        self,
        key: str,
        data: bytes | None = None,
        *,
        named: bool = True,
        size: bool = True,
        conditional: bool = False,
    ) -> Unit:
        """A unit with one artifact that the server has. `named`: with its digest; `size`: with its
        size.
        """
        data = key.encode() * 10 if data is None else data
        self.server.on(f"/{key}", body(data, conditional=conditional))
        digest = hashlib.sha256(data).hexdigest() if named else ""
        return Unit(
            LINE,
            key,
            {},
            [Artifact(key, digest, len(data) if size else None, self.server.url(f"/{key}"))],
        )

    def bare(self, key: str, **metadata: Any) -> Unit:
        """A unit without any bytes."""
        return Unit(LINE, key, metadata)

    def says(
        self, group: str, *units: Unit, name: str = "up", validator: str | None = None
    ) -> None:
        """An upstream holds this in a group from now on; without units the group is empty."""
        upstream = self.script.upstream(name)
        upstream.groups[group] = list(units)
        upstream.validators[group] = validator

    def drops(self, group: str, name: str = "up") -> None:
        del self.script.upstream(name).groups[group]

    def validator(self, text: str | None, name: str = "up") -> None:
        """What an upstream says of all that it holds."""
        self.script.upstream(name).validator = text

    def remote(self, name: str = "up", *, type: str = "lines", more: str = "") -> str:
        return resource(
            "Remote",
            name,
            f"type: {type}, url: '{self.server.url('/')}', retries: 0{', ' if more else ''}{more}",
        )

    def declare(self, *documents: str) -> None:
        """These are the manifests from now on."""
        self.manifest.write_text("---\n".join(documents), encoding="utf-8")

    def apply(self, *overrides: str, destroy: bool = True, prune: bool = False) -> Report:
        return asyncio.run(self._apply(overrides, PlanOptions(prune=prune, allow_destroy=destroy)))

    def applied(self, **allowed: Any) -> Report:
        """Apply, which must succeed."""
        report = self.apply(**allowed)
        assert not report.failed, report.outcomes
        return report

    def failed(self, ref: str = "repository/team", **allowed: Any) -> str:
        """Apply, which must fail for one resource; what is said of it."""
        [found] = [outcome for outcome in self.apply(**allowed).outcomes if outcome.ref == ref]
        assert found.result == "failed", found
        return found.message

    async def _apply(self, overrides: Sequence[str], options: PlanOptions) -> Report:
        async with self.engine(writes=True) as engine:
            return await engine.apply(
                read([self.manifest], self.registry, overrides=overrides),
                options,
                {"commit": "c0ffee"},
                show=lambda plan: None,
            )

    def engine(self, **more: Any) -> Engine:
        return Engine(self.home, self.registry, clock=lambda: self.now, limits=self.limits, **more)

    def plan(self, *, offline: bool = False, destroy: bool = True) -> Plan:
        async def run() -> Plan:
            async with self.engine(offline=offline) as engine:
                return await engine.plan(
                    read([self.manifest], self.registry), PlanOptions(allow_destroy=destroy)
                )

        return asyncio.run(run())

    def text(self, **how: Any) -> str:
        """The plan as people read it."""
        return "\n".join(render_text(self.plan(**how), verbose=True))

    def content(self, name: str = "team", **how: Any) -> ContentChanges:
        """What a plan says of a repository's content."""
        [found] = [
            change.content
            for change in self.plan(**how).changes
            if change.ref.kind is Kind.REPOSITORY and change.ref.name == name
        ]
        assert found is not None
        return found

    def settled(self) -> bool:
        """Is there nothing left to do, nor anything that failed?"""
        plan = self.plan()
        return plan.empty and not plan.failed

    def explain(
        self,
        subject: str,
        name: str = "team",
        *,
        offline: bool = False,
        verbose: bool = False,
        declared: bool = False,
        overrides: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Why something is in a repository. `declared`: by the manifests, else by what was
        recorded.
        """
        desired = read([self.manifest], self.registry, overrides=overrides) if declared else None

        async def run() -> dict[str, Any]:
            async with self.engine(offline=offline) as engine:
                by_record = partial(read_recorded, registry=self.registry, overrides=overrides)
                return await engine.explain(
                    name,
                    subject,
                    lambda actual: by_record(actual).desired,
                    declared=desired,
                    verbose=verbose,
                )

        return asyncio.run(run())

    def ask(self, question: Callable[[Reader], Any]) -> Any:
        """An answer of the database."""
        with self.home.database() as database:
            return question(database.reader())

    def number(self, name: str = "team") -> int:
        number: int = self.ask(lambda reader: reader.actual_state()).repositories[name].number
        return number

    def digest(self, name: str = "team") -> str:
        return str(self.ask(lambda reader: reader.actual_state()).repositories[name].digest)

    def held(self, name: str = "team") -> list[str]:
        """`group/key` of all that the latest version holds."""
        return [f"{unit.group}/{unit.key}" for unit in self.units(name)]

    def units(self, name: str = "team") -> list[StoredUnit]:
        def of(reader: Reader) -> list[StoredUnit]:
            state = reader.actual_state().repositories[name]
            groups = list(reader.group_names(state.id, state.number))
            return [
                unit
                for units in reader.units(state.id, state.number, groups).values()
                for unit in units
            ]

        return sorted(self.ask(of), key=lambda unit: (unit.group, unit.key))

    def sources(self, name: str = "team") -> dict[str, set[str]]:
        """`group/key` -> the sources that brought it."""

        def of(reader: Reader) -> dict[str, set[str]]:
            state = reader.actual_state().repositories[name]
            found: dict[str, set[str]] = {}
            for group in list(reader.group_names(state.id, state.number)):
                for unit in reader.find_units(state.id, state.number, group):
                    found.setdefault(f"{group}/{stored_unit(unit.body).key}", set()).add(
                        unit.source
                    )
            return found

        found: dict[str, set[str]] = self.ask(of)
        return found

    def committed(self, source: str = "remote:up", name: str = "team") -> Any:
        """How a source stood as a whole."""
        return self.ask(
            lambda reader: reader.committed_source(
                reader.actual_state().repositories[name].id, source
            )
        )

    def note(self, owner: str = "importer:lines", name: str = "team") -> Any:
        """The scratchpad of a plugin."""
        return self.ask(
            lambda reader: reader.scratchpad(reader.actual_state().repositories[name].id, owner)
        )

    def has(self, data: bytes) -> bool:
        """Are these bytes in the store?"""
        return self.home.store().has(Digest.of(data))

    def downloads(self) -> list[str]:
        """What was sent, in the order of the paths; conditional requests count as `?path`."""
        return sorted(
            ("?" if "if-none-match" in request.headers else "") + request.path
            for request in self.server.requests
        )

    def upload(
        self,
        name: str,
        data: bytes,
        *,
        to: str = "team",
        principal: str = "ada",
        fields: Mapping[str, str] | None = None,
    ) -> UploadResult:
        """A file for a repository."""
        path = self.folder / "files" / hashlib.sha256(data).hexdigest() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        taken: UploadResult = asyncio.run(
            self.serviced(
                lambda service: service.upload(
                    to, uploaded_file(path), fields or {}, principal=principal
                )
            )
        )
        return taken

    def remove(self, *keys: str, of: str = "team") -> UploadResult:
        taken: UploadResult = asyncio.run(
            self.serviced(lambda service: service.remove(of, list(keys), "ada"))
        )
        return taken

    def get(self, *paths: str) -> list[Answer]:
        """What a server answers, to one client after the other."""

        async def talk(client: Client) -> list[Answer]:
            return [await client.get(path) for path in paths]

        answers: list[Answer] = self.served(talk)
        return answers

    def post(self, path: str, *parts: bytes, headers: Sequence[tuple[str, str]] = ()) -> Answer:
        """What a server answers to a form."""

        async def talk(client: Client) -> Answer:
            return await client.post(path, [form(*parts)], headers=[FORM, *headers])

        answer: Answer = self.served(talk)
        return answer

    def served(self, talk: Callable[[Client], Awaitable[Any]]) -> Any:
        """Talk to a server process of this home."""

        async def run() -> Any:
            application = assembled(self.home, self.registry, limits=self.limits)
            try:
                return await talk(Client(application))
            finally:
                await live(application, "lifespan.startup", "lifespan.shutdown")

        return asyncio.run(run())

    async def serviced(self, talk: Callable[[Service], Any], **more: Any) -> Any:
        """What a server process would do."""
        service = Service(self.home, self.registry, read_recorded, clock=lambda: self.now, **more)
        try:
            return await talk(service)
        finally:
            await service.close()


@contextmanager
def rehearsal(folder: Path) -> Iterator[Rehearsal]:
    """An empty site, with a server of files beside it."""
    script = Script()
    importers = {"lines": _high(script), "records": _low(script), "copies": _copying(script)}
    with shelf() as shelves, running(lambda server: None) as server:
        shelves.add(
            importers=importers,
            publishers={id: _publisher(id) for id in importers},
            types={LINE: _content(script)},
        )
        yield Rehearsal(folder, script, shelves.registry(), server=server)
