"""An OSV dump in memory: read on first use, and kept while it is unchanged on disk.

A record that cannot be read is an error that names it: skipping it would let in the release that it
warns of.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec
from packaging.utils import canonicalize_name

from reconciler.plugin import Malformed, sanitize
from reconciler_python.evidence.osv_files import (
    BrokenFile,
    Signature,
    digest,
    one_line,
    records,
    signature,
)
from reconciler_python.evidence.osv_records import Advisory, Affected, Record, severity_rank

_KEPT: Final = 8  # dumps in memory: as many as the manifests of one run may name
_LARGEST: Final = 512 * 1024**2  # bytes of the records about Python: those of PyPI have some 100 MB
_PROJECTS: Final = 256  # of which the records are kept in the form that decides
_ECOSYSTEM: Final = "PyPI"
_DECODER: Final = msgspec.json.Decoder(Record)

_Entries = dict[str, list[tuple[Record, Affected]]]


class Dump:
    """One state of a dump.

    `affecting` and `severity` raise Malformed where it cannot be read, or has changed since this
    object was made.
    """

    def __init__(self, path: Path, written: str, state: Signature | None) -> None:
        """`written`: its name in errors. `state`: its signature now, None where it has none."""
        self._path = path
        self._written = written
        self._lock = Lock()
        self.state = state
        self._newest: datetime | None = None
        self.about_project = lru_cache(maxsize=_PROJECTS)(self._advisories)

    @cached_property
    def digest(self) -> str:
        """Digest of its content; `unreadable` where it cannot be read.

        A decision made with an unreadable dump fails with the reason.
        """
        try:
            return digest(self._path)
        except OSError:
            return "unreadable"

    def affecting(self, project: str, version: str) -> list[Advisory]:
        """Return the advisories about one release. `project`: normalised."""
        return [advisory for advisory in self.about_project(project) if advisory.affects(version)]

    def severity(self, advisory: Advisory) -> int | None:
        """Return the rank as of `severity_rank`, if need be that of a record named as an alias."""
        rank = severity_rank(advisory.severity)
        if rank is not None or not advisory.aliases:
            return rank
        named = [entry for alias in advisory.aliases for entry in self._entries()[1].get(alias, ())]
        return severity_rank(
            text for record, affected in named for text in self._advisory(record, affected).severity
        )

    @property
    def date(self) -> datetime | None:
        """Return the moment of its newest record, where the records have been read.

        Else that of its newest file; None where it cannot be read.
        """
        if "_loaded" in self.__dict__ and self._newest is not None:
            return self._newest
        if not self.state:
            return None
        return datetime.fromtimestamp(max(file[3] for file in self.state) / 1e9, UTC)

    def _advisories(self, project: str) -> list[Advisory]:
        return [
            self._advisory(record, affected)
            for record, affected in self._entries()[0].get(project, ())
        ]

    def _advisory(self, record: Record, affected: Affected) -> Advisory:
        try:
            return Advisory(record, affected)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise self._broken(f"`{one_line(record.id)}` is no OSV record", error) from None

    def _entries(self) -> tuple[_Entries, _Entries]:
        with self._lock:
            loaded = self._loaded
        if isinstance(loaded, Malformed):
            raise Malformed(loaded.message, hint=loaded.hint)
        return loaded

    @cached_property
    def _loaded(self) -> tuple[_Entries, _Entries] | Malformed:
        """Return the records by project and by ID, or the reason why there are none.

        A broken dump is not read again for every project.
        """
        try:
            return self._load()
        except BrokenFile as error:
            return self._broken(str(error))
        except OSError as error:
            return self._broken("it cannot be read", error)
        except Malformed as error:
            return self._broken(error.message)

    def _load(self) -> tuple[_Entries, _Entries]:
        by_project: _Entries = {}
        by_id: _Entries = {}
        newest, size = "", 0
        for name, body in records(self._path):
            try:
                record = _DECODER.decode(body)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                raise BrokenFile(name, f"is no OSV record: {_said(error)}") from None
            newest = max(newest, record.modified)
            if record.withdrawn is None and _enter(record, by_project, by_id):
                size += len(body)
                if size > _LARGEST:
                    raise Malformed(f"its records about Python have more than {_LARGEST:,} bytes")
        if _state(self._path) != self.state:
            raise Malformed("it changed while it was read")
        self._newest = _moment(newest)
        return by_project, by_id

    def _broken(self, what: str, error: Exception | None = None) -> Malformed:
        because = f": {_said(error)}" if error is not None else ""
        return Malformed(
            f"OSV dump `{self._written}`: {what}{because}",
            hint="fetch it again: nothing is decided with half of it",
        )


_opened: dict[Path, Dump] = {}
_opening = Lock()


def open_dump(path: Path, written: str) -> Dump:
    """Return the dump in its present state: the one in memory where nothing changed since.

    `written`: its name in errors.
    """
    state = _state(path)
    with _opening:
        dump = _opened.pop(path, None)
        if dump is None or state is None or dump.state != state:
            dump = Dump(path, written, state)
        _opened[path] = dump  # at the end: the one that was not asked for longest leaves first
        while len(_opened) > _KEPT:
            del _opened[next(iter(_opened))]
        return dump


def _enter(record: Record, by_project: _Entries, by_id: _Entries) -> bool:
    """Keep what a record says about Python. Return True if it says anything."""
    record.affected = [
        each for each in record.affected if each.package.ecosystem.partition(":")[0] == _ECOSYSTEM
    ]
    record.detach()
    for affected in record.affected:
        entry = (record, affected)
        by_project.setdefault(canonicalize_name(affected.package.name), []).append(entry)
        by_id.setdefault(record.id, []).append(entry)
    return bool(record.affected)


def _moment(text: str) -> datetime | None:
    """Return the moment that RFC 3339 writes; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _state(path: Path) -> Signature | None:
    try:
        return signature(path)
    except OSError:
        return None


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return (
        "it is nested too deeply"
        if isinstance(error, RecursionError)
        else sanitize(str(error), 300)
    )
