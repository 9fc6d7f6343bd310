"""Front page, at `/`: the list of publications."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from reconciler.database.records import ServedPublication
from reconciler.serve.catalogue import Catalogue
from reconciler.serve.folder_lists import plain_page
from reconciler.serve.responses import page_response


class FrontPage:
    """The endpoint of `/`: private publications are not told of."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def get(self, request: Request) -> Response:
        """Respond with the list of what every client may read now."""
        public = [record for record in self._catalogue.served() if not record.private]
        return page_response(request, publication_list(public))


def publication_list(served: Sequence[ServedPublication]) -> bytes:
    """Return a plain HTML page; its links are relative, so that it works behind a prefix."""
    rows = "".join(
        f'<li><a href="{quote(record.path)}/">{escape(record.path)}</a>'
        f" ({escape(record.name)})</li>\n"
        for record in served
    )
    content = f"<ul>\n{rows}</ul>" if rows else "<p>Nothing is published yet.</p>"
    return plain_page("Publications", content)
