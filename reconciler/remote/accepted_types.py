"""Media types that a remote accepts to be asked for: all, or HTML alone.

Some indexes answer 406 to an `Accept` that names types they do not know, although it names
`text/html` as well.
"""

from __future__ import annotations

from reconciler.remote.page_cache import PageCache

HTML = "text/html"


class AcceptedTypes:
    """Remembers of one remote that it is to be asked for HTML alone, also from run to run."""

    def __init__(self, cache: PageCache) -> None:
        self._cache = cache
        self._html_alone: bool | None = None  # not looked up yet

    def accept(self, wanted: str) -> str:
        """Return the `Accept` to send where `wanted` would be best."""
        if not _offers_html(wanted):
            return wanted
        if self._html_alone is None:
            self._html_alone = self._cache.html_alone()
        return HTML if self._html_alone else wanted

    def fallback(self, refused: str) -> str | None:
        """Return what to ask for after a 406 to `refused`; None where there is nothing else."""
        return HTML if _offers_html(refused) else None

    def remember(self) -> None:
        """Ask for HTML alone from now on: that was answered."""
        if not self._html_alone:
            self._html_alone = True
            self._cache.keep_html_alone()


def _offers_html(accept: str) -> bool:
    """Return True for an `Accept` with HTML among other types."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return HTML in types and len(types) > 1
