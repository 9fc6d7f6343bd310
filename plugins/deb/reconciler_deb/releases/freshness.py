"""The rule of freshness: an old Release, replayed, would keep back security updates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from reconciler.plugin import Malformed
from reconciler_deb.releases.release_file import Release

_CLOCKS_DIFFER: Final = timedelta(hours=1)
_HINT: Final = (
    "the mirror on the way may lag, or hold updates back: ask the archive itself, or say"
    " `checkValidUntil: false` for an archive that no longer moves"
)


class Freshness:
    """Refuses a Release that has run out, or is older than the one that was read last.

    `last`: the Date of that one, None if there was none.
    """

    def __init__(self, now: datetime, last: datetime | None) -> None:
        self._now = now
        self._last = last

    def check(self, release: Release) -> None:
        """Raise Malformed for a Release that must not be followed."""
        until, date = release.valid_until, release.date
        if until is not None and until < self._now:
            raise Malformed(f"it was valid until {_shown(until)} only", hint=_HINT)
        if date is not None and date > self._now + _CLOCKS_DIFFER:
            raise Malformed(
                f"its Date, {_shown(date)}, has not come yet",
                hint="compare this machine's clock with that of the archive",
            )
        if self._last is None:
            return
        if date is None:
            raise Malformed(f"it has no Date, and the last one had: {_shown(self._last)}")
        if date < self._last:
            raise Malformed(
                f"its Date, {_shown(date)}, is older than the last one, {_shown(self._last)}",
                hint=_HINT,
            )


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}".strip()
