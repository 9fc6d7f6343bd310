"""Uploads and removals by hand: one change of one repository, committed at once, and shown by its
publications.

They work on what the last apply recorded, so that a server without manifests can take files, and
hold no lease of the repository: a file that arrives during a long sync hurts neither. The same
selection decides as in a sync, and a name that an earlier source owns is that source's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from random import random
from typing import Any

from reconciler.database import CommittedGroup, StagedGroup, StagedMember, Writer
from reconciler.engine.plugin_calls.conduits import ScratchpadConduit, plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message, is_unawaited
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.engine.run.lease import PATIENCE, STEP, wait_for_lease
from reconciler.engine.session.disabled_plugins import Faults, unusable_error
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_responses import BY_SOURCE, GONE
from reconciler.engine.transfer.artifact_fetcher import ArtifactFetcher, FetchResult, InFlight
from reconciler.engine.uploads.admission import denial
from reconciler.errors import (
    Conflict,
    Gone,
    Malformed,
    PluginFault,
    ReconcilerError,
    Refused,
    UsageFault,
)
from reconciler.model import (
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    IdentifiedUnit,
    Kind,
    Publication,
    Ref,
    Repository,
    Source,
    SourceKind,
    StoredUnit,
    Unit,
    acceptable,
    group_digest,
    stored_unit,
)
from reconciler.plan import REFUSE, REMOVE, ChangeLine, Member, difference
from reconciler.plugin import (
    Importer,
    Placed,
    PluginCallConfiguration,
    Publisher,
    RepositoryInfo,
    UploadedFile,
    UploadForm,
)
from reconciler.plugin.validation import Plugin

UPLOAD = SourceKind.UPLOAD.value
MOST = 10_000  # units that one file becomes, or that leave at once


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of an upload or a removal: the repository's version afterwards, the units that
    changed, and where it is shown or why not yet.

    `names`: of the units, for people: `group/key`, or the key alone where groups are no names.
    """

    version: int
    keys: tuple[str, ...]
    names: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()


class ByHand(ScratchpadConduit):
    """What conduits of uploads and removals have in common; implements most of
    `reconciler.plugin.UploadConduit` for one call.
    """

    def __init__(
        self,
        hand: UploadTarget,
        scratchpads: ScratchpadSession,
        owner: str,
        info: RepositoryInfo,
        received_at: datetime,
    ) -> None:
        super().__init__(scratchpads, owner)
        self._hand = hand
        self._info = info
        self._received_at = received_at

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._info

    @property
    def received_at(self) -> datetime:
        self._check_open()
        return self._received_at

    def groups(self) -> Iterator[str]:
        actual = self._hand.actual
        return self._while_open(self._hand.writer.group_names(actual.id, actual.number))

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        actual = self._hand.actual
        return self._hand.writer.units(actual.id, actual.number, [group]).get(group, [])


class FileConduit(ByHand):
    """Implements `reconciler.plugin.UploadConduit`."""

    conduit = "UploadConduit"

    @property
    def options(self) -> Any:
        self._check_open()
        return self._hand.source.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._hand.source.config
        return config

    def receiving(self, publication: Publication, info: RepositoryInfo) -> ReceivingConduit:
        """The publisher's, beside this one, which is the importer's."""
        return ReceivingConduit(self, publication, info)


class ReceivingConduit(ByHand):
    """Implements `reconciler.plugin.ReceiveConduit`: the notes and the folder are the publisher's
    own.
    """

    conduit = "ReceiveConduit"

    def __init__(
        self, importers: FileConduit, publication: Publication, info: RepositoryInfo
    ) -> None:
        super().__init__(
            importers._hand,
            importers._scratchpads,
            f"publisher:{publication.publisher}",
            info,
            importers.received_at,
        )
        self._importers = importers
        self._publication = publication

    @property
    def publication(self) -> str:
        self._check_open()
        return self._publication.meta.name

    @property
    def options(self) -> Any:
        self._check_open()
        return self._publication.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._publication.config
        return config

    def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[Placed]:
        self._check_open()
        return _from_importer(self._importers, self._hand, file, fields)


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """One repository that files are sent to, as it is now."""

    writer: Writer
    plugin: Plugin
    repository: Repository
    source: Source
    actual: ActualRepository

    @property
    def importer_class(self) -> type[Importer]:
        assert self.plugin.cls is not None
        cls: type[Importer] = self.plugin.cls
        return cls

    def importer(self) -> Importer:
        return self.importer_class()


