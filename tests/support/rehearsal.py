"""A site whose importers do what a test tells them, step by step, over a real database, a real
store and, where bytes matter, a real server.

    with rehearsal(tmp_path) as site:
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
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.database import Reader
from reconciler.engine import CallLimits, Engine, Home, PlanOptions, Report
from reconciler.engine.service import Service, uploaded_file
from reconciler.engine.uploads.decided_changes import UploadResult
from reconciler.manifest import read, read_recorded
from reconciler.model import Digest, Kind, stored_unit
from reconciler.plan import ContentChanges, Plan, render_text
from reconciler.plugin import (
    Artifact,
    StoredUnit,
    Unit,
)
from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.advertised import shelf
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.faulty import FaultyServer, body, running
from tests.support.scripted_plugins import (
    LINE,
    NOW,
    Script,
    copying_importer,
    line_importer,
    line_publisher,
    line_type,
    record_importer,
)
from tests.support.uploading import FORM, form


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
    for the time, and servers too where `server_keeps_time` says so: else the grace of whatever was
    dropped is long over for them.
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
        self.server_keeps_time = False
        self.limits: CallLimits | None = None
        self.carried_out: Plan | None = None  # by the apply before

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
                show=self._note,
            )

    def _note(self, plan: Plan) -> None:
        self.carried_out = plan

    def engine(self, **more: Any) -> Engine:
        return Engine(
            self.home,
            self.registry,
            read_recorded,
            clock=lambda: self.now,
            limits=self.limits,
            **more,
        )

    def plan(self, *, offline: bool = False, destroy: bool = True, prune: bool = False) -> Plan:
        async def run() -> Plan:
            async with self.engine(offline=offline) as engine:
                return await engine.plan(
                    read([self.manifest], self.registry),
                    PlanOptions(prune=prune, allow_destroy=destroy),
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

    def get(self, *paths: str) -> list[AsgiResponse]:
        """What a server answers, to one client after the other."""

        async def talk(client: Client) -> list[AsgiResponse]:
            return [await client.get(path) for path in paths]

        answers: list[AsgiResponse] = self.served(talk)
        return answers

    def post(
        self, path: str, *parts: bytes, headers: Sequence[tuple[str, str]] = ()
    ) -> AsgiResponse:
        """What a server answers to a form."""

        async def talk(client: Client) -> AsgiResponse:
            return await client.post(path, [form(*parts)], headers=[FORM, *headers])

        answer: AsgiResponse = self.served(talk)
        return answer

    def served(self, talk: Callable[[Client], Awaitable[Any]]) -> Any:
        """Talk to a server process of this home."""

        async def run() -> Any:
            clock: dict[str, Any] = {"clock": lambda: self.now} if self.server_keeps_time else {}
            application = assembled(self.home, self.registry, limits=self.limits, **clock)
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
    importers = {
        "lines": line_importer(script),
        "records": record_importer(script),
        "copies": copying_importer(script),
    }
    with shelf() as shelves, running(lambda server: None) as server:
        shelves.add(
            importers=importers,
            publishers={id: line_publisher(id, script) for id in importers},
            types={LINE: line_type(script)},
        )
        yield Rehearsal(folder, script, shelves.registry(), server=server)
