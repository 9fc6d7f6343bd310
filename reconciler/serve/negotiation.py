"""Content negotiation: `Accept` and `Accept-Encoding` as RFC 9110 (12.4, 12.5) defines them.

Pure functions. A range or weight that cannot be parsed is ignored, never an error: there is always
a default to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

IGNORED_PARAMETERS = {"charset"}  # text is always sent as UTF-8, whatever charset is asked for


class MediaType(NamedTuple):
    """`type/subtype` in lower case and the parameters that distinguish it."""

    name: str
    parameters: frozenset[str]


class MediaRange(NamedTuple):
    """One element of `Accept`."""

    wanted: MediaType
    quality: float

    def covers(self, offer: MediaType) -> bool:
        """Return True where this range includes `offer`."""
        if not self.wanted.parameters <= offer.parameters:
            return False
        if self.wanted.name == "*/*":
            return True
        if self.wanted.name.endswith("/*"):
            return offer.name.startswith(self.wanted.name[:-1])
        return self.wanted.name == offer.name

    @property
    def specificity(self) -> tuple[int, int]:
        """Rank of a range: `*/*`, `type/*`, `type/subtype`, then by the number of parameters."""
        kind = 0 if self.wanted.name == "*/*" else 1 if self.wanted.name.endswith("/*") else 2
        return kind, len(self.wanted.parameters)


Names = tuple[str, ...]


def choose(accept: str, offers: Sequence[Names]) -> int:
    """Return the index of the offer that `accept` prefers; 0, the default, where it accepts none.

    Each offer is a media type followed by its aliases: further types that may be asked for by name
    (wildcards mean the media type itself). Among offers of one quality the one that was asked for
    most specifically wins, then the earlier.
    """
    ranges = [range_ for element in accept.split(",") if (range_ := _media_range(element))]
    best, preferred = (0.0, (-1, -1)), 0
    for index, offer in enumerate(offers):
        preference = _preference(ranges, offer)
        if preference[0] > 0 and preference > best:
            best, preferred = preference, index
    return preferred


def accepts_gzip(accept_encoding: str) -> bool:
    """Return True where gzip is acceptable and not ranked below the bare bytes.

    An absent header permits any coding (RFC 9110, 12.5.3), but a client that does not ask for gzip
    may not read it: bare bytes.
    """
    weights = dict(
        _weighted(element) for element in accept_encoding.lower().split(",") if element.strip()
    )
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", weights.get("*", 0.0))


def _preference(ranges: Sequence[MediaRange], offer: Names) -> tuple[float, tuple[int, int]]:
    """Return quality and specificity of the range that decides on an offer; quality 0 for none."""
    real, *aliases = (_media_type(name.split(";")) for name in offer)
    decisions = [_decision([range_ for range_ in ranges if range_.covers(real)])]
    decisions += [
        _decision([range_ for range_ in ranges if range_.wanted == alias]) for alias in aliases
    ]
    return max(decisions)


def _decision(covering: Sequence[MediaRange]) -> tuple[float, tuple[int, int]]:
    """Let the most specific range decide, also when it refuses."""
    if not covering:
        return 0.0, (-1, -1)
    most = max(covering, key=lambda range_: (range_.specificity, range_.quality))
    return most.quality, most.specificity


def _media_range(element: str) -> MediaRange | None:
    """Parse an element of `Accept`; None where it makes no sense."""
    kind, *parameters = element.split(";")
    media_type = _media_type(
        [kind, *(p for p in parameters if not p.strip().lower().startswith("q="))]
    )
    quality = _quality(parameters)
    if (
        quality is None
        or "/" not in media_type.name
        or (media_type.name.startswith("*/") and media_type.name != "*/*")
    ):
        return None
    return MediaRange(media_type, quality)


def _media_type(parts: Sequence[str]) -> MediaType:
    parameters = (part.strip().lower().replace('"', "") for part in parts[1:])
    return MediaType(
        parts[0].strip().lower(),
        frozenset(p for p in parameters if p and p.split("=")[0].strip() not in IGNORED_PARAMETERS),
    )


def _weighted(element: str) -> tuple[str, float]:
    name, *parameters = element.split(";")
    return name.strip(), _quality(parameters) or 0.0


def _quality(parameters: Sequence[str]) -> float | None:
    """Return the weight among the parameters: 1 without one, None where it cannot be parsed."""
    for weight in _weights(parameters):
        try:
            return min(1.0, float(weight)) if weight[:1] in ("0", "1", ".") else None
        except ValueError:
            return None
    return 1.0


def _weights(parameters: Sequence[str]) -> Iterator[str]:
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "q":
            yield value.strip()
