"""Tables of content: units and artifacts by digest, whatever version or publication holds them.

`schema` is all tables, these among them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    func,
    literal_column,
    text,
)

from reconciler.database.columns import HexPacked, Identity, Moment, Name, PackedJson

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# On SQLite, rows that live in their primary key's tree: one tree to write instead of two.
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
BEGINNING = 4  # bytes


def beginning(digest: Any) -> Any:
    """Return the first bytes of a digest, which are indexed in its place.

    They find a row as well as all 32 do, in half the room. Compare the whole digest, too.
    """
    return func.substr(digest, literal_column("1"), literal_column(str(BEGINNING)))


# Content, by digest. `body` is the canonical JSON whose sha256 is `digest`, packed.
unit = Table(
    "unit",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("type", Name, nullable=False),
    Column("group_name", Name, nullable=False),
    Column("key", Name, nullable=False),
    Column("body", PackedJson, nullable=False),
)

# `stored`: the bytes are in the store. `size`: theirs once they are, before that what upstream
# declares.
artifact = Table(
    "artifact",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("size", Identity),
    Column("stored", Boolean, nullable=False),
    **CLUSTERED,
)

unit_artifact = Table(
    "unit_artifact",
    metadata,
    Column("unit_id", Identity, ForeignKey(unit.c.id), nullable=False),
    Column("path", Name, nullable=False),
    Column("sha256", LargeBinary, ForeignKey(artifact.c.sha256), nullable=False),
    PrimaryKeyConstraint("unit_id", "path"),
    **CLUSTERED,
)
Index("ix_unit_artifact_sha256", beginning(unit_artifact.c.sha256))

# Where the bytes of an artifact can be had, by the remote that said so: what lets a unit join
# before they are stored. `url`: without query and user info, which may be secret; `needs_page`: it
# had some, so that only the page that names the file can say where it is.
artifact_origin = Table(
    "artifact_origin",
    metadata,
    Column("sha256", LargeBinary, ForeignKey(artifact.c.sha256), nullable=False),
    Column("remote", Name, nullable=False),
    Column("url", HexPacked, nullable=False),
    Column("needs_page", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("sha256", "remote"),
    **CLUSTERED,
)

# Artifacts whose bytes were found missing or changed, until they are stored again: `stored` is
# false for them.
damage = Table(
    "damage",
    metadata,
    Column("sha256", LargeBinary, ForeignKey(artifact.c.sha256), primary_key=True),
    Column("problem", Text, nullable=False),
    Column("found_at", Moment, nullable=False),
    **CLUSTERED,
)

# When an apply first read of an artifact that rules date by that moment. It is outside of all
# digests, and kept whatever becomes of the artifact, which need never come in.
first_seen = Table(
    "first_seen",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("seen_at", Moment, nullable=False),
    **CLUSTERED,
)

# Artifacts made out of other ones, shown in the place of what a unit declares; `derived.py` says
# more.
derived_artifact = Table(
    "derived_artifact",
    metadata,
    Column("unit_id", Identity, ForeignKey(unit.c.id, ondelete="CASCADE"), nullable=False),
    Column("path", Name, nullable=False),
    Column("sha256", LargeBinary, ForeignKey(artifact.c.sha256)),
    Column("within", Name),
    Column("seq", Identity, nullable=False),
    PrimaryKeyConstraint("unit_id", "path"),
    Index(None, "seq", sqlite_where=text("seq <> 0")),
    **CLUSTERED,
)
Index(
    "ix_derived_artifact_sha256",
    beginning(derived_artifact.c.sha256),
    sqlite_where=derived_artifact.c.sha256.is_not(None),
)

# Units to examine again for such artifacts; `extractable_units.py` says more.
extractable_unit = Table(
    "extractable_unit",
    metadata,
    Column(
        "unit_id",
        Identity,
        ForeignKey(unit.c.id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
)
