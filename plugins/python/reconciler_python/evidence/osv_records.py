"""Records in the OSV format: affected releases of a project, and severity.

https://ossf.github.io/osv-schema/: `affected[]` names packages with versions and ranges. Of ranges,
`ECOSYSTEM` is PEP 440 order; `SEMVER` and `GIT` mean nothing for Python and are ignored. In doubt a
record is about the release: an unreadable end of a range ends nothing, an unreadable beginning
begins at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import msgspec
from packaging.version import Version

_LABELS: Final = {"LOW": 1, "MODERATE": 2, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_NOTHING: Final = msgspec.Raw(b"[]")
_MALWARE: Final = "MAL-"
_FIXED, _BEGINS, _LAST = range(3)


class Package(msgspec.Struct, frozen=True, gc=False):
    """The package of a record; `ecosystem` may name a repository after a colon."""

    ecosystem: str = ""
    name: str = ""


class Affected(msgspec.Struct, gc=False):
    """One package of a record.

    Fields that matter only for relevant projects stay JSON, which is small.
    """

    package: Package = Package()
    ranges: msgspec.Raw = _NOTHING
    versions: msgspec.Raw = _NOTHING
    severity: msgspec.Raw = _NOTHING

    def detach(self) -> None:
        """Copy raw JSON out of the file that it was read from, which it would keep in memory."""
        self.ranges, self.versions, self.severity = (
            self.ranges.copy(),
            self.versions.copy(),
            self.severity.copy(),
        )


class Labels(msgspec.Struct, gc=False):
    """`database_specific`: every database has its own keys, and its own types for them."""

    severity: msgspec.Raw = _NOTHING


class Record(msgspec.Struct, gc=False):
    """The fields that decide. Decoding raises msgspec's errors for other shapes."""

    id: str
    modified: str = ""
    withdrawn: str | None = None
    aliases: Sequence[str] = ()
    affected: list[Affected] = []
    severity: msgspec.Raw = _NOTHING
    database_specific: Labels | None = None

    def detach(self) -> None:
        """Copy raw JSON out of the file that it was read from, as of `Affected`."""
        self.severity = self.severity.copy()
        if self.database_specific is not None:
            self.database_specific.severity = self.database_specific.severity.copy()
        for affected in self.affected:
            affected.detach()


class _Score(msgspec.Struct):
    type: str = ""
    score: str = ""


class _Event(msgspec.Struct, gc=False):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    type: str = ""
    events: list[_Event] = []


_RANGES: Final = msgspec.json.Decoder(list[_Range] | None)
_VERSIONS: Final = msgspec.json.Decoder(list[str] | None)
_SCORES: Final = msgspec.json.Decoder(list[_Score] | None)


class Advisory:
    """The part of a record about one project. Decoding raises msgspec's errors."""

    __slots__ = ("_listed", "_literally", "_ranges", "aliases", "id", "malware", "severity")

    def __init__(self, record: Record, affected: Affected) -> None:
        self.id = record.id
        self.aliases = record.aliases
        self.malware = record.id.startswith(_MALWARE)
        self.severity = _severity(record, affected)
        self._literally = frozenset(_VERSIONS.decode(affected.versions) or ())
        self._listed = frozenset(map(version_of, self._literally)) - {None}
        events = [
            range_.events
            for range_ in _RANGES.decode(affected.ranges) or ()
            if range_.type == "ECOSYSTEM"
        ]
        self._ranges = [_Interval(range_events) for range_events in events]
        if self.malware and not events and not self._literally:
            self._ranges.append(
                _Interval([_Event(introduced="0")])
            )  # malware of which no release is named is malware as a whole

    def affects(self, text: str) -> bool:
        """Return True if it is about this release.

        A local version (`1.0+cu118`) is the release that it was built from, unless the record says
        more.
        """
        if text in self._literally:
            return True
        version = version_of(text)
        if version is None:
            return any(interval.endless for interval in self._ranges)
        return (
            version in self._listed
            or _public(version) in self._listed
            or any(interval.holds(version) for interval in self._ranges)
        )


class _Interval:
    """The events of one range, in order.

    `endless`: from the beginning, without an end; it holds even for a version without a place in
    the order.
    """

    __slots__ = ("_always", "_events", "_limits", "endless")

    def __init__(self, events: Sequence[_Event]) -> None:
        # `0` is before every version there is; and what cannot be read is taken for it
        begins = [
            None if event.introduced == "0" else version_of(event.introduced)
            for event in events
            if event.introduced is not None
        ]
        bounds = [(version, _BEGINS) for version in begins if version is not None]
        bounds += [(version, _FIXED) for version in _versions(event.fixed for event in events)]
        bounds += [
            (version, _LAST) for version in _versions(event.last_affected for event in events)
        ]
        # At one version: what begins where something is fixed holds; what ends there ends after it.
        self._events = sorted(bounds)
        self._limits = list(_versions(event.limit for event in events))
        self._always = None in begins
        self.endless = (
            self._always and not self._limits and all(kind == _BEGINS for _, kind in bounds)
        )

    def holds(self, version: Version) -> bool:
        if self._limits and not any(version < limit for limit in self._limits):
            return False
        inside = self._always
        for at, kind in self._events:
            if kind == _BEGINS and version >= at:
                inside = True
            elif (kind == _FIXED and version >= at) or (
                kind == _LAST and (version if at.local else _public(version)) > at
            ):
                inside = False
        return inside


def severity_rank(texts: Iterable[str]) -> int | None:
    """Return the worst of labels (`HIGH`) and CVSS vectors; None where nothing says it.

    0 none, 1 low, 2 medium, 3 high, 4 critical.
    """
    ranks = [rank for text in texts if (rank := _rank(text)) is not None]
    return max(ranks, default=None)


@lru_cache(maxsize=32768)
def version_of(text: str) -> Version | None:
    """Return a version; None for a text that PEP 440 cannot read."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        return None


def _versions(texts: Iterable[str | None]) -> Iterable[Version]:
    return (
        version for text in texts if text is not None and (version := version_of(text)) is not None
    )


def _public(version: Version) -> Version:
    return Version(version.public) if version.local else version


def _severity(record: Record, affected: Affected) -> list[str]:
    labels = [record.database_specific.severity] if record.database_specific else []
    texts = [_text(label) for label in labels]
    for scores in (record.severity, affected.severity):
        texts += [
            score.score for score in _SCORES.decode(scores) or () if score.type.startswith("CVSS_")
        ]
    return [text for text in texts if text]


def _text(label: msgspec.Raw) -> str:
    value: Any = msgspec.json.decode(label) if bytes(label).startswith(b'"') else None
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=4096)
def _rank(text: str) -> int | None:
    if text.upper() in _LABELS:
        return _LABELS[text.upper()]
    cvss = import_module(
        "cvss"
    )  # formulas and tables: only for manifests that ask about severities
    kinds: dict[str, Any] = {"CVSS:3": cvss.CVSS3, "CVSS:4": cvss.CVSS4}
    try:
        score = float(kinds.get(text[:6], cvss.CVSS2)(text).base_score)
    except cvss.CVSSError:
        return None
    return next(rank for rank, below in enumerate((0.1, 4.0, 7.0, 9.0, 11.0)) if score < below)
