"""Reads of when pages were first served: moments that only grow within a publication."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, func, select

from reconciler.database.bulk import parameter
from reconciler.database.columns import Moment
from reconciler.database.lingering import served_since
from reconciler.database.records import PageMoment, ServedPublication
from reconciler.database.schema import publication, publication_entry
from reconciler.database.session import Reading
from reconciler.database.versions import STREAM, at

_rows = publication_entry.c
_PUBLICATION = parameter("publication_id", _rows.publication_id)
_begun, _begun_on, _begun_at = served_since(_rows.added)
_MOMENTS = (
    select(_rows.path, _rows.group_name, _begun_at)
    .join(_begun, _begun_on)
    .where(
        _rows.publication_id == _PUBLICATION,
        _rows.path >= bindparam("low"),
        _rows.path < bindparam("high"),
        _rows.media_type == parameter("media_type", _rows.media_type),
        _rows.page,
        _rows.group_name.is_not(None),
        at(parameter("number", _rows.added), _rows),
    )
    .order_by(_rows.path)
)
_MOMENT = select(
    func.coalesce(publication.c.pointed_at, publication.c.published_at, type_=Moment)
).where(
    publication.c.publication_id == _PUBLICATION,
    publication.c.number == parameter("number", publication.c.number),
)


class MomentReads(Reading):
    """Moments at which publications, and pages of groups in them, were first served."""

    def moment(self, served: ServedPublication) -> datetime | None:
        """Return when a publication was first served; None where it is gone meanwhile."""
        with self._reading.connect() as connection:
            values = {"publication_id": served.publication_id, "number": served.number}
            moment: datetime | None = connection.execute(_MOMENT, values).scalar()
            return moment

    def page_moments(
        self, served: ServedPublication, folder: str, media_type: str
    ) -> list[PageMoment]:
        """Return pages of groups below a folder, in one media type, by path.

        `folder` ends with `/`. No other part of the publication is read.
        """
        values = {
            "publication_id": served.publication_id,
            "number": served.number,
            "low": folder,
            "high": folder[:-1] + chr(ord("/") + 1),
            "media_type": media_type,
        }
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            return [PageMoment(*row) for row in connection.execute(_MOMENTS, values)]
