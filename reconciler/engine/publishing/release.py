"""What is served: one publication brought to the version that it should show, pointed to and
exported.

A publication is worked on under a lease of its own: two runs that write one export tree would mix
what they show.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from reconciler.database import PublicationRecord
from reconciler.engine.planning.publication_changes import publication_digest, revision_of
from reconciler.engine.plugin_lifecycle.attachments import owner_of
from reconciler.engine.publishing.exports import export, exported, overlap, written_exports
from reconciler.engine.publishing.render import publish
from reconciler.engine.publishing.version_view import hidden
from reconciler.engine.publishing.withheld import Judge, Judgement
from reconciler.engine.publishing.withholding import withholding
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.lease import HeldLease, leased
from reconciler.engine.session.session import WritingSession
from reconciler.errors import Conflict, GuardRefusal, StateFault
from reconciler.model import (
    ActualPublication,
    ActualState,
    DesiredState,
    Digest,
    Guard,
    Judged,
    Publication,
)
from reconciler.plan import ResourceChange, serving_refusal

TRIES = 3  # renderings, before a scratchpad that others go on writing is a conflict


@dataclass(frozen=True, slots=True)
class Rules:
    """By what it is decided what is served. `decided`: as of `Judge.judge`. `guard`: what must not
    be taken from what is served by filters alone; None where somebody has let it pass already.
    """

    desired: DesiredState
    decided: bool = False
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a publication should show, and what it shows now. `refusal`: why it must not."""

    publication: Publication
    current: ActualPublication
    repository_id: int
    version: int
    version_digest: Digest
    judgement: Judgement
    digest: Digest
    refusal: tuple[str, str] | None = None

    @property
    def moves(self) -> bool:
        return self.current.digest != self.digest or self.current.version != self.version

    @property
    def reached(self) -> bool:
        """Is it served, and does every export show it?"""
        return not self.moves and all(
            exported(path) == str(self.digest) for path in self.publication.exports
        )

    @property
    def settled(self) -> bool:
        """Is what filters say of it recorded?"""
        return self.judgement.judged == self.current.judged


async def serve_version(
    session: WritingSession,
    publication: Publication,
    change: ResourceChange,
    actual: ActualState,
    rules: Rules,
) -> str:
    """What was done, empty when nothing had to be. `actual`: as of the moment when all repositories
    were done.

    Raises GuardRefusal where the guard of the repository forbids it.
    """
    target: Target = await session.in_thread(_target, session, publication, actual, rules)
    if target.reached and target.settled:
        return ""
    async with leased(session.writer, str(change.ref), session.clock) as held:
        done: str = await session.in_thread(_bring, session, target, held, rules)
        return done


def takes_over(publication: Publication, spec: Mapping[str, Any]) -> bool:
    """Does it come to a place, a path or a directory, that the recorded Publication `spec` has?"""
    written = written_exports(publication.spec)
    directories = (
        text in written
        or any(overlap(text, path) for path in publication.exports if os.path.isabs(text))
        for text in written_exports(spec)
    )
    return overlap(publication.path, spec["path"]) or any(directories)


def dropped(
    publication: Publication, spec: Mapping[str, Any], declared: Iterable[Publication]
) -> list[str]:
    """Directories that it exported to as recorded in `spec`, and that nothing declared exports to
    now.
    """
    folder = os.path.dirname(os.path.abspath(publication.meta.origin.file))
    before = [os.path.normpath(os.path.join(folder, text)) for text in written_exports(spec)]
    now = [path for one in declared for path in one.exports]
    return [path for path in before if not any(overlap(path, other) for other in now)]


def abandoned(
    spec: Mapping[str, Any], declared: Iterable[Publication]
) -> tuple[list[str], list[str]]:
    """The directories that a Publication leaves which is declared no more: (those that can be
    forgotten, those that stay, as written).

    What a relative path was relative to went with the manifest.
    """
    publications = list(declared)
    now = [path for publication in publications for path in publication.exports]
    taken = {
        text for publication in publications for text in written_exports(publication.spec)
    } | set(now)
    left = [
        text
        for text in written_exports(spec)
        if text not in taken and os.path.normpath(text) not in taken
    ]
    free = [
        text
        for text in left
        if os.path.isabs(text) and not any(overlap(os.path.normpath(text), path) for path in now)
    ]
    return free, [text for text in left if text not in free]


