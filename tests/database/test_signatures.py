"""Signatures are kept for as long as the page that holds them."""

from __future__ import annotations

import gzip
from pathlib import Path

from reconciler.database import Entry, GzipPage, Signature
from reconciler.database.schema import page
from reconciler.model import Digest
from tests.support.databases import NOW, created_publication, database

TEXT, KEY = Digest.of(b"text"), "lines: 1234 detached"


def test_a_signature_is_kept_until_its_page_is_collected(tmp_path: Path) -> None:
    with database(tmp_path) as base:
        writer = base.writer()
        id_ = created_publication(writer)
        body, digest = b"signed", Digest.of(b"signed")
        with writer.publish(
            id_, version=0, version_digest=TEXT, digest=TEXT, now=NOW, full=True
        ) as stage:
            stage.replace_group(
                None,
                [Entry("text.sig", "text/plain", None, True, digest, len(body))],
                {digest: GzipPage(gzip.compress(body), len(body))},
                signatures=[Signature(TEXT, KEY, digest)],
            )
            stage.replace_group("g", [], {})
            stage.complete()
        assert writer.signed(TEXT, KEY) == body
        assert writer.signed(TEXT, "lines: 5678 detached") is None
        assert writer.signed(Digest.of(b"other"), KEY) is None
        assert writer.remove_unused_pages(dry_run=False) == (0, 0)
        assert writer.signed(TEXT, KEY) == body
        with writer._writing.begin() as connection:
            connection.execute(page.update().values(gzip=gzip.compress(body)[:-3]))
        assert writer.signed(TEXT, KEY) is None, "what is damaged is signed anew"
        writer.forget_pages(id_, [digest])
        assert writer.signed(TEXT, KEY) is None, "a damaged page is made again, and signed again"
