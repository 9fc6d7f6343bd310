"""Totals of what is uploaded to a repository, kept in its row, which a commit locks.

They move by what a commit moves: no statement walks what stays.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, literal, select, union_all, update

from reconciler.database.bulk import parameter
from reconciler.database.schema import artifact, membership, repository, unit_artifact
from reconciler.database.session import Reading
from reconciler.model import UPLOAD, UploadTotals

_REPOSITORY = parameter("of_repository", membership.c.repository_id)
_NUMBER = parameter("new_number", membership.c.added)
_CAME = select(membership.c.unit_id, literal(1).label("sign")).where(
    membership.c.repository_id == _REPOSITORY,
    membership.c.added == _NUMBER,
    membership.c.source == UPLOAD,
)
_WENT = select(membership.c.unit_id, literal(-1)).where(
    membership.c.repository_id == _REPOSITORY,
    membership.c.removed == _NUMBER,
    membership.c.source == UPLOAD,
)
_MOVES = union_all(_CAME, _WENT).subquery()
_SIZE = (
    select(func.coalesce(func.sum(artifact.c.size), 0))
    .join_from(unit_artifact, artifact, artifact.c.sha256 == unit_artifact.c.sha256)
    .where(unit_artifact.c.unit_id == _MOVES.c.unit_id)
    .scalar_subquery()
)
_GROWTH = select(
    func.coalesce(func.sum(_MOVES.c.sign), 0), func.coalesce(func.sum(_MOVES.c.sign * _SIZE), 0)
)
_TOTALS = select(repository.c.uploaded_files, repository.c.uploaded_size).where(
    repository.c.id == _REPOSITORY
)
_SET = (
    update(repository)
    .where(repository.c.id == parameter("of_repository", repository.c.id))
    .values(
        uploaded_files=parameter("files", repository.c.uploaded_files),
        uploaded_size=parameter("size", repository.c.uploaded_size),
    )
)


def growth_of(connection: Connection, repository_id: int, number: int) -> UploadTotals:
    """Return what intervals that begin and end with a version add to uploads, or take away."""
    values = {"of_repository": repository_id, "new_number": number}
    files, size = connection.execute(_GROWTH, values).one()
    return UploadTotals(int(files), int(size))


def totals_of(connection: Connection, repository_id: int) -> UploadTotals:
    """Return what is uploaded."""
    row = connection.execute(_TOTALS, {"of_repository": repository_id}).one_or_none()
    return UploadTotals(*map(int, row)) if row is not None else UploadTotals()


def keep_totals(connection: Connection, repository_id: int, totals: UploadTotals) -> None:
    """Record what is uploaded."""
    values = {"of_repository": repository_id, "files": totals.files, "size": totals.size}
    connection.execute(_SET, values)


class UploadTotalReads(Reading):
    """Totals of uploads."""

    def upload_totals(self, repository_id: int) -> UploadTotals:
        """Return what the latest version of a repository holds of its source `upload`."""
        with self._reading.connect() as connection:
            return totals_of(connection, repository_id)
