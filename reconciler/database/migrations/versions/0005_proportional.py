"""Cost follows the change: kept counts of units, entries whose indexes do not hold paths.

Rows hold paths of a unit relative to its key.
"""

from __future__ import annotations

import logging
import sqlite3
from functools import partial
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from reconciler.database.columns import HexPacked, Identity, MediaType, Moment, Name

revision = "0005"
down_revision = "0004"

logger = logging.getLogger(__name__)

# What each version added, removed and changed, by content type.
_CHANGES = """
WITH moves AS (
    SELECT DISTINCT m.repository_id, m.added AS number, m.unit_id, 1 AS came, 0 AS went
    FROM membership m
    WHERE NOT EXISTS (
        SELECT 1 FROM membership o
        WHERE o.repository_id = m.repository_id AND o.unit_id = m.unit_id
        AND o.added < m.added AND (o.removed IS NULL OR o.removed >= m.added)
    )
    UNION ALL
    SELECT DISTINCT m.repository_id, m.removed, m.unit_id, 0, 1
    FROM membership m
    WHERE m.removed IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM membership o
        WHERE o.repository_id = m.repository_id AND o.unit_id = m.unit_id
        AND o.added <= m.removed AND (o.removed IS NULL OR o.removed > m.removed)
    )
), keys AS (
    SELECT moves.repository_id, moves.number, u.type, sum(moves.came) AS came,
        sum(moves.went) AS went
    FROM moves JOIN unit u ON u.id = moves.unit_id
    GROUP BY moves.repository_id, moves.number, u.type, u.group_name, u.key
)
SELECT repository_id, number, type, sum(came), sum(went),
    sum(CASE WHEN came < went THEN came ELSE went END)
FROM keys
GROUP BY repository_id, number, type
"""

# Units whose containers came into the store, or of which what was made has left it.
_EXTRACTABLE = """
INSERT INTO extractable_unit (unit_id)
SELECT DISTINCT d.unit_id
FROM derived_artifact d JOIN artifact a ON a.sha256 = coalesce(d.container, d.sha256)
WHERE a.stored = (d.container IS NOT NULL)
"""

# What follows the key of the unit, after a `/`, with which no path begins.
_SHORTEN = """
UPDATE {table} SET path = '/' || substr({table}.path, length(unit.key) + 1)
FROM unit
WHERE unit.id = {table}.unit_id AND substr({table}.path, 1, length(unit.key)) = unit.key
"""
_CONTAINERS = """
UPDATE derived_artifact SET within = (
    SELECT min(a.path) FROM unit_artifact a
    WHERE a.unit_id = derived_artifact.unit_id AND a.sha256 = derived_artifact.container
)
WHERE container IS NOT NULL
"""


# What is uploaded now.
_UPLOADED = """
SELECT m.repository_id, count(DISTINCT m.unit_id), coalesce(sum(a.size), 0)
FROM membership m
LEFT JOIN unit_artifact u ON u.unit_id = m.unit_id
LEFT JOIN artifact a ON a.sha256 = u.sha256
WHERE m.source = 'upload' AND m.removed IS NULL
GROUP BY m.repository_id
"""


