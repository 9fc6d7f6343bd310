"""Plugins of the content type `lines`, whose behaviour a `Script` sets call by call.

The importer `lines` declares and reads, `records` syncs, `copies` also copies.
"""

from __future__ import annotations

import hmac
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any

from reconciler.plugin import (
    UNCHANGED,
    ActiveFilter,
    Artifact,
    ContentType,
    CopyConduit,
    Decision,
    Group,
    GroupedUnit,
    Importer,
    LocatedPath,
    Metadata,
    Options,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    ReadConduit,
    Refused,
    Secret,
    StoredUnit,
    SyncConduit,
    TraceStep,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
)
from tests.support.line_protocol import LineProtocol

LINE = "lines.line"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class LineSource(Options):
    """`skip`: keys that are kept out; `pinned`: keys that are named one by one, beside all others;
    `only`: keys without which nothing comes in; `upstream`: which one of the script is meant.
    """

    skip: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    upstream: str = "up"


class LineRules(Options):
    """`deny`: keys; `later`: keys that are let in a day after `NOW`, unless they were uploaded;
    `settled`: keys that are let in a day after they were first seen; `max`: bytes; `most`: the
    number of keys that are let in, beside pinned ones.
    """

    deny: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    max: int | None = None
    most: int | None = None


class LinePages(Options):
    """Options of a publication.

    `dated`: keys of which it shows when they were first seen; `note`: a file that it shows; `key`:
    signs its list of groups.
    """

    dated: tuple[str, ...] = ()
    note: LocatedPath | None = None
    key: Secret | None = None