def _bring(session: WritingSession, seen: Target, held: HeldLease, rules: Rules) -> str:
    """Under the lease. Where another run was here meanwhile, what it left is looked at anew, so
    that nothing goes back.
    """
    publication, writer = seen.publication, session.writer
    record = writer.publication(seen.current.id)
    unmoved = (
        record is None
        if seen.current.version is None
        else record is not None and record.digest == seen.current.digest
    )
    target = seen if unmoved else _target(session, publication, writer.actual_state(), rules)
    if target.refusal:
        raise GuardRefusal(target.refusal[0], hint=target.refusal[1])
    if target.moves:
        _render(session, target, held)
    elif not target.settled:
        reasons = {digest: one.reason for digest, one in (target.judgement.units or {}).items()}
        writer.judge(target.current.id, target.current.number, target.judgement.judged, reasons)
    record = writer.publication(target.current.id)
    assert record is not None
    shown = []
    for path in publication.exports:
        held.check()
        if export(writer, session.store, target.current.id, record, path):
            shown.append(path)
    without = (
        f" without {target.judgement.judged.units} that filters withhold"
        if target.judgement.judged.units
        else ""
    )
    words = (
        [
            f"serves version {target.version} of {publication.repository} at"
            f" /{publication.path}/{without}"
        ]
        if target.moves
        else []
    )
    return ", ".join(words + [f"exported to {path}" for path in shown])


def _render(session: WritingSession, target: Target, held: HeldLease) -> None:
    """Render, complete, point. A complete publication of the same digest is only pointed to."""
    writer = session.writer
    last = writer.last_complete(target.current.id)
    if last is None or last.digest != target.digest or last.version != target.version:
        last = _published(session, target)
    held.check()
    writer.point(target.current.id, last.number)
    reached(Checkpoint.POINTER_SET)


def _published(session: WritingSession, target: Target) -> PublicationRecord:
    """Rendered and complete. Rendered anew where what the publisher has seen of the scratchpads was
    written over meanwhile.
    """
    for _ in range(TRIES - 1):
        with suppress(Conflict):
            return _publish(session, target)
    return _publish(session, target)


def _publish(session: WritingSession, target: Target) -> PublicationRecord:
    publication, writer = target.publication, session.writer
    plugin = session.registry.publisher(publication.publisher)
    last = writer.last_complete(target.current.id)
    judgement = _whole(session, target)
    return publish(
        writer,
        plugin,
        publication,
        session.workdirs.persistent(publication.repository, owner_of(plugin)),
        publication_id=target.current.id,
        repository_id=target.repository_id,
        version=target.version,
        version_digest=target.version_digest,
        digest=target.digest,
        rendered=_rendered(session, target, last),
        judgement=judgement,
        left_out=hidden(
            judgement.units or {},
            writer.withheld(target.current.id, last.number) if last and last.judged.units else {},
        ),
        now=session.clock(),
        watch=session.watch,
    )


def _whole(session: WritingSession, target: Target) -> Judgement:
    """What filters say, with all that is withheld at hand."""
    judgement = target.judgement
    if judgement.units is not None or not judgement.judged.units:
        return judgement
    return Judgement(
        judgement.judged, session.writer.withheld(target.current.id, target.current.number)
    )


def _rendered(
    session: WritingSession, target: Target, last: PublicationRecord | None
) -> tuple[int, bool]:
    """The version that was rendered last, and whether a difference to it can be rendered: the same
    way, from this very repository.
    """
    if last is None:
        return 0, False
    record = session.writer.version(target.repository_id, last.version)
    ours = record is not None and record.digest == last.version_digest
    return last.version, ours and last.digest == _digest(
        session, target.publication, last.version_digest, last.judged
    )


def _target(
    session: WritingSession, publication: Publication, actual: ActualState, rules: Rules
) -> Target:
    state = actual.repositories[publication.repository]
    number, version_digest = state.number, state.digest
    wanted = publication.version
    if wanted not in ("latest", number):
        found = (
            wanted
            if isinstance(wanted, int)
            else session.writer.version_by_digest(state.id, Digest.parse(wanted))
        )
        record = session.writer.version(state.id, found) if found is not None else None
        if record is None:
            raise StateFault(f"repository `{publication.repository}` has no version `{wanted}`")
        number, version_digest = record.number, record.digest
    current = actual.publications[publication.meta.name]
    judge = Judge(
        session.writer,
        session.store,
        session.registry,
        rules.desired,
        publication,
        session.clock(),
        session.watch,
    )
    judgement = judge.judge(
        current, state.id, number, version_digest, decided=rules.decided and number == state.number
    )
    refusal = None
    if (
        rules.guard is not None
        and (lost := withholding(session.writer, judge, current, judgement, state.id, number))
        is not None
    ):
        refusal = serving_refusal(
            publication.meta.name, lost, publication.repository, rules.guard, allow_destroy=False
        )
    digest = _digest(session, publication, version_digest, judgement.judged)
    return Target(
        publication, current, state.id, number, version_digest, judgement, digest, refusal
    )


def _digest(
    session: WritingSession, publication: Publication, version_digest: Digest, judged: Judged
) -> Digest:
    return publication_digest(
        version_digest, publication, revision_of(session.registry, publication.publisher), judged
    )
