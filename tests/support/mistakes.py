"""The sound plugin of `tests.support.quotes` with one thing wrong, and what is told of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from reconciler.engine import Report
from reconciler.errors import PluginFault
from reconciler.plan import Plan
from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    ContentType,
    Group,
    Importer,
    Metadata,
    Options,
    Publisher,
    Secret,
    Unit,
)
from reconciler.plugin.testing import Subject, Upstream
from reconciler.plugin.testing.sandbox import Sandbox
from tests.support.advertised import shelf
from tests.support.quotes import QUOTE, Quote, QuoteImporter, QuotePublisher, QuoteSource

NO_TEXT: Any = 7  # what a type checker would have told
TEXT: Any = "1d"
ARTIFACT: Any = Artifact("q")
EMPTY: dict[str, Any] = {}
UNIT = Unit(QUOTE, "q", {"author": "Ada"}, [])
DIGEST = "a" * 64


def importer(**attributes: Any) -> type:
    return type("Slip", (QuoteImporter,), attributes)


def publisher(**attributes: Any) -> type:
    return type("Slip", (QuotePublisher,), attributes)


def content_type(**attributes: Any) -> type:
    return type("Slip", (Quote,), attributes)


def metadata(**fields: Any) -> Any:
    given: dict[str, Any] = {"id": "quotes", "display_name": "Quotations", "types": [QUOTE]}
    return classmethod(lambda cls: Metadata(**(given | fields)))


def keys(**fields: Any) -> type[Options]:
    """Options with these keys, texts each."""
    return type("Keys", (Options,), {"__annotations__": dict.fromkeys(fields, str)} | fields)


def reading(body: Callable[[Any, Group], Any]) -> type:
    """An importer whose `read` returns what `body` does."""

    async def read(self: Any, conduit: Any, group: Group) -> Any:
        return body(conduit, group)

    return importer(read=read)


def units(*made: Any) -> type:
    return reading(lambda conduit, group: list(made))


def declaring(*groups: Any) -> type:
    async def declare(self: Any, conduit: Any) -> AsyncIterator[Any]:
        for group in groups:
            yield group

    return importer(declare=declare)


def deciding(body: Callable[[str, Sequence[Unit]], Any]) -> type:
    def select(
        cls: type,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Any:
        return body(group, units)

    return content_type(select=classmethod(select))


def emitting(body: Callable[[Any, Any], Any]) -> type:
    """A publisher that does something wrong with what belongs to no group."""

    def publish(self: Any, conduit: Any, config: Any) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name) as output:
                for unit in conduit.units(name):
                    output.file(f"{name}/{unit.key}", unit.artifacts[0], "text/plain")
        with conduit.whole_repository() as output:
            body(conduit, output)

    return publisher(publish=publish)


def publishing(body: Callable[[Any], Any]) -> type:
    return publisher(publish=lambda self, conduit, config: body(conduit))


@dataclass(frozen=True)
class Row:
    part: Any
    place: str
    remedy: str


def loaded(row: Row) -> str:
    """Return what loading says; an empty text if nothing."""
    subject: dict[str, Any] = {
        "importers": QuoteImporter,
        "publishers": QuotePublisher,
        "types": Quote,
    }
    if isinstance(row.part, type):
        bases = {"importers": Importer, "publishers": Publisher, "types": ContentType}
        subject |= {group: row.part for group, base in bases.items() if issubclass(row.part, base)}
    else:
        subject |= row.part
    names = {"importers": "quotes", "publishers": "quotes", "types": QUOTE}
    with shelf() as plugins:
        plugins.add(**{group: {names[group]: part} for group, part in subject.items()})
        try:
            examined = plugins.registry().all()
        except PluginFault as fault:
            return f"{fault.message}\nhint: {fault.hint}"
        return "\n".join(
            f"{plugin.kind} {plugin.id}: {plugin.reason}"
            for plugin in examined
            if not plugin.enabled
        )


def planned(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        if change.content is not None:
            for failure in change.content.failures:
                yield f"{failure.message}\nhint: {failure.hint}"


def applied(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        if outcome.result not in ("done", "unchanged"):
            yield outcome.message


def run(subject: Subject, folder: Path) -> str:
    sandbox = Sandbox(subject, folder)
    report, plans = sandbox.apply()
    return "\n".join([text for plan in plans for text in planned(plan)] + list(applied(report)))


def plan(subject: Subject, folder: Path) -> str:
    return "\n".join(planned(Sandbox(subject, folder).plan()))


def subject_of(part: type, upstream: Upstream) -> Subject:
    """The sound plugin with one part exchanged."""

    def function(sound: type) -> Any:
        return lambda: (part if issubclass(part, sound.__mro__[1]) else sound, {})

    return Subject(function(QuoteImporter), upstream, [function(Quote)], function(QuotePublisher))


async def no_generator(self: Any, conduit: Any, *more: Any) -> list[Group]:
    return []


def plain(self: Any, conduit: Any, *more: Any) -> list[Any]:
    return []


def generator(self: Any, conduit: Any) -> Iterator[Group]:
    yield Group("a")


class Stranger:
    """Derives from nothing of ours."""


async def unawaited(self: Any, conduit: Any, group: Group) -> Any:
    page = conduit.get_json("war.json")
    try:
        return page["a"]
    finally:
        page.close()


def open_all(conduit: Any) -> None:
    for name in conduit.changed_groups():
        with conduit.group(name):
            pass


def twice_group(conduit: Any) -> None:
    for _ in "ab":
        open_all(conduit)


def whole_twice(conduit: Any) -> None:
    open_all(conduit)
    for _ in "ab":
        with conduit.whole_repository():
            pass


def late_output(conduit: Any) -> None:
    open_all(conduit)
    with conduit.whole_repository() as output:
        pass
    output.page("a", b"", "text/plain")


def swallowed(conduit: Any) -> None:
    for name in conduit.changed_groups():
        try:
            with conduit.group(name) as output:
                output.page("a", "text", "text/plain")
        except Exception:
            pass


def same_path(conduit: Any) -> None:
    for name in conduit.changed_groups():
        with conduit.group(name) as output:
            output.page("a", name.encode(), "text/plain")


def mixed_promises(conduit: Any) -> None:
    open_all(conduit)
    with conduit.whole_repository() as output:
        output.page("a", b"", "text/plain", immutable=True)
        output.page("a", b"", "text/html")


class Signer:
    identity: Any = "f clearsigned"

    def sign(self, text: bytes, moment: datetime) -> bytes:
        return text


class Nameless(Signer):
    identity: Any = None


class Textual(Signer):
    def sign(self, text: bytes, moment: datetime) -> Any:
        return "signature"


def signed(signer: Any) -> type:
    return emitting(
        lambda conduit, output: output.signed_page("a", b"", "text/plain", signer=signer)
    )


def page(path: Any, body: Any = b"", media_type: Any = "text/plain", **more: Any) -> type:
    return emitting(lambda conduit, output: output.page(path, body, media_type, **more))


class Keyed(Options):
    key: Secret


REVEALED = {"env": "KIT_SECRET"}
COUNTER = count()


def revealing(body: Callable[[str, Any], Any]) -> type:
    """A publisher that does something wrong with its secret."""
    shown = emitting(lambda conduit, output: body(conduit.options.key.reveal(), output))
    return type("Slip", (shown,), {"options": Keyed})


def told_in_metadata() -> type:
    """An importer that writes its secret into metadata, in base64."""

    async def read(self: Any, conduit: Any, group: Group) -> Any:
        value = b64encode(f"user:{conduit.options.key.reveal()}".encode()).decode()
        return [Unit(QUOTE, f"{group.name}1", {"by": value}, [])]

    return importer(read=read, options=type("Source", (QuoteSource, Keyed), {}))


def dated(cls: type, unit: Any, index: str, options: Any) -> bytes:
    return datetime.now().isoformat().encode()


def counted(cls: type, unit: Any, options: Any) -> list[str]:
    return [f"index-{next(COUNTER)}"]


def noted(cls: type, unit: Any, index: str, options: Any) -> bytes:
    unit.metadata["listed"] = True
    return b"entry"


def indexed(**attributes: Any) -> type:
    given: dict[str, Any] = {
        "indexes_of": classmethod(lambda cls, unit, options: ["all"]),
        "entry_of": classmethod(lambda cls, unit, index, options: b"entry"),
    }
    return publisher(**(given | attributes))
