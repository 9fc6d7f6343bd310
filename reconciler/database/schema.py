"""The tables. `migrations/` leads to exactly this schema; a test compares them.

Content of versions and publications is interval rows `[added, removed)`: present in number n when
`added <= n` and (`removed` is null or `removed > n`). Digests are 32 raw bytes, JSON is canonical
text.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from reconciler.database.columns import HexPacked, Identity, MediaType, Moment, Name
from reconciler.database.content_tables import CLUSTERED as _CLUSTERED
from reconciler.database.content_tables import artifact as artifact
from reconciler.database.content_tables import artifact_origin as artifact_origin
from reconciler.database.content_tables import damage as damage
from reconciler.database.content_tables import derived_artifact as derived_artifact
from reconciler.database.content_tables import extractable_unit as extractable_unit
from reconciler.database.content_tables import first_seen as first_seen
from reconciler.database.content_tables import metadata as metadata
from reconciler.database.content_tables import unit as unit
from reconciler.database.content_tables import unit_artifact as unit_artifact
from reconciler.database.index_tables import chunk as chunk
from reconciler.database.index_tables import chunked_page as chunked_page
from reconciler.database.index_tables import index_entry as index_entry
from reconciler.database.index_tables import publication_index as publication_index
from reconciler.database.pulled_tables import pulled_file as pulled_file
from reconciler.database.pulled_tables import pulled_group as pulled_group
from reconciler.database.pulled_tables import pulled_page as pulled_page

# Validators of a group that upstream has withdrawn. `WITHDRAWN_GONE`: the manifest no longer asks
# for it, or upstream has removed it since; its name is free.
WITHDRAWN, WITHDRAWN_GONE = "withdrawn", "withdrawn and gone"
IS_WITHDRAWN = f"validator IN ('{WITHDRAWN}', '{WITHDRAWN_GONE}')"

# Why units of a group are withheld that upstream has withdrawn: an index finds these few.
QUARANTINED = "quarantined upstream"

HEAD = "0005"  # the newest revision in `migrations/versions`

# On SQLite, IDs that never come back: something outside the database may still hold one whose row
# is gone.
_NEVER_AGAIN: dict[str, Any] = {"sqlite_autoincrement": True}

# What the manifests said when they were last applied. `path`, `publisher`: of a Publication, null
# for other kinds. `folder`: where the manifest lay, empty where that is not known. `grace`: of a
# Publication, seconds for which files that a new version dropped stay reachable; null for the
# default. `base_url`: of a Publication, its public address, where that is declared. `private`: of a
# Publication that not every client may read.
resource = Table(
    "resource",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("labels", Text, nullable=False),
    Column("annotations", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("path", Text),
    Column("publisher", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("folder", Text, nullable=False, server_default=""),
    Column("grace", Integer),
    Column("base_url", Text),
    Column("private", Boolean, nullable=False, server_default="0"),
    UniqueConstraint("kind", "name"),
    **_NEVER_AGAIN,
)

# The latest version of each Repository resource; the row that a commit locks. `derived`: the last
# version whose units were examined for artifacts to derive. `uploaded_files`, `uploaded_size`: the
# units of the latest version that the source `upload` brought, and the bytes of their artifacts.
repository = Table(
    "repository",
    metadata,
    Column("id", Identity, ForeignKey(resource.c.id), primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("derived", Integer, nullable=False, server_default="0"),
    Column("uploaded_files", Identity, nullable=False, server_default="0"),
    Column("uploaded_size", Identity, nullable=False, server_default="0"),
)

# The plugins that a repository uses (`attached`), and what they noted. `owner`: `importer:<id>`,
# `publisher:<id>`, or `repository` for the note that they share, which is never attached. `config`:
# digest of the plugin's configuration; `scratchpad`: JSON.
repository_plugin = Table(
    "repository_plugin",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("owner", Name, nullable=False),
    Column("attached", Boolean, nullable=False),
    Column("config", LargeBinary),
    Column("scratchpad", Text),
    PrimaryKeyConstraint("repository_id", "owner"),
)

# Every group that a repository ever held or that is staged. `digest`: of its latest content,
# null when it holds none.
repository_group = Table(
    "repository_group",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("name", Name, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("digest", LargeBinary),
    UniqueConstraint("repository_id", "name"),
    Index(None, "repository_id", "bucket"),
)

repository_bucket = Table(
    "repository_bucket",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("repository_id", "bucket"),
    **_CLUSTERED,
)

# Version 0, the empty set, has a row as well: it can be published and found by its digest.
version = Table(
    "version",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("provenance", Text, nullable=False),
    PrimaryKeyConstraint("repository_id", "number"),
    Index(None, "repository_id", "digest"),
)

# What a version holds, and how it differs from the one before it, in units of each content type.
version_count = Table(
    "version_count",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("type", Name, nullable=False),
    Column("units", Identity, nullable=False),
    Column("added", Identity, nullable=False),
    Column("removed", Identity, nullable=False),
    Column("changed", Identity, nullable=False),
    PrimaryKeyConstraint("repository_id", "number", "type"),
    **_CLUSTERED,
)

# THE truth about what is where. A unit that two sources bring has two rows and is there once.
membership = Table(
    "membership",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("group_id", Identity, ForeignKey(repository_group.c.id), nullable=False),
    Column("unit_id", Identity, ForeignKey(unit.c.id), nullable=False),
    Column("source", Name, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    PrimaryKeyConstraint("repository_id", "unit_id", "source", "added"),
    Index(None, "group_id", "removed"),
    Index(None, "repository_id", "added"),
    Index(None, "repository_id", "removed", sqlite_where=text("removed IS NOT NULL")),
    **_CLUSTERED,
)

# What people said of content by hand, which a sync respects: `kind`, `what`, `value` as of a Mark;
# `group_names`: JSON.
mark = Table(
    "mark",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("kind", Name, nullable=False),
    Column("what", Name, nullable=False),
    Column("group_names", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    PrimaryKeyConstraint("repository_id", "kind", "what"),
)

# Uploads that were removed, whose keys keep their bytes for ever. `body`: of the unit.
removed_upload = Table(
    "removed_upload",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("group_name", Name, nullable=False),
    Column("type", Name, nullable=False),
    Column("key", Name, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("principal", Text, nullable=False),
    Column("removed_at", Moment, nullable=False),
    PrimaryKeyConstraint("repository_id", "group_name", "type", "key"),
)

source_state = Table(
    "source_state",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("source", Name, nullable=False),
    Column("validator", Text),
    Column("selection", LargeBinary),
    PrimaryKeyConstraint("repository_id", "source"),
)

source_group = Table(
    "source_group",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("source", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("validator", Text),
    Column("selection", LargeBinary, nullable=False),
    Column("reconsider_at", Moment),
    # Digest of all that upstream offered when all of it was let in: then what is held is what a
    # reading would bring, and need not be read to be decided by other filters.
    Column("offered", LargeBinary),
    PrimaryKeyConstraint("repository_id", "source", "name"),
    **_CLUSTERED,
)
# The few groups that are to be looked at again although upstream did not change.
Index(
    "ix_source_group_due",
    source_group.c.repository_id,
    source_group.c.source,
    source_group.c.reconsider_at,
    sqlite_where=source_group.c.reconsider_at.is_not(None),
)
Index(
    "ix_source_group_incomplete",
    source_group.c.repository_id,
    source_group.c.source,
    # always null here; without it SQLite prefers the primary key, and looks at every group
    source_group.c.validator,
    sqlite_where=source_group.c.validator.is_(None),
)
# The few groups of which upstream offers nothing any more.
Index(
    "ix_source_group_withdrawn",
    source_group.c.repository_id,
    # first, or SQLite prefers the primary key, and looks at every group
    source_group.c.validator,
    sqlite_where=text(IS_WITHDRAWN),
)

# Units that a source brought and upstream no longer lists. `removed`: of their intervals; null
# where they may still be held.
delisted_unit = Table(
    "delisted_unit",
    metadata,
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("source", Name, nullable=False),
    Column("group_id", Identity, ForeignKey(repository_group.c.id), nullable=False),
    Column("unit_id", Identity, ForeignKey(unit.c.id), nullable=False),
    Column("removed", Integer),
    PrimaryKeyConstraint("repository_id", "source", "group_id", "unit_id"),
    Index(None, "repository_id", "removed"),
    **_CLUSTERED,
)

# A commit in preparation. Only its owner reads the rows; those of a dead owner are swept away.
stage = Table(
    "stage",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("repository_id", Identity, ForeignKey(repository.c.id), nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("begun_at", Moment),
    **_NEVER_AGAIN,
)

# `remember`: the three columns after it replace what is committed for (source, group); else that is
# forgotten. `delisted`: JSON, the keys that the source no longer lists and those it lists again.
stage_group = Table(
    "stage_group",
    metadata,
    Column("stage_id", Identity, ForeignKey(stage.c.id), nullable=False),
    Column("group_id", Identity, ForeignKey(repository_group.c.id), nullable=False),
    Column("source", Name, nullable=False),
    Column("was", LargeBinary),
    Column("remember", Boolean, nullable=False),
    Column("validator", Text),
    Column("selection", LargeBinary),
    Column("reconsider_at", Moment),
    Column("offered", LargeBinary),
    Column("delisted", Text),
    PrimaryKeyConstraint("stage_id", "group_id", "source"),
    **_CLUSTERED,
)

# The reference to `stage_group` makes a change without its compare impossible.
stage_member = Table(
    "stage_member",
    metadata,
    Column("stage_id", Identity, nullable=False),
    Column("group_id", Identity, nullable=False),
    Column("source", Name, nullable=False),
    Column("unit_id", Identity, ForeignKey(unit.c.id), nullable=False),
    Column("joins", Boolean, nullable=False),
    PrimaryKeyConstraint("stage_id", "group_id", "source", "unit_id"),
    ForeignKeyConstraint(
        ["stage_id", "group_id", "source"],
        ["stage_group.stage_id", "stage_group.group_id", "stage_group.source"],
    ),
    **_CLUSTERED,
)

# `rules` to `reconsider_at`: the verdict of the filters. `rules`: digest of the filters, null where
# they were not evaluated; `withheld`: digest of the withheld units, null where there are none.
# `pointed_at`: when it, or a later one in its place, was first served: whole seconds, later than
# that of the one before; null until then.
# `derived`: digest of the derived artifacts that are shown, and the last change that it knows.
# `first_seen`: digest of the first sights that are shown as dates, null where none is.
# `linger`, `immutable`: the longest that an entry of it or of an earlier one lingers, in seconds,
# and whether any of them is immutable.
publication = Table(
    "publication",
    metadata,
    Column("publication_id", Identity, ForeignKey(resource.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("version_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("rules", LargeBinary),
    Column("withheld", LargeBinary),
    Column("withheld_units", Identity, nullable=False, server_default="0"),
    Column("reconsider_at", Moment),
    Column("pointed_at", Moment),
    Column("derived", LargeBinary),
    Column("derived_seq", Identity, nullable=False, server_default="0"),
    Column("first_seen", LargeBinary),
    Column("linger", Integer, nullable=False, server_default="0"),
    Column("immutable", Boolean, nullable=False, server_default="0"),
    PrimaryKeyConstraint("publication_id", "number"),
)

# Units that a publication leaves out although its version holds them, because a filter says so
# today.
publication_withheld = Table(
    "publication_withheld",
    metadata,
    Column("publication_id", Identity, ForeignKey(resource.c.id), nullable=False),
    Column("unit_id", Identity, ForeignKey(unit.c.id), nullable=False),
    Column("reason", Text, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    PrimaryKeyConstraint("publication_id", "unit_id", "added"),
    Index(
        "ix_publication_withheld_quarantined",
        *("publication_id", "reason", "removed"),  # all that is read, or SQLite reads the rows
        sqlite_where=text(f"reason = '{QUARANTINED}'"),
    ),
    **_CLUSTERED,
)

# `size`: -1 where neither a store nor upstream told it. `lingers`: a file that a new version merely
# dropped and no rule took away; it stays reachable for the grace of its publication, or for
# `linger` seconds where the publisher asked for more. `immutable`: the publisher promised that no
# other bytes come under the path. `addressed`: a page that holds the token of a base URL.
# Not clustered: each index would hold the whole key, path and all.
publication_entry = Table(
    "publication_entry",
    metadata,
    Column("publication_id", Identity, ForeignKey(resource.c.id), nullable=False),
    Column("path", HexPacked, nullable=False),
    Column("media_type", MediaType, nullable=False),
    Column("aliases", Text, nullable=False),
    Column("group_name", Name),
    Column("page", Boolean, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", Identity, nullable=False),
    Column("position", Integer, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    Column("lingers", Boolean, nullable=False, server_default="0"),
    Column("immutable", Boolean, nullable=False, server_default="0"),
    Column("addressed", Boolean, nullable=False, server_default="0"),
    Column("linger", Integer),
    PrimaryKeyConstraint("publication_id", "path", "media_type", "added"),
    Index(None, "publication_id", "group_name", "removed"),
    Index(None, "publication_id", "added"),
    Index(None, "publication_id", "removed", sqlite_where=text("removed IS NOT NULL")),
)

# Groups that a full publication in preparation has emitted; the rest goes when it completes. The
# whole's entries have no name: ''.
publication_emitted = Table(
    "publication_emitted",
    metadata,
    Column("publication_id", Identity, ForeignKey(resource.c.id), nullable=False),
    Column("group_name", Name, nullable=False),
    PrimaryKeyConstraint("publication_id", "group_name"),
    **_CLUSTERED,
)

# Rendered pages by the digest of their uncompressed body. `size`: bytes of that body.
page = Table(
    "page",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("gzip", LargeBinary, nullable=False),
    Column("size", Identity, nullable=False),
)

# Signatures are made once. `text`: digest of what is signed; `signer`: publisher, key and form of
# the signature; `page`: the rendered page that holds it.
signature = Table(
    "signature",
    metadata,
    Column("text", LargeBinary, nullable=False),
    Column("signer", Text, nullable=False),
    Column("page", LargeBinary, nullable=False),
    PrimaryKeyConstraint("text", "signer"),
    **_CLUSTERED,
)

# What is served now.
pointer = Table(
    "pointer",
    metadata,
    Column("publication_id", Identity, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    ForeignKeyConstraint(
        ["publication_id", "number"], ["publication.publication_id", "publication.number"]
    ),
)

# One row: raised by everything that changes what is served.
generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Identity, nullable=False),
)

# `host` is null while it is free; the row stays, so that epochs only grow.
lease = Table(
    "lease",
    metadata,
    Column("name", Name, primary_key=True),
    Column("epoch", Identity, nullable=False),
    Column("host", Text),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("acquired_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("plan_digest", LargeBinary),
    Column("manifest_digest", LargeBinary),
    Column("provenance", Text, nullable=False),
    Column("outcomes", Text, nullable=False),
)


def declare_partial_indexes(dialect: str) -> None:
    """Make the partial indexes partial in another dialect; naming it there would import it."""
    for index in source_group.indexes:
        index.dialect_options[dialect]["where"] = index.dialect_options["sqlite"]["where"]
