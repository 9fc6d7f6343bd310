"""One group of the remote behind a publication: read and decided as in a sync."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.engine.pull_through.targets import PullTarget
from reconciler.engine.session.session import Session
from reconciler.engine.sources.declared_source import DeclaredSource
from reconciler.engine.sources.missing_groups import is_failed_absence
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection, plain_options
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import ForeignOrigin
from reconciler.model import Digest, IdentifiedUnit


@dataclass(frozen=True, slots=True)
class UpstreamGroup:
    """Content of a group that may come in. `absence`: why there is none, else empty."""

    units: tuple[IdentifiedUnit, ...] = ()
    absence: str = ""


class UpstreamGroups:
    """Asks the remote of one publication. For one event loop."""

    def __init__(self, session: Session, target: PullTarget) -> None:
        self._session = session
        self._target = target
        resolution = RepositoryResolution.start(session, target.repository, target.recorded)
        self._selection = Selection.of(
            session,
            resolution.plugin,
            options=target.pull.options,
            filters=target.desired.filters_on(target.publication),
            now=session.now,
        )
        self._source = DeclaredSource(
            resolution, target.source(), self._selection, remote=target.remote
        )

    def basis(self) -> Digest:
        """Return the digest of everything that its answers rest on but upstream itself."""
        target = self._target
        publisher: Any = self._session.registry.publisher(target.publication.publisher)
        marks = self._session.reader.marks(target.actual.id)
        return Digest.of_value(
            [
                self._source.rules_digest.hex,
                [publisher.id, publisher.cls.revision, target.publication.base_url is not None],
                plain_options(target.publication.options),
                [repr(mark) for mark in (*target.repository.marks, *(each.mark for each in marks))],
            ]
        )

    async def read(self, group: str) -> UpstreamGroup:
        """Return what upstream has of a group. Raises what kept it from answering.

        A name that rules keep out is not asked for.
        """
        refused = [step.text for step in self._selection.trace_group(group) if not step.passed]
        if refused:
            return UpstreamGroup(absence=refused[0])
        response, decisions = await self._source.pull(group)
        absence = _absence(response)
        if absence:
            return UpstreamGroup(absence=absence)
        if response.failure is not None:
            raise response.failure
        selected = self._selection.selected(group, decisions, response.kept_out)
        return UpstreamGroup(tuple(selected.wanted))


def _absence(response: SourceResponse) -> str:
    """Return why upstream does not have the group; empty where it has, or where it failed.

    A redirect that is refused says that it is not there either.
    """
    if response.gone:
        return response.gone
    if is_failed_absence(response) or isinstance(response.failure, ForeignOrigin):
        return str(response.failure)
    return ""
