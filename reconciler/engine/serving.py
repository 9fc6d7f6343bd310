"""What is served: one publication brought to the version that it should show, pointed to and exported.

A publication is worked on under a lease of its own: two runs that write one export tree would mix what they show.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from reconciler.engine.exports import export, exported
from reconciler.engine.lease import leased
from reconciler.engine.planning import publication_digest, revision_of
from reconciler.engine.publish import publish
from reconciler.engine.site import Site
from reconciler.engine.steps import Step, reached
from reconciler.errors import StateFault
from reconciler.model import ActualPublication, ActualState, Digest, Publication
from reconciler.plan import ResourceChange


@dataclass(frozen=True, slots=True)
class Target:
    """What a publication should show, and what it shows now."""

    publication: Publication
    current: ActualPublication
    repository_id: int
    version: int
    version_digest: Digest
    digest: Digest

    @property
    def moves(self) -> bool:
        return self.current.digest != self.digest or self.current.version != self.version

    @property
    def reached(self) -> bool:
        """Is it served, and does every export show it?"""
        return not self.moves and all(exported(path) == str(self.digest) for path in self.publication.exports)


async def serve_version(site: Site, publication: Publication, change: ResourceChange, actual: ActualState) -> str:
    """What was done, empty when nothing had to be. `actual`: as of the moment when all repositories were done."""
    target = await asyncio.to_thread(_target, site, publication, actual)
    if target.reached:
        return ""
    async with leased(site.writer, str(change.ref), site.clock):
        return await asyncio.to_thread(_bring, site, target)


def _bring(site: Site, seen: Target) -> str:
    """Under the lease. Where another run was here meanwhile, what it left is looked at anew, so that nothing goes back."""
    publication, writer = seen.publication, site.writer
    record = writer.publication(seen.current.id)
    unmoved = record is None if seen.current.version is None else record is not None and record.digest == seen.current.digest
    target = seen if unmoved else _target(site, publication, writer.actual_state())
    if target.moves:
        _render(site, target)
    record = writer.publication(target.current.id)
    assert record is not None
    shown = [path for path in publication.exports if export(writer, site.store, target.current.id, record, path)]
    words = [f"serves version {target.version} of {publication.repository} at /{publication.path}/"] if target.moves else []
    return ", ".join(words + [f"exported to {path}" for path in shown])


def _render(site: Site, target: Target) -> None:
    """Render, complete, point. A complete publication of the same digest is only pointed to."""
    writer, publication = site.writer, target.publication
    last = writer.last_complete(target.current.id)
    if last is None or last.digest != target.digest or last.version != target.version:
        last = publish(
            writer,
            site.registry.publisher(publication.publisher),
            publication.options,
            publication_id=target.current.id,
            repository_id=target.repository_id,
            version=target.version,
            version_digest=target.version_digest,
            digest=target.digest,
            rendered=_rendered(site, target),
            now=site.clock(),
        )
    writer.point(target.current.id, last.number)
    reached(Step.POINTER_SET)


def _rendered(site: Site, target: Target) -> tuple[int, bool]:
    """The version that was rendered last, and whether a difference to it can be rendered: the same way, from this very repository."""
    last = site.writer.last_complete(target.current.id)
    if last is None:
        return 0, False
    record = site.writer.version(target.repository_id, last.version)
    ours = record is not None and record.digest == last.version_digest
    return last.version, ours and last.digest == _digest(site, target.publication, last.version_digest)


def _target(site: Site, publication: Publication, actual: ActualState) -> Target:
    state = actual.repositories[publication.repository]
    number, version_digest = state.number, state.digest
    wanted = publication.version
    if wanted not in ("latest", number):
        found = wanted if isinstance(wanted, int) else site.writer.version_by_digest(state.id, Digest.parse(wanted))
        record = site.writer.version(state.id, found) if found is not None else None
        if record is None:
            raise StateFault(f"repository `{publication.repository}` has no version `{wanted}`")
        number, version_digest = record.number, record.digest
    current = actual.publications[publication.meta.name]
    return Target(publication, current, state.id, number, version_digest, _digest(site, publication, version_digest))


def _digest(site: Site, publication: Publication, version_digest: Digest) -> Digest:
    return publication_digest(version_digest, publication, revision_of(site.registry, publication.publisher))
