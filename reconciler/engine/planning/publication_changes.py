"""Publications in a plan: which version each will show, what filters keep out of it, and why
something has to be rendered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.publishing.exports import exported, overlap
from reconciler.engine.publishing.withheld import Judge, Judgement
from reconciler.engine.publishing.withholding import leaving, withholding
from reconciler.engine.session.session import Session
from reconciler.engine.sources.selection import plain_options
from reconciler.model import (
    ActualPublication,
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Judged,
    Kind,
    Publication,
    Ref,
)
from reconciler.plan import Action, ContentChanges, ResourceChange, Withholding, serving_guarded
from reconciler.plugin.registry import Registry

LATEST = "latest"
STAYS = "what it shows stays as it is"


def publication_digest(
    version_digest: Digest, publication: Publication, revision: int, judged: Judged
) -> Digest:
    """What a publication shows: a version, but for what is withheld, rendered by a publisher with a
    configuration.
    """
    withheld = [str(judged.withheld)] if judged.withheld else []
    return Digest.of_value(
        [
            str(version_digest),
            publication.publisher,
            plain_options(publication.options),
            withheld,
            revision,
        ]
    )


def revision_of(registry: Registry, publisher: str) -> int:
    """The render revision of a publisher."""
    cls: Any = registry.publisher(publisher).cls
    return int(cls.revision)


def all_decided(repository_change: ResourceChange) -> bool:
    """Has everything that the sources of a repository hold been decided by this plan?"""
    content = repository_change.content
    return (
        content is not None
        and not repository_change.refusal
        and not content.failures
        and not content.unknown
    )


@dataclass(frozen=True, slots=True)
class _Coming:
    """What a publication is about to show. `number`: of the version, None where there is none;
    `recorded`: its digest, None where this plan makes it.

    `judgement`: of the version as it is recorded now, None where nothing is.
    """

    number: int | None
    recorded: Digest | None
    judgement: Judgement | None = None
    withheld: Withholding | None = None


async def publication_change(
    session: Session,
    desired: DesiredState,
    change: ResourceChange,
    publication: Publication,
    changes: Mapping[Ref, ResourceChange],
    actual: ActualState,
    *,
    allow_destroy: bool,
) -> ResourceChange:
    """The change of one publication, guarded. `changes`: of everything that comes before it, its
    repository among them.
    """
    current = actual.publications.get(publication.meta.name)
    target = changes[Ref(Kind.REPOSITORY, publication.repository)]
    before = current.version if current else None
    number = await _target_version(session, publication, target, actual)
    if number is None:
        message = f"repository `{publication.repository}` has no version `{publication.version}`"
        return replace(change, version=(before, None)).refused(
            message, f"`reconciler history repository/{publication.repository}` lists the versions"
        )
    try:
        coming = await asyncio.to_thread(
            _coming, session, desired, publication, current, number, target, actual
        )
    except Exception as error:  # a content type that cannot decide: what is shown stays as it is
        return replace(change, version=(before, number)).refused(
            f"what filters say of it is not known: {error_message(error)}",
            error_hint(error) or STAYS,
        )
    reason = _why_publish(session, publication, current, coming)
    action = Action.UPDATE if change.action is Action.NO_OP and reason else change.action
    reason = reason if change.action is not Action.CREATE else ""
    change = replace(
        change, action=action, version=(before, number), reason=reason, withheld=coming.withheld
    )
    repository = desired.repositories[publication.repository]
    return serving_guarded(
        change, repository.meta.name, repository.guard, allow_destroy=allow_destroy
    )


def path_is_free(
    change: ResourceChange, publication: Publication, desired: DesiredState, actual: ActualState
) -> ResourceChange:
    """What no manifest declares any more is served until it is pruned, and no URL may belong to two
    publications.
    """
    for ref, recorded in actual.resources.items():
        left = ref.kind is Kind.PUBLICATION and ref.name not in desired.publications
        if left and not change.refusal and overlap(publication.path, recorded.spec["path"]):
            message = (
                f"`/{recorded.spec['path']}/` is still served by {ref}, which no manifest declares"
                " any more"
            )
            change = change.refused(message, f"`--prune` removes {ref}")
    return change


async def _target_version(
    session: Session, publication: Publication, target: ResourceChange, actual: ActualState
) -> int | None:
    """The number that the publication will show, or None where there is no such version."""
    state = actual.repositories.get(publication.repository)
    latest = (target.version[0] if target.refusal else target.version[1]) or 0
    if publication.version == LATEST:
        return latest
    if isinstance(publication.version, int):
        return publication.version if publication.version <= latest else None
    if state is None:
        return None
    return await asyncio.to_thread(
        session.reader.version_by_digest, state.id, Digest.parse(publication.version)
    )


def _coming(
    session: Session,
    desired: DesiredState,
    publication: Publication,
    current: ActualPublication | None,
    number: int,
    target: ResourceChange,
    actual: ActualState,
) -> _Coming:
    """What filters say of it. A version that this plan makes is judged by the one before it: what
    comes in now is decided already.
    """
    state = actual.repositories.get(publication.repository)
    if state is None:
        return _Coming(number, None)
    made = number > state.number
    judged = state.number if made else number
    digest = _digest_of(session, state, judged)
    if digest is None:
        return _Coming(number, None)
    shown = current or ActualPublication(0, publication.meta.name)
    content = target.content if made else None
    judge = Judge(
        session.reader,
        session.store,
        session.registry,
        desired,
        publication,
        session.now,
        session.watch,
    )
    judgement = judge.judge(
        shown, state.id, judged, digest, decided=number == target.version[1] and all_decided(target)
    )
    judgement = _after(judgement, content)
    rows = withholding(session.reader, judge, shown, judgement, state.id, judged, content)
    return _Coming(number, None if made else digest, judgement, rows)


def _after(judgement: Judgement, content: ContentChanges | None) -> Judgement:
    """What is withheld once the repository has changed as planned."""
    if content is None or not judgement.units:
        return judgement
    return judgement.without(leaving(content, {unit.group for unit in judgement.units.values()}))


def _digest_of(session: Session, state: ActualRepository, number: int) -> Digest | None:
    """Of a version that is recorded."""
    if number == state.number:
        return state.digest
    record = session.reader.version(state.id, number)
    return record.digest if record else None


def _why_publish(
    session: Session, publication: Publication, current: ActualPublication | None, coming: _Coming
) -> str:
    """Why something has to be rendered, pointed or exported; empty where nothing has."""
    if current is None or current.version is None:
        return "not published yet"
    if (coming.number, coming.recorded) != (current.version, current.version_digest):
        return (
            "the repository has another version"
            if publication.version == LATEST
            else "another version is asked for"
        )
    judged = coming.judgement.judged if coming.judgement else current.judged
    if judged.withheld != current.judged.withheld:
        return "filters decide otherwise about what it shows"
    wanted = publication_digest(
        current.version_digest or Digest.of(b""),
        publication,
        revision_of(session.registry, publication.publisher),
        judged,
    )
    if wanted != current.digest:
        return "it is rendered differently now"
    behind = [path for path in publication.exports if exported(path) != str(current.digest)]
    return f"the export `{behind[0]}` does not show it yet" if behind else ""