@dataclass(slots=True)
class GroupChanges:
    """What is to happen in one group. `was`: its members before."""

    name: str
    was: list[Member]
    lines: list[ChangeLine]
    arrived: list[IdentifiedUnit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UploadedBytes:
    """The one file that bytes may come from; in the place of what a plan has downloaded."""

    uploaded: UploadedFile

    def file(self, digest: Digest) -> Path | None:
        return self.uploaded.path if digest.hex == self.uploaded.sha256 else None

    def forget_measurement(self, remote: str, url: str) -> None:
        """Nothing was believed: the file itself was read."""


class Uploads:
    """Takes files into repositories, and units out again. `desired`: as the last apply recorded it;
    `faults`: what cannot be used, and why.
    """

    def __init__(self, session: WritingSession, desired: DesiredState, faults: Faults) -> None:
        self._session = session
        self._desired = desired
        self._faults = faults

    async def take(
        self, repository: str, file: UploadedFile, fields: Mapping[str, str], principal: str
    ) -> UploadResult:
        """A file for a repository, in the generic way.

        Raises Refused, Conflict where an earlier source owns the name, PluginFault, and Temporary
        for what cannot be used now.
        """

        def units(hand: UploadTarget, conduit: FileConduit) -> Iterable[Placed]:
            return _from_importer(conduit, hand, file, fields)

        return await self._changed(
            repository, principal, partial(self._arriving, "`upload`", file, units)
        )

    async def receive(
        self, publication: str, form: UploadForm, file: UploadedFile, principal: str
    ) -> UploadResult:
        """A file that was sent to a publication, in the way of its publisher. Raises as `take`, and
        Gone for a path that takes no files.
        """
        target = self._desired.publications.get(publication)
        if target is None:
            raise unusable_error(self._faults, Ref(Kind.PUBLICATION, publication)) or UsageFault(
                f"there is no publication `{publication}`"
            )
        cls: Any = self._session.registry.publisher(target.publisher).cls

        def units(hand: UploadTarget, conduit: FileConduit) -> Iterable[Placed]:
            publisher: Publisher = cls()
            receiving = conduit.receiving(
                target,
                self._session.workdirs.persistent(
                    target.repository, f"publisher:{target.publisher}"
                ),
            )
            try:
                placed = publisher.receive(receiving, form, file)
                return list(islice(placed, MOST + 1)) if isinstance(placed, Iterable) else placed
            finally:
                receiving.close()

        call = f"`receive` of publisher `{target.publisher}`, `upload`"
        return await self._changed(
            target.repository, principal, partial(self._arriving, call, file, units)
        )

    async def remove(self, repository: str, keys: Sequence[str], principal: str) -> UploadResult:
        """Take uploaded units out, by key. Raises UsageFault naming a key under which nothing was
        uploaded.
        """
        return await self._changed(repository, principal, partial(self._leaving, keys))

    # One change

    async def _changed(
        self,
        name: str,
        principal: str,
        changes: Callable[[UploadTarget, FileConduit], list[GroupChanges]],
    ) -> UploadResult:
        """Try until nobody else was faster; then show it."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                taken: UploadResult = await self._session.in_thread(
                    self._once, name, principal, changes
                )
                break
            except Conflict as error:
                if error.retry_after is None or asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(STEP * random())  # noqa: S311  # so that two do not meet again
        shown, delayed = await self._show(
            name
        )  # nothing new may be something that could not be shown when it was
        return replace(taken, shown=tuple(shown), delayed=tuple(delayed))

    def _once(
        self,
        name: str,
        principal: str,
        changes: Callable[[UploadTarget, FileConduit], list[GroupChanges]],
    ) -> UploadResult:
        session = self._session
        hand = self._hand(name, session.writer.actual_state())
        scratchpads, owner = (
            ScratchpadSession(partial(session.writer.scratchpad, hand.actual.id)),
            f"importer:{hand.plugin.id}",
        )
        conduit = FileConduit(
            hand, scratchpads, owner, session.workdirs.persistent(name, owner), session.clock()
        )
        try:
            groups = changes(hand, conduit)
        finally:
            conduit.close()
        changed = [(group.name, line.key) for group in groups for line in group.lines]
        number = (
            self._commit(hand, groups, scratchpads, principal)
            if changed or scratchpads.written
            else hand.actual.number
        )
        named = not hand.importer_class.shared_groups
        return UploadResult(
            number,
            tuple(key for _, key in changed),
            tuple(f"{group}/{key}" if named else key for group, key in changed),
        )

    def _hand(self, name: str, actual: ActualState) -> UploadTarget:
        repository, state = self._desired.repositories.get(name), actual.repositories.get(name)
        if repository is None or state is None:
            fault = unusable_error(self._faults, Ref(Kind.REPOSITORY, name))
            raise fault or UsageFault(
                f"there is no repository `{name}`",
                hint="`reconciler get repository` lists what there is",
            )
        source = next((one for one in repository.sources if one.kind is SourceKind.UPLOAD), None)
        if source is None:
            raise Refused(
                f"repository `{name}` takes no uploads",
                hint="its manifest has to name the source `upload: {}`",
            )
        return UploadTarget(
            self._session.writer,
            self._session.registry.importer(repository.type),
            repository,
            source,
            state,
        )

    def _arriving(
        self,
        what: str,
        file: UploadedFile,
        units: Callable[[UploadTarget, FileConduit], Iterable[Placed]],
        hand: UploadTarget,
        conduit: FileConduit,
    ) -> list[GroupChanges]:
        call = f"{what} of importer `{hand.plugin.id}` for repository `{hand.repository.meta.name}`"
        with self._session.watch(call), _passing_on(call):
            placed = _by_group(units(hand, conduit))
            _check_bytes(placed, file)
        if not placed:
            raise PluginFault(f"{call} made no unit of `{file.name}`")
        groups = [self._group(hand, name, members, file) for name, members in placed.items()]
        artifact_fetcher = ArtifactFetcher(
            self._session.store,
            self._session.registry,
            {},
            InFlight(),
            UploadedBytes(file),
            lambda size: None,
            self._session.watch,
        )
        asyncio.run(self._bring(artifact_fetcher, hand, groups))
        return groups

    def _group(
        self, hand: UploadTarget, name: str, units: list[Unit], file: UploadedFile
    ) -> GroupChanges:
        """What the units change in a group, if the source and the filters let all of them in."""
        self._check_owner(hand, name)
        session = self._session
        select = partial(Selection.of, session.registry, hand.plugin, now=session.clock())
        selection = select(options=hand.source.options, filters=())
        filters = select(options=None, filters=self._desired.filters_of(hand.repository))
        members = _members(hand, name)
        call = (
            f"`select` of importer `{hand.plugin.id}` for repository `{hand.repository.meta.name}`"
        )
        with self._session.watch(call), plugin_faults(call):
            selected = selection.seal(name, selection.decide(name, units), [])
            wanted = selected.wanted
            uploaded = [member.unit for member in members if member.source == UPLOAD]
            denied = (
                None
                if selected.refusals
                else denial(
                    filters,
                    name,
                    [unit.unit for unit in wanted],
                    uploaded,
                    session.store,
                    file,
                    session.registry,
                )
            )
            lines = (
                []
                if selected.refusals
                else difference(UPLOAD, members, wanted, [], selection, removes=False)
            )
        if selected.refusals:
            raise Refused(f"`{selected.refusals[0].key}` is refused: {selected.refusals[0].reason}")
        if denied is not None:
            raise denied
        kept_out = next((line for line in lines if line.op == REFUSE), None)
        if kept_out is not None:
            raise Conflict(f"`{kept_out.key}` is there already: {kept_out.reason}")
        arriving = {line.digest for line in lines}
        return GroupChanges(
            name, members, lines, [unit for unit in wanted if unit.digest.hex in arriving]
        )

    def _check_owner(self, hand: UploadTarget, group: str) -> None:
        """Raises Conflict where a source above the uploads has the name."""
        if hand.importer_class.shared_groups:
            return
        for source in hand.repository.sources:
            if source.kind is SourceKind.UPLOAD:
                return
            known = hand.writer.committed_group(hand.actual.id, source.id, group)
            if known is not None and known.validator != GONE:
                hint = "put `upload` first in `sources` to take the name over"
                raise Conflict(
                    f"`{group}` belongs to {source.id} in repository `{hand.repository.meta.name}`",
                    hint=hint,
                )

    async def _bring(
        self, artifact_fetcher: ArtifactFetcher, hand: UploadTarget, groups: Sequence[GroupChanges]
    ) -> None:
        """Bytes, then rows that refer to them."""
        brought = FetchResult()
        for group in groups:
            for line in group.lines:
                wanted = {Digest.parse(artifact.sha256) for artifact in line.artifacts}
                one = await artifact_fetcher.fetch(
                    UPLOAD, line, frozenset(hand.writer.stored(wanted))
                )
                brought.sizes.update(one.sizes)
        if brought.sizes:
            self._session.store.sync()
        hand.writer.record_units(
            [unit for group in groups for unit in group.arrived], brought.sizes
        )

    def _leaving(
        self, keys: Sequence[str], hand: UploadTarget, conduit: FileConduit
    ) -> list[GroupChanges]:
        """What goes with the units under these keys."""
        chosen: dict[str, list[StoredUnit]] = {}
        for key in keys:
            found = [
                one
                for one in hand.writer.find_units(hand.actual.id, hand.actual.number, key)
                if one.source == UPLOAD
            ]
            if not found:
                name = hand.repository.meta.name
                hint = (
                    f"`reconciler diff repository/{name} 0 latest` lists what it holds; what a sync"
                    " brings in is kept out by filters"
                )
                raise UsageFault(
                    f"nothing was uploaded to repository `{name}` under `{key}`", hint=hint
                )
            for one in found:
                chosen.setdefault(one.group, []).append(stored_unit(one.body))
        call = (
            f"`remove` of importer `{hand.plugin.id}` for repository `{hand.repository.meta.name}`"
        )
        with self._session.watch(call), _passing_on(call):
            answer: Any = hand.importer().remove(
                conduit, [unit for units in chosen.values() for unit in units]
            )
            leaving: list[Any] = (
                list(islice(answer, MOST + 1)) if not is_unawaited(answer) else [None]
            )
            if len(leaving) > MOST or not all(isinstance(unit, StoredUnit) for unit in leaving):
                raise PluginFault(
                    f"`remove` returns units that the repository holds, and at most {MOST:,} of"
                    " them"
                )
        going: dict[str, set[tuple[str, str]]] = {}
        for unit in leaving:
            going.setdefault(unit.group, set()).add((unit.type, unit.key))
        return [_departing(name, _members(hand, name), going[name]) for name in sorted(going)]

    def _commit(
        self,
        hand: UploadTarget,
        groups: Sequence[GroupChanges],
        scratchpads: ScratchpadSession,
        principal: str,
    ) -> int:
        plugin = {"id": hand.plugin.id, "version": hand.plugin.distribution_version}
        basis = Digest.of_value([UPLOAD])
        with hand.writer.stage(hand.actual.id) as stage:
            stage.add(
                [_staged(group, basis) for group in groups],
                [member for group in groups for member in _staged_members(group)],
            )
            try:
                return stage.commit(
                    {"principal": principal, "plugin": plugin},
                    {},
                    self._session.clock(),
                    scratchpads.written,
                    scratchpads.seen,
                ).number
            except Conflict as error:
                raise Conflict(error.message, hint=error.hint, retry_after=1) from None

    # Showing it

    async def _show(self, name: str) -> tuple[list[str], list[str]]:
        """(where it is shown now, what is not shown yet and why): every publication of the latest
        version.
        """
        shown: list[str] = []
        delayed: list[str] = []
        for publication in self._desired.publications.values():
            if publication.repository != name or publication.version != "latest":
                continue
            try:
                await wait_for_lease(partial(self._release, publication))
                shown.append(f"/{publication.path}/")
            except (
                ReconcilerError,
                OSError,
            ) as error:  # it is recorded: whoever is told otherwise sends it again
                delayed.append(
                    f"publication `{publication.meta.name}` does not show it yet:"
                    f" {error_message(error)}"
                )
        return shown, delayed

    async def _release(self, publication: Publication) -> str:
        actual = await asyncio.to_thread(self._session.writer.actual_state)
        guard = self._desired.repositories[publication.repository].guard
        policy = ReleasePolicy(self._desired, guard=guard)
        return await release_publication(self._session, publication, actual, policy)


def _from_importer(
    conduit: FileConduit, hand: UploadTarget, file: UploadedFile, fields: Mapping[str, str]
) -> Iterable[Placed]:
    return hand.importer().upload(conduit, file, fields, hand.source.config)


def _by_group(placed: Iterable[Placed]) -> dict[str, list[Unit]]:
    groups: dict[str, list[Unit]] = {}
    if is_unawaited(placed) or not isinstance(placed, Iterable):
        raise PluginFault(f"an upload becomes (group, unit) pairs, not {type(placed).__name__}")
    for number, one in enumerate(placed):
        if number >= MOST:
            raise PluginFault(f"an upload becomes more than {MOST:,} units")
        if not (
            isinstance(one, tuple)
            and len(one) == 2
            and isinstance(one[0], str)
            and isinstance(one[1], Unit)
        ):
            raise PluginFault(f"an upload becomes (group, unit) pairs: {one!r:.80} is none")
        groups.setdefault(one[0], []).append(one[1])
    return groups


def _check_bytes(placed: Mapping[str, Iterable[Unit]], file: UploadedFile) -> None:
    """A file brings no bytes but its own, and what can be taken out of them."""
    for unit in (unit for units in placed.values() for unit in units):
        acceptable(unit)
        stranger = next(
            (
                artifact
                for artifact in unit.artifacts
                if artifact.sha256 != file.sha256 and not artifact.within
            ),
            None,
        )
        if stranger is not None:
            raise PluginFault(
                f"unit `{unit.key}`: artifact `{stranger.path}` is not the file that was sent",
                hint="`file.sha256` is the digest of its bytes",
            )


def _members(hand: UploadTarget, name: str) -> list[Member]:
    current = hand.writer.current_units(hand.actual.id, [name]).get(name, [])
    return [Member(unit.digest.hex, stored_unit(unit.body), unit.source) for unit in current]


def _departing(name: str, members: list[Member], keys: set[tuple[str, str]]) -> GroupChanges:
    leaving = [
        member
        for member in members
        if member.source == UPLOAD and (member.unit.type, member.unit.key) in keys
    ]
    return GroupChanges(
        name,
        members,
        [ChangeLine(REMOVE, one.unit.type, one.unit.key, digest=one.digest) for one in leaving],
    )


def _staged(group: GroupChanges, basis: Digest) -> StagedGroup:
    """`committed`: the uploads have the name as long as they hold something under it."""
    left = {one.digest for one in group.was if one.source == UPLOAD} - {
        line.digest for line in group.lines if line.op == REMOVE
    }
    was = group_digest(Digest.parse(one.digest) for one in group.was) if group.was else None
    committed = CommittedGroup(group.name, BY_SOURCE, basis) if left or group.arrived else None
    return StagedGroup(group.name, UPLOAD, was, committed)


def _staged_members(group: GroupChanges) -> Iterator[StagedMember]:
    for line in group.lines:
        leaving = line.digest if line.op == REMOVE else line.before
        if leaving:
            yield StagedMember(group.name, Digest.parse(leaving), UPLOAD, joins=False)
        if line.op != REMOVE:
            yield StagedMember(group.name, Digest.parse(line.digest), UPLOAD, joins=True)


@contextmanager
def _passing_on(call: str) -> Iterator[None]:
    """What a plugin says to whoever sent a file passes as it is; anything else becomes a
    PluginFault that names `call`.
    """
    said: ReconcilerError | None = None
    with plugin_faults(call):
        try:
            yield
        except (Refused, Gone, Malformed, Conflict) as error:
            said = error
    if said is not None:
        said.message, said.hint = error_message(said), error_hint(said)
        raise said
