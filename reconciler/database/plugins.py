"""Plugins of a repository: their attachments and their scratchpads.

An *owner* is `importer:<id>`, `publisher:<id>`, or `repository` for the scratchpad that all plugins
of a repository share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from reconciler.database.bulk import Bulk, parameter, replacing
from reconciler.database.columns import to_digest, to_raw
from reconciler.database.records import Attachment
from reconciler.database.schema import repository, repository_plugin
from reconciler.database.session import Reading, Writing
from reconciler.errors import Conflict
from reconciler.model import Digest

_row = repository_plugin.c
_OF = _row.repository_id == parameter("of_repository", _row.repository_id)
_ATTACHED = select(_row.owner, _row.config).where(_OF, _row.attached).order_by(_row.owner)
_EVERY_ATTACHED = (
    select(_row.repository_id, _row.owner, _row.config)
    .where(_row.attached)
    .order_by(_row.repository_id, _row.owner)
)
_SCRATCHPAD = select(_row.scratchpad).where(_OF, _row.owner == bindparam("of_owner"))
_ATTACH = replacing(repository_plugin, "repository_id", "owner", "attached", "config")
_DETACH = delete(repository_plugin).where(_OF, _row.owner == bindparam("of_owner"))
_NOTE = replacing(
    repository_plugin, "repository_id", "owner", "attached", "scratchpad", keep=["attached"]
)
_ALONE = (
    select(repository.c.id).where(repository.c.id == bindparam("of_repository")).with_for_update()
)  # there may be no scratchpad yet to lock
_DROP_EMPTY = Bulk(
    lambda _: delete(repository_plugin).where(
        _OF, _row.owner == bindparam("of_owner"), ~_row.attached, _row.scratchpad.is_(None)
    ),
    *("of_repository", "of_owner"),
)


class PluginReads(Reading):
    """Attachments and scratchpads."""

    def attachments(self, repository_id: int) -> list[Attachment]:
        """Return the plugins that a repository uses, by owner."""
        with self._reading.connect() as connection:
            return [
                Attachment(owner, to_digest(config))
                for owner, config in connection.execute(_ATTACHED, {"of_repository": repository_id})
            ]

    def every_attachment(self) -> dict[int, list[Attachment]]:
        """Return the plugins that each repository uses, by repository ID and owner.

        Repositories without plugins are left out. One query in all.
        """
        attachments: dict[int, list[Attachment]] = {}
        with self._reading.connect() as connection:
            for repository_id, owner, config in connection.execute(_EVERY_ATTACHED):
                attachments.setdefault(repository_id, []).append(
                    Attachment(owner, to_digest(config))
                )
        return attachments

    def scratchpad(self, repository_id: int, owner: str) -> Any:
        """Return a copy of the scratchpad of `owner`; None where there is none."""
        with self._reading.connect() as connection:
            text = connection.execute(
                _SCRATCHPAD, {"of_repository": repository_id, "of_owner": owner}
            ).scalar()
        return None if text is None else json.loads(text)


class PluginWrites(Writing):
    """Attach and detach plugins, and write scratchpads."""

    def attach(self, repository_id: int, attachments: Sequence[Attachment]) -> None:
        """Record that the repository uses these plugins, with these configurations.

        Other plugins stay attached, scratchpads stay as they are.
        """
        with self._writing.begin() as connection:
            write_attachments(connection, repository_id, attachments)

    def detach(self, repository_id: int, owner: str) -> None:
        """Detach a plugin and delete its scratchpad; does nothing when it is not attached."""
        with self._writing.begin() as connection:
            connection.execute(_DETACH, {"of_repository": repository_id, "of_owner": owner})

    def set_scratchpads(self, repository_id: int, pads: Mapping[str, Any]) -> None:
        """Replace the scratchpads of these owners, all or none.

        A scratchpad is plain JSON; None deletes it. Raises TypeError or ValueError for other
        values.
        """
        with self._writing.begin() as connection:
            write_scratchpads(connection, repository_id, pads)


def write_attachments(
    connection: Connection, repository_id: int, attachments: Sequence[Attachment]
) -> None:
    _ATTACH(
        connection,
        [
            (repository_id, attachment.owner, True, to_raw(attachment.config))
            for attachment in attachments
        ],
    )


def scratchpad_digest(pad: Any) -> Digest | None:
    """Return the identity of a scratchpad, for a later compare and swap; None for none."""
    text = _text(pad)
    return None if text is None else Digest.of(text.encode("ascii"))


def write_scratchpads(
    connection: Connection,
    repository_id: int,
    pads: Mapping[str, Any],
    *,
    seen: Mapping[str, Digest | None] = MappingProxyType({}),
) -> None:
    """Write scratchpads by owner.

    `seen`: digests (of `scratchpad_digest`) that the scratchpads of these owners must still have.
    Raises Conflict naming one that has changed.
    """
    if seen:
        _check_unmoved(connection, repository_id, seen)
    texts = {owner: _text(pad) for owner, pad in pads.items()}
    _NOTE(connection, [(repository_id, owner, False, text) for owner, text in texts.items()])
    _DROP_EMPTY(
        connection, [(repository_id, owner) for owner, text in texts.items() if text is None]
    )


def _check_unmoved(
    connection: Connection, repository_id: int, seen: Mapping[str, Digest | None]
) -> None:
    connection.execute(_ALONE, {"of_repository": repository_id})
    for owner, digest in seen.items():
        text = connection.execute(
            _SCRATCHPAD, {"of_repository": repository_id, "of_owner": owner}
        ).scalar()
        if (None if text is None else Digest.of(text.encode("ascii"))) != digest:
            raise Conflict(
                f"the scratchpad of `{owner}` has been changed since it was read",
                hint="plan again",
            )


def _text(pad: Any) -> str | None:
    """Return a scratchpad as JSON in ASCII.

    It may hold a NUL or half a surrogate pair, which databases refuse as text.
    """
    return None if pad is None else json.dumps(pad, allow_nan=False, separators=(",", ":"))