class OneTimeSigner:
    """Makes another signature each time: which one is shown tells how often it was made."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self.identity = f"{sha256(self._key).hexdigest()} detached"

    def sign(self, text: bytes, moment: datetime) -> bytes:
        mac = hmac.new(self._key, text, "sha256").hexdigest()
        return f"{mac} {moment.isoformat()} {token_hex(8)}".encode()


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
    on_declare: Callable[[ReadConduit], AsyncIterator[Group | Unchanged]] | None = None
    on_read: Callable[[ReadConduit, Group], Any] | None = None
    on_sync: Callable[[SyncConduit], Any] | None = None
    on_copy: Callable[[CopyConduit, str, Sequence[StoredUnit]], Any] | None = None
    on_upload: Callable[[UploadConduit, UploadedFile], Iterable[GroupedUnit]] | None = None
    on_remove: Callable[[UploadConduit, Sequence[StoredUnit]], Iterable[StoredUnit]] | None = None
    on_trace: Callable[[Unit], Iterable[TraceStep]] | None = None
    on_publish: Callable[[PublishConduit], None] | None = None
    replaceable: bool = True
    filters_need_read: Callable[[Sequence[ActiveFilter]], bool] = lambda filters: True

    def upstream(self, name: str) -> Holdings:
        return self.upstreams.setdefault(name, Holdings())

    def fail(self, where: str) -> None:
        if where in self.failing:
            raise self.failing[where]

    def forget(self) -> None:
        """Begin to note calls anew."""
        for calls in (self.declared, self.asked, self.decided, self.copied, self.traced):
            calls.clear()


def line_type(script: Script) -> type[ContentType]:
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
            decisions = [_decision(unit, options, filters, now) for unit in units]
            for filter_ in filters:
                decisions = _counted(decisions, options, filter_)
            return decisions

        @classmethod
        def pinning_options(cls, options: Options) -> Options | None:
            assert isinstance(options, LineSource)
            return LineSource(only=options.pinned) if options.pinned else None

        @classmethod
        def needs_first_seen(
            cls, units: Sequence[Unit], options: Options | None, filters: Sequence[ActiveFilter]
        ) -> Iterable[Unit]:
            settled = {key for filter_ in filters for key in _rules(filter_).settled}
            return [unit for unit in units if unit.key in settled]

        @classmethod
        def refuse_replacement(
            cls, before: StoredUnit, after: Unit, options: Options | None
        ) -> str | None:
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
        ) -> Iterable[Iterable[TraceStep]]:
            script.traced += [unit.key for unit in traced]
            return (
                map(script.on_trace, traced)
                if script.on_trace is not None
                else super().trace(group, units, traced, options, filters, now)
            )

    return Line


def _rules(filter_: ActiveFilter) -> LineRules:
    assert isinstance(filter_.options, LineRules)
    return filter_.options


def _counted(
    decisions: list[Decision], options: Options | None, filter_: ActiveFilter
) -> list[Decision]:
    most = _rules(filter_).most
    if most is None:
        return decisions
    named = options.pinned if isinstance(options, LineSource) else ()
    keys = sorted(decision.unit.key for decision in decisions if decision.accepted)
    return [
        Decision(decision.unit, accepted=False, reason=f"{filter_.name}.most")
        if decision.unit.key in keys[most:]
        and decision.unit.key not in named
        and "_pinned" not in decision.unit.metadata
        else decision
        for decision in decisions
    ]


def _decision(
    unit: Unit, options: Options | None, filters: Sequence[ActiveFilter], now: datetime
) -> Decision:
    if isinstance(options, LineSource) and unit.key in options.skip:
        return Decision(unit, accepted=False, reason="skipped")
    if isinstance(options, LineSource) and options.only and unit.key not in options.only:
        return Decision(unit, accepted=False, reason="not named")
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
        if options is not None and unit.key in filter_.options.settled:
            seen = datetime.fromisoformat(unit.metadata.get("_firstSeen", now.isoformat()))
            if now < seen + timedelta(days=1):
                reason, due = f"{filter_.name}.settled", seen + timedelta(days=1)
                return Decision(unit, accepted=False, reason=reason, reconsider_at=due)
    return Decision(unit, accepted=True)


def line_importer(script: Script, id: str = "lines") -> type[Importer]:
    class LineImporter(Importer):
        options = LineSource
        filter_options = LineRules

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Lines", (LINE,), ">=2.0,<3")

        @classmethod
        def filters_need_read(cls, options: Options, filters: Sequence[ActiveFilter]) -> bool:
            return script.filters_need_read(filters)

        async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
            script.declared.append(conduit.options.upstream)
            script.fail("declare")
            if script.on_declare is not None:
                async for group in script.on_declare(conduit):
                    yield group
                return
            upstream = script.upstream(conduit.options.upstream)
            if upstream.validator is not None and conduit.unchanged(upstream.validator):
                yield UNCHANGED
                return
            for name in upstream.groups:
                yield Group(name, upstream.validators.get(name), listed=True)

        async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit] | Unchanged:
            script.asked.append(f"{conduit.options.upstream}/{group.name}")
            script.fail(group.name)
            if script.on_read is not None:
                answer: Iterable[Unit] | Unchanged = await script.on_read(conduit, group)
                return answer
            return script.upstream(conduit.options.upstream).groups[group.name]

        def upload(
            self,
            conduit: UploadConduit,
            file: UploadedFile,
            fields: Mapping[str, str],
            config: PluginCallConfiguration,
        ) -> Iterable[GroupedUnit]:
            return _upload(script, conduit, file, fields=fields)

        def remove(
            self, conduit: UploadConduit, units: Sequence[StoredUnit]
        ) -> Iterable[StoredUnit]:
            return script.on_remove(conduit, units) if script.on_remove is not None else units

    return LineImporter


def record_importer(script: Script) -> type[Importer]:
    class RecordImporter(Importer):
        options = LineSource
        filter_options = LineRules

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata("records", "Recorded lines", (LINE,), ">=2.0,<3")

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


def copying_importer(script: Script) -> type[Importer]:
    class CopyingImporter(line_importer(script, "copies")):  # type: ignore[misc]  # made for this script
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
) -> Iterable[GroupedUnit]:
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


def line_publisher(id: str, script: Script) -> type[Publisher]:
    class LinePublisher(LineProtocol):
        options = LinePages

        @classmethod
        def metadata(cls) -> Metadata:
            return Metadata(id, "Lines", (LINE,), ">=2.0,<3")

        @classmethod
        def needs_first_seen(cls, options: Options) -> Callable[[StoredUnit], bool] | None:
            dated = options.dated if isinstance(options, LinePages) else ()
            return (lambda unit: unit.key in dated) if dated else None

        def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
            if script.on_publish is not None:
                script.on_publish(conduit)
                return
            for name in conduit.changed_groups():
                with conduit.group(name) as output:
                    for unit in conduit.units(name):
                        if seen := unit.metadata.get("_firstSeen"):
                            output.page(f"{name}/{unit.key}.seen", seen.encode(), "text/plain")
                    for artifact in (
                        artifact for unit in conduit.units(name) for artifact in unit.artifacts
                    ):
                        output.file(f"{name}/{artifact.path}", artifact, "text/plain")
            with conduit.whole_repository() as output:
                listing = "\n".join(conduit.groups()).encode()
                output.page("index/", listing, "text/plain")
                if key := conduit.options.key:
                    signer = OneTimeSigner(key.reveal())
                    output.signed_page("index.sig", listing, "text/plain", signer=signer)
                if note := conduit.options.note:
                    output.page("note", note.path.read_bytes(), "text/plain")

    return LinePublisher
