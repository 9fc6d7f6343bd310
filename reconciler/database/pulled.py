"""Groups and files that publications fetched from the remotes behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, exists, func, or_, select, update

from reconciler.database.bulk import batches, ignoring, replacing
from reconciler.database.content_tables import beginning
from reconciler.database.records import Entry, GzipPage
from reconciler.database.schema import (
    artifact,
    damage,
    derived_artifact,
    membership,
    page,
    pulled_file,
    pulled_group,
    pulled_page,
    stage_member,
    unit_artifact,
)
from reconciler.database.session import Reading, Writing
from reconciler.model import Digest

_group, _file = pulled_group.c, pulled_file.c
_OF = (_group.publication_id == bindparam("of"), _group.group_name == bindparam("name"))
_ONE = select(pulled_group).where(*_OF)
_PENDING = (
    select(pulled_group)
    .where(_group.publication_id == bindparam("of"), _group.pending)
    .order_by(_group.group_name)
    .limit(bindparam("limit"))
)
_WRITE = replacing(pulled_group, *(column.name for column in pulled_group.columns))
_WRITE_PAGES = ignoring(page, "digest", "gzip", "size")
_REFER = ignoring(pulled_page, "publication_id", "group_name", "digest")
_FORGET = delete(pulled_page).where(
    pulled_page.c.publication_id == bindparam("of"), pulled_page.c.group_name == bindparam("name")
)
_CHECKED = (
    update(pulled_group)
    .where(*_OF)
    .values(checked_at=bindparam("checked"), due_at=bindparam("due"))
)
_SETTLED = (
    update(pulled_group)
    .where(*_OF, _group.changed_at == bindparam("changed"))
    .values(pending=False)
)
_USED = replacing(pulled_file, "publication_id", "sha256", "size", "used_at")
_UNIT_ID = unit_artifact.c.unit_id
# Every version is kept, so a membership stands for one; bytes that were made here, or that are on
# their way into a version, cannot be fetched again as they are either.
_is_needed = or_(
    exists().where(
        beginning(unit_artifact.c.sha256) == beginning(_file.sha256),
        unit_artifact.c.sha256 == _file.sha256,
        or_(
            exists().where(membership.c.unit_id == _UNIT_ID),
            exists().where(stage_member.c.unit_id == _UNIT_ID),
        ),
    ),
    exists().where(
        derived_artifact.c.sha256.is_not(None),
        beginning(derived_artifact.c.sha256) == beginning(_file.sha256),
        derived_artifact.c.sha256 == _file.sha256,
    ),
)
_LOOSE = select(_file.sha256, _file.size, _file.used_at).where(
    _file.publication_id == bindparam("of"), ~_is_needed
)
_TOTAL = select(func.coalesce(func.sum(_file.size), 0)).where(
    _file.publication_id == bindparam("of")
)


class PulledGroup(msgspec.Struct, frozen=True):
    """The answer of upstream about a group.

    `checked_at`: when it last answered; `due_at`: from when on it is asked again; `changed_at`:
    since when the content is what it is. `basis`: digest of the rules and the rendering behind it.
    `entries`: what is served; None where upstream has nothing. `units`: digests of what came in.
    `pending`: no version holds it as it is yet.
    """

    group: str
    checked_at: datetime
    due_at: datetime
    changed_at: datetime
    basis: Digest
    entries: Sequence[Entry] | None = None
    units: Sequence[Digest] = ()
    pending: bool = False


class PulledFile(msgspec.Struct, frozen=True):
    """A file that a publication fetched, and when a client last asked for it."""

    digest: Digest
    size: int
    used_at: datetime


class PulledReads(Reading):
    """Reads of what was fetched for clients."""

    def pulled_group(self, publication_id: int, group: str) -> PulledGroup | None:
        """Return what is known of a group; None where upstream was never asked."""
        with self._reading.connect() as connection:
            row = connection.execute(_ONE, {"of": publication_id, "name": group}).one_or_none()
            return None if row is None else _read(row)

    def pending_groups(self, publication_id: int, *, limit: int) -> list[PulledGroup]:
        """Return groups that no version holds as they are, by name."""
        with self._reading.connect() as connection:
            rows = connection.execute(_PENDING, {"of": publication_id, "limit": limit}).all()
            return [_read(row) for row in rows]

    def pulled_size(self, publication_id: int) -> int:
        """Return the bytes of all files that a publication fetched."""
        with self._reading.connect() as connection:
            return int(connection.execute(_TOTAL, {"of": publication_id}).scalar_one())

    def loose_files(self, publication_id: int) -> list[PulledFile]:
        """Return the fetched files that no version needs: first those used longest ago."""
        with self._reading.connect() as connection:
            rows = connection.execute(_LOOSE, {"of": publication_id}).all()
        files = [PulledFile(Digest(raw), size, used) for raw, size, used in rows]
        return sorted(files, key=lambda file: (file.used_at, file.digest.raw))


class PulledWrites(Writing):
    """Writes of what was fetched for clients."""

    def write_pulled(
        self, publication_id: int, group: PulledGroup, pages: Mapping[Digest, GzipPage]
    ) -> None:
        """Record what upstream answered about a group, and the pages of it."""
        name = group.group
        with self._writing.begin() as connection:
            _WRITE_PAGES(
                connection, [(digest.raw, each.body, each.size) for digest, each in pages.items()]
            )
            connection.execute(_FORGET, {"of": publication_id, "name": name})
            _WRITE(connection, [_row(publication_id, group)])
            _REFER(connection, [(publication_id, name, digest.raw) for digest in pages])

    def pulled_checked(
        self, publication_id: int, group: str, *, checked: datetime, due: datetime
    ) -> None:
        """Record that a group is as it was, and when upstream is asked again."""
        values = {"of": publication_id, "name": group, "checked": checked, "due": due}
        with self._writing.begin() as connection:
            connection.execute(_CHECKED, values)

    def pulled_settled(self, publication_id: int, groups: Iterable[PulledGroup]) -> None:
        """Record that a version holds groups, or never will, unless they changed since."""
        with self._writing.begin() as connection:
            for group in groups:
                values = {"of": publication_id, "name": group.group, "changed": group.changed_at}
                connection.execute(_SETTLED, values)

    def pulled_used(self, publication_id: int, files: Iterable[PulledFile]) -> None:
        """Record that clients asked for files."""
        rows = [(publication_id, file.digest.raw, file.size, file.used_at) for file in files]
        with self._writing.begin() as connection:
            _USED(connection, rows)

    def forget_pulled_files(self, publication_id: int, digests: Iterable[Digest]) -> None:
        """Record that files have left the store."""
        with self._writing.begin() as connection:
            for batch in batches(digest.raw for digest in digests):
                connection.execute(
                    delete(pulled_file).where(
                        _file.publication_id == publication_id, _file.sha256.in_(batch)
                    )
                )
                connection.execute(
                    update(artifact).where(artifact.c.sha256.in_(batch)).values(stored=False)
                )
                connection.execute(delete(damage).where(damage.c.sha256.in_(batch)))


class _Content(msgspec.Struct, frozen=True, array_like=True):
    entries: list[_Entry]
    units: list[bytes]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    path: str
    media_type: str
    page: bool
    digest: bytes
    size: int | None
    aliases: tuple[str, ...]
    position: int
    immutable: bool
    addressed: bool
    linger: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Content)


def _row(publication_id: int, group: PulledGroup) -> tuple[object, ...]:
    content = None
    if group.entries is not None:
        entries = [
            _Entry(
                each.path,
                each.media_type,
                each.page,
                each.digest.raw,
                each.size,
                each.aliases,
                each.position,
                each.immutable,
                each.addressed,
                each.linger,
            )
            for each in group.entries
        ]
        content = _ENCODER.encode(_Content(entries, [digest.raw for digest in group.units]))
    times = (group.checked_at, group.due_at, group.changed_at)
    rest = (group.basis.raw, content, group.pending)
    return (publication_id, group.group, *times, *rest)


def _read(row: Any) -> PulledGroup:
    entries: list[Entry] | None = None
    units: list[Digest] = []
    if row.content is not None:
        content = _DECODER.decode(row.content)
        units = [Digest(raw) for raw in content.units]
        entries = [
            Entry(
                each.path,
                each.media_type,
                row.group_name,
                each.page,
                Digest(each.digest),
                each.size,
                each.aliases,
                each.position,
                immutable=each.immutable,
                addressed=each.addressed,
                linger=each.linger,
            )
            for each in content.entries
        ]
    return PulledGroup(
        row.group_name,
        row.checked_at,
        row.due_at,
        row.changed_at,
        Digest(row.basis),
        entries,
        units,
        row.pending,
    )
