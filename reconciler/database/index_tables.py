"""Tables of whole-repository indexes: their entries, and large bodies in chunks.

`schema` is all tables, these among them.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from reconciler.database.columns import Identity, Name
from reconciler.database.content_tables import CLUSTERED, metadata

# Values of `state`: what the publication in preparation makes of an entry.
HELD, JOINS, LEAVES = 0, 1, 2

# Indexes over all of a publication. `pending`: made by the publication in preparation. `files`:
# JSON of the rendered files, empty before the first rendering.
publication_index = Table(
    "publication_index",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("publication_id", Identity, ForeignKey("resource.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("files", Text, nullable=False, server_default=""),
    UniqueConstraint("publication_id", "name", "pending"),
)

# The entries of indexes, as the last complete publication has them and the one in preparation will.
# `unit`: first bytes of the digest of the unit as it is shown. `body` is not compressed: all of
# them are read whenever the index differs, and to unpack them would cost more than all the rest.
index_entry = Table(
    "index_entry",
    metadata,
    Column("index_id", Identity, ForeignKey(publication_index.c.id), nullable=False),
    Column("sort_key", LargeBinary, nullable=False),
    Column("unit", LargeBinary, nullable=False),
    Column("publication_id", Identity, nullable=False),
    Column("group_name", Name, nullable=False),
    Column("state", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("index_id", "sort_key", "unit"),
    Index(None, "publication_id", "group_name"),
    Index(None, "publication_id", "state", sqlite_where=text("state <> 0")),
    **CLUSTERED,
)

# Parts of large bodies, by the digest of what they hold. `size`: bytes of that.
chunk = Table(
    "chunk",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("deflated", LargeBinary, nullable=False),
    Column("size", Identity, nullable=False),
)

# Large bodies by their digest, as `model.chunked_body` describes them. `chunks`: the list, packed.
chunked_page = Table(
    "chunked_page",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("size", Identity, nullable=False),
    Column("gzip", Boolean, nullable=False),
    Column("crc", Identity, nullable=False),
    Column("chunks", LargeBinary, nullable=False),
)
