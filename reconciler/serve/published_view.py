"""Published content for views of a publisher: as far as one client may see it.

The rule of private publications, `is_visible`, holds for each path by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil

from reconciler.database.records import Entry, ServedPublication
from reconciler.errors import StateFault
from reconciler.model import Grant
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.private_content import is_visible
from reconciler.serve.representation import Resource

MAX_FILE = 16 * 1024 * 1024  # bytes of a file that a view may read


class PublishedView:
    """Implements the conduit of views. Read in one worker thread.

    `complete`: False once bytes were asked for that are not in the store yet.
    """

    def __init__(
        self, catalogue: Catalogue, served: ServedPublication, grant: Grant | None, *, base_url: str
    ) -> None:
        self._catalogue = catalogue
        self._served = served
        self._grant = grant
        self._base_url = base_url
        self.complete = True

    @property
    def publication(self) -> str:
        """Name of the publication."""
        return self._served.name

    @property
    def base_url(self) -> str:
        """Address at which the client sees the publication."""
        return self._base_url

    @property
    def serial(self) -> int:
        """Serial of the publication. Raises StateFault where it is gone meanwhile."""
        moment = self._catalogue.publications.moment(self._served)
        if moment is None:
            raise StateFault(f"publication `{self._served.name}` has moved on")
        return _serial(moment)

    def read(self, path: str, media_type: str = "") -> bytes | None:
        """Return what the client sees at a path; None for nothing, and for absent bytes."""
        resource = self._resource(path)
        entry = None if resource is None else _entry(resource, media_type)
        if entry is None:
            return None
        if entry.page:
            return self._catalogue.page_bytes(entry, self._base_url)
        data = self._catalogue.file_bytes(entry.digest, limit=MAX_FILE)
        self.complete = self.complete and data is not None
        return data

    def serial_of(self, path: str) -> int | None:
        """Return the serial of what the client sees at a path."""
        resource = self._resource(path)
        return None if resource is None else resource.modified

    def serials(self, folder: str, media_type: str) -> Mapping[str, int]:
        """Return serials of the pages of groups that the client sees below a folder."""
        rows = self._catalogue.publications.page_moments(self._served, folder, media_type)
        grant = self._grant or Grant("public")
        return {row.path: _serial(row.moment) for row in rows if grant.covers(row.group)}

    def _resource(self, path: str) -> Resource | None:
        resource = self._catalogue.resource(self._served, path)
        return resource if is_visible(resource, self._grant) else None


def _entry(resource: Resource, media_type: str) -> Entry | None:
    if not media_type:
        return resource.entries[0]
    return next((entry for entry in resource.entries if entry.media_type == media_type), None)


def _serial(moment: datetime) -> int:
    return ceil(moment.timestamp())
