"""Whole-repository indexes: what a publisher declares of them, and what it is given.

An index lists units of the whole repository, one entry each: `Packages` of apt, `primary.xml` of
rpm, `index.yaml` of Helm. The core keeps the entries, sorted, and renders an index only if one of
its entries changed; it compresses and hashes what was rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import msgspec

Compression = Literal["gz", "xz", "zst"]
Checksum = Literal["md5", "sha1", "sha256", "sha512"]

KEY_SEPARATOR = "\0"  # sorts before everything that a part of a key may hold

SortKey = str | tuple[str, ...]
"""Where an entry stands in its index: compared part by part, by code point."""


class IndexEntry(msgspec.Struct, frozen=True):
    """An entry of an index, as `Publisher.render_index` gets it.

    `body`: of `entry_of`. `sort_key`: as it is kept, for comparisons alone; `key` has its parts.
    """

    body: bytes
    sort_key: bytes

    @property
    def key(self) -> tuple[str, ...]:
        """Return what `Publisher.sort_key` returned, as a tuple."""
        return tuple(self.sort_key.decode().split(KEY_SEPARATOR))


class IndexFile(msgspec.Struct, frozen=True):
    """The files that an index is published as.

    In paths `{md5}`, `{sha1}`, `{sha256}` and `{sha512}` stand for the digest of the file in hex.

    Attributes:
        path: Of the plain file. That of a compressed one has `.gz`, `.xz` or `.zst` after it.
        media_type: Of the plain file.
        compressions: Compressed files, made by the core. `xz` costs by far the most: it is made
            anew as a whole, while the others compress again only what changed.
        plain: Publish the plain file as well.
        checksums: Digests that a summary needs.
        by_digest: More paths, of each published file: without an ending, and with a digest in each.
            No other index may have the same one.
        linger: How long a path that holds a digest stays served once other files took its place: a
            client may have read the summary before.
        summary: The summary that lists the files; none where it is empty.
    """

    path: str
    media_type: str = "text/plain"
    compressions: tuple[Compression, ...] = ()
    plain: bool = True
    checksums: tuple[Checksum, ...] = ("sha256",)
    by_digest: tuple[str, ...] = ()
    linger: timedelta = timedelta(days=1)
    summary: str = ""


class RenderedFile(msgspec.Struct, frozen=True):
    """A file of an index, as a summary lists it.

    Attributes:
        index: Name of the index.
        path: Of the file; that of the plain file is given also where it is not published.
        compression: `gz`, `xz`, `zst`, or empty for the plain file.
        size: In bytes.
        checksums: Digests in hex, by algorithm.
        published: False for a plain file that only its compressed ones stand for.
    """

    index: str
    path: str
    compression: str
    size: int
    checksums: Mapping[str, str]
    published: bool = True