def upgrade() -> None:
    """Count the units of every version once, and write the entries of publications anew."""
    op.create_table(
        "version_count",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", Name, nullable=False),
        sa.Column("units", Identity, nullable=False),
        sa.Column("added", Identity, nullable=False),
        sa.Column("removed", Identity, nullable=False),
        sa.Column("changed", Identity, nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_version_count_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint("repository_id", "number", "type", name=op.f("pk_version_count")),
        sqlite_with_rowid=False,
    )
    _count_units()
    _total_uploads()
    _find_extractable_units()
    _shorten_unit_paths()
    _index_digests()
    op.create_table(
        "signature",
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("page", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("text", "signer", name=op.f("pk_signature")),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_source_group_withdrawn", "source_group")
    withdrawn = sa.text("validator IN ('withdrawn', 'withdrawn and gone')")
    op.create_index(
        "ix_source_group_withdrawn",
        "source_group",
        ["repository_id", "validator"],
        sqlite_where=withdrawn,
        postgresql_where=withdrawn,
    )
    for table in ("source_group", "stage_group"):
        op.add_column(table, sa.Column("offered", sa.LargeBinary(), nullable=True))
    op.add_column("resource", sa.Column("base_url", sa.Text(), nullable=True))
    op.add_column(
        "resource", sa.Column("private", sa.Boolean(), nullable=False, server_default="0")
    )
    op.add_column(
        "publication", sa.Column("linger", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "publication", sa.Column("immutable", sa.Boolean(), nullable=False, server_default="0")
    )
    op.create_index(
        "ix_publication_withheld_quarantined",
        "publication_withheld",
        ["publication_id", "reason", "removed"],
        sqlite_where=sa.text("reason = 'quarantined upstream'"),
    )
    _create_index_tables()
    _create_tables_of_uploads()
    _create_tables_of_pulling()
    if op.get_bind().dialect.name == "sqlite":
        _write_entries_anew()
    else:
        for column in _columns_of_caching():
            op.add_column("publication_entry", column)


def _columns_of_caching() -> list[sa.Column[Any]]:
    """Return what is new of an entry: how long caches, and the path itself, may live."""
    return [
        sa.Column("immutable", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("addressed", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("linger", sa.Integer(), nullable=True),
    ]


def _find_extractable_units() -> None:
    op.create_table(
        "extractable_unit",
        sa.Column("unit_id", Identity, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["unit.id"],
            name=op.f("fk_extractable_unit_unit_id_unit"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("unit_id", name=op.f("pk_extractable_unit")),
    )
    op.execute(_EXTRACTABLE)


def _shorten_unit_paths() -> None:
    for table in ("unit_artifact", "derived_artifact"):
        op.execute(_SHORTEN.format(table=table))
    op.add_column("derived_artifact", sa.Column("within", Name, nullable=True))
    op.execute(_CONTAINERS)
    op.drop_column("derived_artifact", "container")
    op.drop_index("ix_derived_artifact_seq", "derived_artifact")
    op.create_index(
        "ix_derived_artifact_seq", "derived_artifact", ["seq"], sqlite_where=sa.text("seq <> 0")
    )


def _index_digests() -> None:
    for table in ("unit_artifact", "derived_artifact"):
        op.create_index(
            f"ix_{table}_sha256",
            table,
            [sa.text("substr(sha256, 1, 4)")],
            sqlite_where=sa.text("sha256 IS NOT NULL") if table == "derived_artifact" else None,
        )


def _create_index_tables() -> None:
    op.create_table(
        "publication_index",
        sa.Column("id", Identity, nullable=False),
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_publication_index_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_publication_index")),
        sa.UniqueConstraint(
            "publication_id",
            "name",
            "pending",
            name=op.f("uq_publication_index_publication_id_name_pending"),
        ),
    )
    op.create_table(
        "index_entry",
        sa.Column("index_id", Identity, nullable=False),
        sa.Column("sort_key", sa.LargeBinary(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"],
            ["publication_index.id"],
            name=op.f("fk_index_entry_index_id_publication_index"),
        ),
        sa.PrimaryKeyConstraint("index_id", "sort_key", "unit", name=op.f("pk_index_entry")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_index_entry_publication_id_group_name", "index_entry", ["publication_id", "group_name"]
    )
    op.create_index(
        "ix_index_entry_publication_id_state",
        "index_entry",
        ["publication_id", "state"],
        sqlite_where=sa.text("state <> 0"),
    )
    op.create_table(
        "chunk",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("deflated", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chunk")),
    )
    op.create_table(
        "chunked_page",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.Column("gzip", sa.Boolean(), nullable=False),
        sa.Column("crc", Identity, nullable=False),
        sa.Column("chunks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_chunked_page")),
    )


def _create_tables_of_uploads() -> None:
    op.create_table(
        "mark",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("kind", Name, nullable=False),
        sa.Column("what", Name, nullable=False),
        sa.Column("group_names", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("fk_mark_repository_id_repository")
        ),
        sa.PrimaryKeyConstraint("repository_id", "kind", "what", name=op.f("pk_mark")),
    )
    op.create_table(
        "removed_upload",
        sa.Column("repository_id", Identity, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("type", Name, nullable=False),
        sa.Column("key", Name, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("removed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repository.id"],
            name=op.f("fk_removed_upload_repository_id_repository"),
        ),
        sa.PrimaryKeyConstraint(
            "repository_id", "group_name", "type", "key", name=op.f("pk_removed_upload")
        ),
    )


def _total_uploads() -> None:
    for name in ("uploaded_files", "uploaded_size"):
        column = sa.Column(name, Identity, nullable=False, server_default="0")
        op.add_column("repository", column)
    connection = op.get_bind()
    set_totals = sa.text(
        "UPDATE repository SET uploaded_files = :files, uploaded_size = :size WHERE id = :id"
    )
    for id_, files, size in connection.execute(sa.text(_UPLOADED)).all():
        connection.execute(set_totals, {"id": id_, "files": int(files), "size": int(size)})


def _create_tables_of_pulling() -> None:
    op.create_table(
        "pulled_group",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("checked_at", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("basis", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_pulled_group_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint("publication_id", "group_name", name=op.f("pk_pulled_group")),
    )
    op.create_index(
        "ix_pulled_group_pending",
        "pulled_group",
        ["publication_id"],
        sqlite_where=sa.text("pending"),
    )
    op.create_table(
        "pulled_page",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("group_name", Name, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id", "group_name"],
            ["pulled_group.publication_id", "pulled_group.group_name"],
            name=op.f("fk_pulled_page_publication_id_group_name_pulled_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "group_name", "digest", name=op.f("pk_pulled_page")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pulled_file",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.Column("used_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_pulled_file_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint("publication_id", "sha256", name=op.f("pk_pulled_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pulled_file_used_at", "pulled_file", ["publication_id", "used_at"])


def _count_units() -> None:
    connection = op.get_bind()
    versions = connection.execute(
        sa.text("SELECT repository_id, number FROM version ORDER BY repository_id, number")
    ).all()
    changes: dict[tuple[int, int], dict[str, tuple[int, int, int]]] = {}
    for repository_id, number, type_, came, went, changed in connection.execute(sa.text(_CHANGES)):
        by_type = changes.setdefault((repository_id, number), {})
        by_type[type_] = (int(came), int(went), int(changed))
    rows = []
    for repository_id, of_repository in groupby(versions, key=lambda row: row[0]):
        held: dict[str, int] = {}
        for _, number in of_repository:
            by_type = changes.get((repository_id, number), {})
            for type_ in sorted(held.keys() | by_type.keys()):
                came, went, changed = by_type.get(type_, (0, 0, 0))
                held[type_] = held.get(type_, 0) + came - went
                counts = (held[type_], came - changed, went - changed, changed)
                rows.append((repository_id, number, type_, *counts))
            held = {type_: units for type_, units in held.items() if units}
    names = ("repository_id", "number", "type", "units", "added", "removed", "changed")
    table = sa.table("version_count", *map(sa.column, names))
    if rows:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])


def _write_entries_anew() -> None:
    connection = op.get_bind()
    number = connection.execute(sa.text("SELECT count(*) FROM publication_entry")).scalar_one()
    if number:
        logger.info("writing %d entries of publications anew", number)
    indexes = (
        "publication_id_added",
        "publication_id_group_name_removed",
        "publication_id_removed",
    )
    for index in indexes:
        op.drop_index(f"ix_publication_entry_{index}", "publication_entry")
    op.rename_table("publication_entry", "entry_of_0004")
    op.create_table(
        "publication_entry",
        sa.Column("publication_id", Identity, nullable=False),
        sa.Column("path", HexPacked(), nullable=False),
        sa.Column("media_type", MediaType(), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("group_name", Name, nullable=True),
        sa.Column("page", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", Identity, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.Column("lingers", sa.Boolean(), nullable=False, server_default="0"),
        *_columns_of_caching(),
        sa.ForeignKeyConstraint(
            ["publication_id"],
            ["resource.id"],
            name=op.f("fk_publication_entry_publication_id_resource"),
        ),
        sa.PrimaryKeyConstraint(
            "publication_id", "path", "media_type", "added", name=op.f("pk_publication_entry")
        ),
    )
    _pack_with(connection)
    connection.execute(
        sa.text(
            "INSERT INTO publication_entry SELECT publication_id, packed_path(path),"
            " packed_type(media_type), aliases, group_name, page, digest, size, position, added,"
            " removed, lingers, 0, 0, NULL FROM entry_of_0004"
            " ORDER BY publication_id, path, media_type, added"
        )
    )
    connection.execute(sa.text("UPDATE artifact_origin SET url = packed_path(url)"))
    op.drop_table("entry_of_0004")
    for index, names in (
        ("publication_id_added", ["publication_id", "added"]),
        ("publication_id_group_name_removed", ["publication_id", "group_name", "removed"]),
    ):
        op.create_index(f"ix_publication_entry_{index}", "publication_entry", names)
    op.create_index(
        "ix_publication_entry_publication_id_removed",
        "publication_entry",
        ["publication_id", "removed"],
        sqlite_where=sa.text("removed IS NOT NULL"),
    )


def _pack_with(connection: sa.Connection) -> None:
    """Let SQL pack paths and media types as their columns do."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    for name, column in (("packed_path", HexPacked()), ("packed_type", MediaType())):
        pack = partial(column.process_bind_param, dialect=connection.dialect)
        driver.create_function(name, 1, pack, deterministic=True)
