"""Artifacts that a content type makes out of stored files: examined before a release.

Python's core metadata is one: a wheel holds it, an index may declare it, and what it declares may
be missing or wrong. A unit keeps what was declared; what is shown is decided here, when a
publication is made, and recorded beside the unit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from reconciler.database import Derivation, DerivedArtifact, ExaminedUnit, Reader
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.members import declared_unit
from reconciler.errors import PluginFault, StateFault
from reconciler.model import (
    ActualPublication,
    Artifact,
    Digest,
    StoredArtifact,
    artifact_digest,
)

EXAMINED_AT_ONCE = 500

logger = logging.getLogger(__name__)


class ArtifactDeriver:
    """Examines units once they joined a version, and again once their files are stored.

    Runs plugin code: call it in a worker thread.
    """

    def __init__(self, session: WritingSession) -> None:
        self._session = session
        self._sizes: dict[Digest, int] = {}

    def examine(self, version: RepositoryVersion) -> None:
        """Record what is to be shown of every unit of a repository that was not examined yet.

        Raises:
            PluginFault: A content type broke its contract.
        """
        writer, id_ = self._session.writer, version.repository_id
        number, examined = writer.examined(id_)
        if examined < number:
            self._record(writer.unexamined_units(id_, examined, number))
            writer.mark_examined(id_, number)
        self._record(writer.extractable_units(id_, version.number))

    def _record(self, units: Iterator[ExaminedUnit]) -> None:
        while batch := list(islice(units, EXAMINED_AT_ONCE)):
            wanted = {artifact_digest(part) for unit in batch for part in unit.unit.artifacts}
            stored = self._session.writer.stored(wanted)
            self._sizes = {}
            derived = [made for unit in batch for made in self._derived(unit, stored)]
            if self._sizes:
                self._session.store.sync()
            examined = [unit.id for unit in batch]
            self._session.writer.record_derived(derived, self._sizes, examined=examined)
            if derived:
                logger.debug("derived artifacts: %d", len(derived))

    def _derived(self, unit: ExaminedUnit, stored: set[Digest]) -> Iterator[DerivedArtifact]:
        """Yield what is shown in the place of what is declared.

        Damaged bytes decide nothing: where nothing could be made, the container is verified, and
        examined again once it is whole.
        """
        artifacts = {part.path: part for part in unit.unit.artifacts}
        for extractable in self._extractable(unit):
            declared, container = artifacts.get(extractable.path), artifacts.get(extractable.within)
            if container is None or _is_served(declared, container, stored):
                continue
            digest = artifact_digest(container)
            made = self._made(unit, extractable, digest) if digest in stored else None
            waits = made is None and not (digest in stored and self._session.store.verify(digest))
            within = extractable.within if waits else None
            yield DerivedArtifact(unit.id, extractable.path, made, within)

    def _extractable(self, unit: ExaminedUnit) -> Sequence[Artifact]:
        content_type: Any = self._session.registry.content_type(unit.unit.type)
        call = f"`extractable` of `{unit.unit.type}`"
        with self._session.watch(call), plugin_faults(call):
            artifacts = list(content_type.extractable(unit.unit))
            if not all(isinstance(artifact, Artifact) for artifact in artifacts):
                raise PluginFault("it returns a list of Artifact")
        return artifacts

    def _made(self, unit: ExaminedUnit, extractable: Artifact, container: Digest) -> Digest | None:
        """Extract an artifact out of its stored container; return its digest, None without it."""
        content_type: Any = self._session.registry.content_type(unit.unit.type)
        call = f"`extract` of `{unit.unit.type}`"
        try:
            file = self._session.store.open(container)
        except StateFault:  # the bytes are lost, which the release reports
            return None
        with file, self._session.watch(f"{call} for `{unit.unit.key}`"), plugin_faults(call):
            body: Any = content_type.extract(declared_unit(unit.unit), extractable, file)
            if not isinstance(body, bytes | None):
                raise PluginFault(f"it returns bytes or None, not {type(body).__name__}")
        if not body:
            return None
        digest = Digest.of(body)
        self._session.store.put(body, digest)
        self._sizes[digest] = len(body)
        return digest


def current_derivation(
    reader: Reader, current: ActualPublication, version: RepositoryVersion
) -> Derivation:
    """Return the identity of what a version shows; cheap where it is shown already."""
    shown = reader.publication(current.id)
    same = shown is not None and (shown.version, shown.version_digest) == (
        version.number,
        version.digest,
    )
    known = shown.derivation if shown is not None and same else None
    return reader.derivation(version.repository_id, version.number, known=known)


def _is_served(
    declared: StoredArtifact | None, container: StoredArtifact, stored: Iterable[Digest]
) -> bool:
    """Return True if what is declared can be shown: it is here, and not the container itself."""
    return (
        declared is not None
        and declared.sha256 != container.sha256
        and artifact_digest(declared) in stored
    )
