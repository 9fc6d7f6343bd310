"""Whether filters let a file in that somebody sends: asked as about what was uploaded before, among
which it would be.

What they would withhold at once is not taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.selection import Selection
from reconciler.engine.transfer.metadata_recovery import ArtifactReader, stored_bytes_reader
from reconciler.errors import Denied
from reconciler.model import StoredUnit, Unit
from reconciler.plugin import ContentType, UploadedFile
from reconciler.plugin.registry import Registry
from reconciler.store import Store


def denial(
    filters: Selection,
    group: str,
    units: Iterable[Unit],
    beside: Iterable[StoredUnit],
    store: Store,
    file: UploadedFile,
    registry: Registry,
) -> Denied | None:
    """Why not, None where they do. `units`: what the file becomes; `beside`: what was uploaded to
    the group before.
    """
    if not filters.filters:
        return None
    arriving = [
        filters.recalled(unit, _sent(unit, file, registry.content_type(unit.type)))
        for unit in units
    ]
    names = {(unit.type, unit.key) for unit in arriving}
    others = [
        filters.recalled(declared_unit(one), stored_bytes_reader(store, one.artifacts))
        for one in beside
        if (one.type, one.key) not in names
    ]
    return _denial(filters, group, arriving, others)


def _denial(
    filters: Selection, group: str, arriving: Sequence[Unit], others: Sequence[Unit]
) -> Denied | None:
    mine = {id(unit) for unit in arriving}
    for one in filters.decide(group, [*arriving, *others]):
        if id(one.unit) in mine and not one.accepted:
            return Denied(f"`{one.unit.key}` is refused: {filters.reason(one)}")
    return None


def _sent(unit: Unit, file: UploadedFile, content_type: type[ContentType]) -> ArtifactReader:
    """The bytes of what is not stored yet: the file's own, and what can be taken out of them."""
    artifacts = {one.path: one for one in unit.artifacts}

    def read(path: str) -> bytes | None:
        artifact = artifacts.get(path)
        if artifact is None:
            return None
        with file.path.open("rb") as container:
            body = (
                container.read()
                if artifact.sha256 == file.sha256
                else content_type.extract(unit, artifact, container)
            )
        return (
            body
            if body is not None and hashlib.sha256(body).hexdigest() == artifact.sha256
            else None
        )

    return read
