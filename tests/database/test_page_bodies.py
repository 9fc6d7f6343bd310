"""Pages that leave the database are whole, or an error says which is not.

The kind: damage that ends as an error of zlib in one reader, and as words in another.
"""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from reconciler.database import Entry
from reconciler.database.page_bodies import page_body
from reconciler.errors import StateFault
from reconciler.model import Digest
from tests.support.rehearsal import publication, rehearsal, repository

BODY = b"a page " * 20
PACKED = gzip.compress(BODY)
ENTRY = Entry("index/", "text/html", None, True, Digest.of(BODY), len(BODY))
DAMAGED = [b"", b"\0", PACKED[:-9], PACKED[:-1], gzip.compress(b"another page")]


def test_a_whole_page_is_its_body() -> None:
    assert page_body(ENTRY, PACKED) == BODY


@pytest.mark.parametrize("packed", [None, *DAMAGED])
def test_anything_else_is_a_fault_that_names_the_page(packed: bytes | None) -> None:
    said = "is missing from" if packed is None else "is damaged in"
    with pytest.raises(StateFault, match=f"the page `index/` .* {said} the database") as fault:
        page_body(ENTRY, packed)
    assert "reconciler repair" in str(fault.value.hint)


@pytest.mark.parametrize("damage", ["DELETE FROM page", "UPDATE page SET gzip = x'00'"])
def test_an_export_says_which_page_is_damaged(tmp_path: Path, damage: str) -> None:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository(), publication())
        site.says("g", site.file("a"))
        site.applied()
        with sqlite3.connect(tmp_path / "home" / "state.db") as connection:
            connection.execute(damage)
        connection.close()
        exports = "exports: [{directory: {path: ./out}}]"
        site.declare(site.remote(), repository(), publication(more=exports))
        failure = site.failed("publication/team")
        assert "the page `index/`" in failure
        assert "the database" in failure
