"""Statements that walked what had not changed, as they ran before they were mended.

Where SQLite chose a wrong index, or a wrong order of a join, the choice is written out: it may
choose otherwise today.
"""

from __future__ import annotations

_ENTRIES = "publication_entry INDEXED BY sqlite_autoindex_publication_entry_1"

OLD_STATEMENTS = {
    "publishing._BEFORE": f"""
        SELECT path FROM {_ENTRIES}
        WHERE publication_id = :publication AND removed IS NULL AND group_name IN ('group-000001')
    """,
    "publishing._BEFORE_WHOLE": f"""
        SELECT path FROM {_ENTRIES}
        WHERE publication_id = :publication AND removed IS NULL AND group_name IS NULL
    """,
    "publishing._TWICE": """
        SELECT newer.path FROM publication_entry older CROSS JOIN publication_entry newer
        ON newer.publication_id = older.publication_id AND newer.path = older.path
        AND newer.media_type = older.media_type
        WHERE older.publication_id = :publication AND older.removed IS NULL
        AND older.added < newer.added AND newer.added = 2
    """,
    "commits._FORGET": """
        DELETE FROM source_group WHERE repository_id = :repository AND EXISTS (
            SELECT 1 FROM stage_group JOIN repository_group
            ON repository_group.id = stage_group.group_id
            WHERE stage_group.stage_id = 0 AND NOT stage_group.remember
            AND stage_group.source = source_group.source
            AND repository_group.name = source_group.name
        )
    """,
    "resources._UNITS": """
        SELECT repository_id, count(DISTINCT unit_id) FROM membership
        WHERE removed IS NULL GROUP BY repository_id
    """,
}
