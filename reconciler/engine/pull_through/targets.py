"""Publications that pull through, as of one generation of the database."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from reconciler.database import Reader
from reconciler.engine.sources.repository_resolution import ownership_of
from reconciler.model import (
    PULL_THROUGH,
    UPLOAD,
    ActualPublication,
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Publication,
    PullThrough,
    Remote,
    Repository,
    Source,
    SourceKind,
)
from reconciler.plugin.registry import Registry

KEPT_NAMES = 10_000


@dataclass(slots=True)
class PullTarget:
    """A publication that pulls through, with everything that it is about.

    `remote`: tried again once only, since a client waits. `basis`: digest of the rules and the
    rendering behind its content, None before it was found out.
    """

    generation: Hashable
    desired: DesiredState
    publication: Publication
    pull: PullThrough
    repository: Repository
    remote: Remote
    recorded: ActualState
    actual: ActualRepository
    shown: ActualPublication
    basis: Digest | None = None
    owners: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.publication.meta.name

    def source(self) -> Source:
        """Return the remote as a source of the repository."""
        return Source(
            id=PULL_THROUGH,
            kind=SourceKind.REMOTE,
            name=self.remote.meta.name,
            spec={},
            options=self.pull.options,
            config=self.pull.config,
            origin=self.publication.meta.origin,
        )

    def owner(self, reader: Reader, registry: Registry, group: str) -> str:
        """Return the source to which a name belongs already, empty for none.

        Rule: declared sources, uploads and reserved names win over what is pulled through, always.
        """
        if group not in self.owners:
            if len(self.owners) >= KEPT_NAMES:
                self.owners.clear()
            self.owners[group] = self._owner(reader, registry, group)
        return self.owners[group]

    def _owner(self, reader: Reader, registry: Registry, group: str) -> str:
        ownership = ownership_of(self.repository, registry.importer(self.repository.type))
        for source in (UPLOAD, *(source.id for source in self.repository.sources)):
            committed = reader.committed_group(self.actual.id, source, group)
            if committed is not None:
                ownership.claim_committed(source, {group: committed})
        return ownership.owner(group) or ""


FindTarget = Callable[[str], PullTarget | None]
"""Return what a publication pulls through, None where it does not. Thread-safe."""
