"""Publications for tests of the database: what to emit, and one call that publishes it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence

from reconciler.database import Entry, GzipPage, PublicationRecord, Writer
from reconciler.model import EMPTY_VERSION, Digest
from tests.support.databases import NOW

Emitted = Mapping[str | None, Sequence[tuple[str, str]]]  # group -> (path, body)


def an_entry(
    group: str | None, path: str, body: str, *, media_type: str = "text/html", position: int = 0
) -> Entry:
    return Entry(path, media_type, group, True, Digest.of(body.encode()), len(body), (), position)


def pages_of(bodies: Sequence[str]) -> dict[Digest, GzipPage]:
    return {
        Digest.of(body.encode()): GzipPage(gzip.compress(body.encode(), mtime=0), len(body))
        for body in bodies
    }


def published(
    writer: Writer, publication_id: int, emitted: Emitted, *, full: bool = False, version: int = 0
) -> PublicationRecord:
    """One publication with these groups replaced; completed, not pointed to."""
    digest = Digest.of(repr(sorted(emitted.items(), key=str)).encode())
    with writer.publish(
        publication_id,
        version=version,
        version_digest=EMPTY_VERSION,
        digest=digest,
        now=NOW,
        full=full,
    ) as stage:
        for group, files in emitted.items():
            stage.replace_group(
                group,
                [an_entry(group, path, body) for path, body in files],
                pages_of([body for _, body in files]),
            )
        return stage.complete()
