"""The migration cuts what may be secret out of URLs that earlier releases have recorded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from reconciler.database import ArtifactOrigin, migration
from reconciler.model import Digest
from tests.support.databases import database

URLS = {
    "plain": "https://a.example/f",
    "signed": "https://a.example/f?token=swordfish",
    "user": "https://robot:swordfish@a.example/f",
    "folder": "file:///srv/a@b",
}


def test_recorded_queries_and_user_info_are_cut_and_leave_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.db"
    before = create_engine(f"sqlite:///{file}")
    with monkeypatch.context() as patched, before.begin() as session:
        patched.setattr(migration, "HEAD", "0003")
        migration.upgrade(session, migration.scripts())
    before.dispose()
    digest = Digest.of(b"f")
    with sqlite3.connect(file) as opened:
        opened.execute("INSERT INTO artifact VALUES (?, 1, 0)", (digest.raw,))
        opened.executemany(
            "INSERT INTO artifact_origin VALUES (?, ?, ?)",
            [(digest.raw, remote, url) for remote, url in URLS.items()],
        )
    opened.close()
    with database(tmp_path) as migrated:
        origins = {origin.remote: origin for origin in migrated.writer().artifact_origins(digest)}
    bare = "https://a.example/f"
    assert origins == {
        "plain": ArtifactOrigin("plain", bare),
        "signed": ArtifactOrigin("signed", bare, needs_page=True),
        "user": ArtifactOrigin("user", bare, needs_page=True),
        "folder": ArtifactOrigin("folder", "file:///srv/a@b"),
    }
    for path in tmp_path.glob("state.db*"):
        assert b"swordfish" not in path.read_bytes()
