"""Two repositories in one apply: `bad`, of a plugin that a test spoils, and `sound`, of the same
plugin as its author meant it.

Everything of a plugin can be replaced by name; what is not stays sound. `Hostile` begins with both
repositories at version 1, and both have something new to bring in.
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any, ClassVar

import pytest

from reconciler.cli import settings
from reconciler.cli.main import run
from reconciler.database import Reader
from reconciler.engine import Home, engine
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.errors import Malformed, PluginFault
from reconciler.model import ActualState, stored_unit
from reconciler.plugin import (
    ContentType,
    Group,
    Importer,
    Metadata,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReadConduit,
    SyncConduit,
    Unit,
)
from reconciler.plugin.registry import Registry
from tests.support.advertised import shelf
from tests.support.forked import started, write_to
from tests.support.mirror import Done, call
from tests.support.soundness import check_recorded

TYPE = "bad.thing"
NAMES = ("bad", "sound")
GROUPS = ("alpha", "beta")

Overrides = Mapping[str, Any]
"""What takes the place of what, by name of the attribute."""


class Step(Options):
    """`step`: how many units each group has."""

    step: int = 1


class Thing(ContentType):
    """Without artifacts unless a test declares some."""

    plural = "things"


class ThingImporter(Importer):
    """The groups `alpha` and `beta`, with units `alpha-0`, `alpha-1`, ..."""

    options = Step
    type: ClassVar[str]

    @classmethod
    def metadata(cls) -> Metadata:
        name = cls.type.partition(".")[0]
        return Metadata(name, name, (cls.type,), ">=2.0,<3")

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group]:
        for name in GROUPS:
            yield Group(name, validator=str(conduit.options.step))

    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        return units(self.type, group.name, conduit.options.step)


class ThingPublisher(Publisher):
    """A page for each group with the keys of its units, their files, and a list of groups."""

    options = Options
    type: ClassVar[str]

    @classmethod
    def metadata(cls) -> Metadata:
        name = cls.type.partition(".")[0]
        return Metadata(name, name, (cls.type,), ">=2.0,<3")

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                render(conduit, name, output)
        with conduit.whole_repository() as output:
            output.page("index/", " ".join(conduit.groups()).encode(), "text/html")


def render(conduit: PublishConduit, name: str, output: Any) -> None:
    """What a group shows."""
    units = conduit.units(name)
    if units:
        output.page(f"{name}/", " ".join(unit.key for unit in units).encode(), "text/html")
    artifacts = {file.sha256: file for unit in units for file in unit.artifacts}
    for sha256 in sorted(artifacts):
        output.file(f"files/{sha256}", artifacts[sha256])


def units(type: str, group: str, count: int) -> list[Unit]:
    return [Unit(type, f"{group}-{number}", {"number": number}) for number in range(count)]


async def record(
    self: ThingImporter, conduit: SyncConduit, config: PluginCallConfiguration
) -> None:
    """The same in the low-level way, to be used as `sync`."""
    for name in GROUPS:
        for unit in units(self.type, name, conduit.options.step):
            conduit.save_unit(name, unit)


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message for you")


def recursing() -> None:
    recursing()


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


FAILURES: dict[str, tuple[Callable[[], None], str]] = {
    "an exception": (raising(KeyError("no such thing")), "KeyError: 'no such thing'"),
    "SystemExit": (raising(SystemExit(0)), "SystemExit: 0"),
    "GeneratorExit": (raising(GeneratorExit()), "GeneratorExit"),
    "CancelledError": (raising(asyncio.CancelledError("me")), "CancelledError: me"),
    "StopIteration": (raising(StopIteration(5)), "StopIteration"),
    "MemoryError": (raising(MemoryError()), "MemoryError"),
    "endless recursion": (recursing, "RecursionError: maximum recursion depth exceeded"),
    "no readable message": (raising(Unreadable()), "Unreadable: its message cannot be read"),
    "a group of exceptions": (
        raising(ExceptionGroup("many", [ValueError("one"), KeyError("two")])),
        "ExceptionGroup: many (2 sub-exceptions)",
    ),
    "a group with an exit": (
        raising(BaseExceptionGroup("many", [SystemExit(3)])),
        "BaseExceptionGroup: many",
    ),
    "10 MB of message": (raising(ValueError("loud " * 2_000_000)), "ValueError: loud loud"),
    "control characters": (
        raising(ValueError("\x1b[2Jgone\r\nApply: 9 done.\x00\u202e")),
        "ValueError: [2Jgone Apply: 9 done.",
    ),
    "a lone surrogate": (raising(ValueError("half \ud800")), "ValueError: half"),
    "our own, loudly": (
        raising(Malformed("first\nsecond\x1b[0m" + "x" * 10_000_000, hint="a\nhint")),
        "first second",
    ),
    "our own, without a text": (raising(PluginFault(b"bytes")), "its message cannot be read"),  # type: ignore[arg-type]
    "a time-out": (raising(TimeoutError("mine")), "TimeoutError: mine"),
}


@contextmanager
def plugins(importer: Overrides, publisher: Overrides, content: Overrides) -> Iterator[Registry]:
    """`bad` with these overrides, `sound` without any."""
    with shelf() as advertised:
        for name in NAMES:
            over = name == "bad"
            kind = type("Kind", (Thing,), {"id": f"{name}.thing", **(content if over else {})})
            imports = type(
                "Imports", (ThingImporter,), {"type": f"{name}.thing", **(importer if over else {})}
            )
            publishes = type(
                "Publishes",
                (ThingPublisher,),
                {"type": f"{name}.thing", **(publisher if over else {})},
            )
            advertised.add(
                f"{name}-plugin",
                "1.0",
                importers={name: imports},
                publishers={name: publishes},
                types={f"{name}.thing": kind},
            )
        yield advertised.registry()


def resource(kind: str, name: str, spec: str) -> str:
    return (
        f"apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )


def manifest(
    step: int, *, url: str = "http://127.0.0.1:9/", remote: str = "", uploads: bool = False
) -> str:
    documents = []
    for name in NAMES:
        sources = f"{{remote: {{name: {name}, step: {step}}}}}" + (
            ", {upload: {}}" if uploads else ""
        )
        documents.append(
            resource(
                "Remote",
                name,
                f"type: {name}, url: '{url}', retries: 0{', ' if remote else ''}{remote}",
            )
        )
        documents.append(
            resource(
                "Repository",
                name,
                f"type: {name}, sources: [{sources}], guard: {{maxRemovals: 100%}}",
            )
        )
        documents.append(resource("Publication", name, f"repository: {name}, path: {name}"))
    return "---\n".join(documents)


class Hostile:
    """Manifests in `<folder>/site.yaml`, state in `<folder>/home`; `before`: what the groups of
    `bad` held at version 1.
    """

    def __init__(self, folder: Path, begun: Path, patch: pytest.MonkeyPatch) -> None:
        shutil.copytree(begun, folder / "home")
        self.folder = folder
        self.home = Home(folder / "home")
        self._patch = patch
        self._recorded: tuple[Reader, ActualState] | None = None
        self.declare(2)

    def declare(self, step: int, **words: Any) -> None:
        (self.folder / "site.yaml").write_text(manifest(step, **words), encoding="utf-8")

    def apply(
        self,
        importer: Overrides | None = None,
        publisher: Overrides | None = None,
        content: Overrides | None = None,
        *words: str,
    ) -> Done:
        """One apply in which the plugin `bad` is spoilt like that."""
        return self.run(
            "apply",
            str(self.folder / "site.yaml"),
            *words,
            spoilt=(importer or {}, publisher or {}, content or {}),
        )

    def run(self, *words: str, spoilt: tuple[Overrides, Overrides, Overrides]) -> Done:
        """One command; `spoilt`: importer, publisher and content type."""
        with plugins(*spoilt) as registry, self._patch.context() as patched:
            patched.setattr(settings, "registry", lambda: registry)
            return call([*words, "--home", str(self.home.root)])

    @contextmanager
    def recorded(self) -> Iterator[tuple[Reader, ActualState]]:
        """What is recorded. Whatever is asked within a block of it is read from there: to open a
        database takes longer than to ask it.
        """
        if self._recorded is not None:
            yield self._recorded
            return
        with self.home.database() as database:
            reader = database.reader()
            self._recorded = reader, reader.actual_state()
            try:
                yield self._recorded
            finally:
                self._recorded = None

    def held(self, name: str = "bad") -> dict[str, list[str]]:
        """Keys of the latest version, by group."""
        with self.recorded() as (reader, actual):
            state = actual.repositories[name]
            found = reader.units(
                state.id, state.number, list(reader.group_names(state.id, state.number))
            )
            return {group: [unit.key for unit in units] for group, units in found.items()}

    def bodies(self, name: str = "bad") -> list[Any]:
        """The units of the latest version, as they are recorded."""
        with self.recorded() as (reader, actual):
            state = actual.repositories[name]
            rows = reader.members(
                state.id, state.number, list(reader.group_names(state.id, state.number))
            )
            return [stored_unit(body) for members in rows.values() for _, body in members]

    def versions(self) -> dict[str, tuple[int, int | None]]:
        """Of each repository: (latest version, version that is served)."""
        with self.recorded():
            return {name: self.versions_of(name) for name in NAMES}

    def versions_of(self, name: str) -> tuple[int, int | None]:
        with self.recorded() as (_, actual):
            return actual.repositories[name].number, actual.publications[name].version

    def page(self, path: str, name: str = "bad") -> bytes:
        """What is served under a path."""
        with self.recorded() as (reader, actual):
            publication = actual.publications[name]
            record = reader.publication(publication.id)
            assert record is not None
            [entry] = reader.entries(publication.id, record.number, path)
            return gzip.decompress(reader.pages([entry.digest])[entry.digest])

    def served(self, name: str = "bad") -> set[str]:
        """Paths that the publication holds."""
        with self.recorded() as (reader, actual):
            publication = actual.publications[name]
            record = reader.publication(publication.id)
            return (
                {entry.path for entry in reader.all_entries(publication.id, record.number)}
                if record
                else set()
            )


def stopped(site: Hostile, what: str) -> Done:
    """An apply in a process of its own, in which the plugin `bad` has something "that blocks" or
    "that swallows" its cancellation.
    """
    log = site.folder / "log"
    process = started(_hang, what, str(site.folder), str(log))
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return Done(process.exitcode, "", log.read_text())


def _hang(what: str, folder: str, log: str) -> None:
    write_to(log)
    vars(engine)["CallLimits"] = lambda: CallLimits(call=0.6, block=0.3)  # in this process alone
    name, _, how = what.partition(" that ")
    hang = swallow if how == "swallows" else block
    overrides = {
        name: {"read": hang, "declare": block_declaring}.get(
            name, staticmethod(lambda *arguments: sleep(600))
        )
    }
    kinds = {"select": 2, "publish": 1}
    spoilt: list[Overrides] = [{}, {}, {}]
    spoilt[kinds.get(name, 0)] = overrides
    with plugins(*spoilt) as registry:
        settings.registry = lambda: registry
        sys.exit(run(["apply", f"{folder}/site.yaml", "--home", f"{folder}/home"]))


async def block(self: Any, conduit: Any, group: Group) -> Iterable[Unit]:
    if group.name == "alpha":
        sleep(600)  # that is what it is about  # noqa: ASYNC251  # that is what it is about
    return []


async def block_declaring(self: Any, conduit: Any) -> AsyncIterator[Group]:
    yield Group("alpha")
    sleep(600)  # noqa: ASYNC251


async def swallow(self: Any, conduit: Any, group: Group) -> Iterable[Unit]:
    while group.name == "alpha":
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)
    return []


def begin(folder: Path, patch: pytest.MonkeyPatch, **words: Any) -> Path:
    """A home in which both repositories are at version 1."""
    (folder / "home").mkdir(parents=True)
    shutil.rmtree(folder / "home")
    (folder / "site.yaml").write_text(manifest(1, **words), encoding="utf-8")
    with plugins({}, {}, {}) as registry, patch.context() as patched:
        patched.setattr(settings, "registry", lambda: registry)
        done = call(["apply", str(folder / "site.yaml"), "--home", str(folder / "home")])
    assert done.code == 0, done.out + done.err
    return folder / "home"


def assert_contained(site: Hostile, done: Done, *says: str) -> None:
    """It is named and nobody else's: `alpha` of `bad` is as it was and served, `sound` went on, and
    everything recorded is true.
    """
    with site.recorded():
        assert_named(site, done, *says)
        assert site.held()["alpha"] == ["alpha-0"]
        assert {"index/", "alpha/"} <= site.served()
        assert site.versions_of("sound") == (2, 2)
        assert site.held("sound") == {"alpha": ["alpha-0", "alpha-1"], "beta": ["beta-0", "beta-1"]}


def assert_named(site: Hostile, done: Done, *says: str) -> None:
    """It is said in printable lines, and in not too many of them; everything recorded is true."""
    assert done.code == 1, done.out
    assert done.err == ""
    assert all(line.isprintable() for line in done.out.split("\n"))
    assert len(done.out) < 20_000
    for text in says:
        assert text in done.out, done.out
    with site.recorded() as (reader, actual):
        check_recorded(site.home, reader, actual)


def answering(answer: Any) -> Any:
    """A `read` that has this to say of `alpha`."""

    async def read(self: Any, conduit: Any, group: Group) -> Any:
        return answer if group.name == "alpha" else units(TYPE, group.name, 2)

    return read
