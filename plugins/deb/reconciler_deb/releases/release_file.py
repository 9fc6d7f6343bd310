"""The text of a Release file: its fields, and the index files that it lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from reconciler.plugin import Malformed, safe_path
from reconciler_deb.control.paragraphs import paragraph_text, read_fields

_HEX = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"[0-9]{1,13}")
_LARGEST: Final = 16 * 1024 * 1024  # bytes; that of Debian has some hundred kilobytes


class IndexFile(msgspec.Struct, frozen=True):
    """An index that a Release lists. `path`: relative to the suite's folder."""

    path: str
    sha256: str
    size: int


class Release(msgspec.Struct, frozen=True):
    """Description of a suite by itself.

    `indexes`: by path, also of files that are not served, such as an uncompressed `Packages`.
    """

    fields: Mapping[str, str]
    indexes: Mapping[str, IndexFile]

    @property
    def date(self) -> datetime | None:
        """The moment it was made. Raises Malformed for a date that cannot be read."""
        return _moment(self.fields, "date")

    @property
    def valid_until(self) -> datetime | None:
        """The moment it ends to be valid. Raises Malformed for a date that cannot be read."""
        return _moment(self.fields, "valid-until")

    @property
    def by_hash(self) -> bool:
        """True if indexes can be had under their digests."""
        return self.fields.get("acquire-by-hash", "") == "yes"

    def words(self, name: str) -> list[str]:
        """Return the words of a field, such as `architectures`."""
        return self.fields.get(name, "").split()


def parse_release(body: bytes) -> Release:
    """Return what a Release file says. Raises Malformed for what is none, or lists no SHA256."""
    if len(body) > _LARGEST:
        raise Malformed(f"a Release file of {len(body):,} bytes")
    fields = read_fields(paragraph_text(body.strip(b"\n")))
    if "sha256" not in fields:
        raise Malformed(
            "it lists no SHA256 of its indexes, and weaker digests prove nothing",
            hint="ask the archive's owner for SHA256; apt itself refuses the older ones",
        )
    return Release(fields, _indexes(fields["sha256"]))


def _indexes(text: str) -> dict[str, IndexFile]:
    indexes: dict[str, IndexFile] = {}
    for line in filter(None, text.split("\n")):
        words = line.split()
        if len(words) != 3 or not _HEX.fullmatch(words[0]) or not _SIZE.fullmatch(words[1]):
            raise Malformed(f"a line of SHA256 is no `digest size path`: {line!r:.120}")
        digest, size, path = words
        if safe_path(path.removeprefix("./")):
            path = path.removeprefix("./")
            indexes[path] = IndexFile(path, digest, int(size))
    return indexes


def _moment(fields: Mapping[str, str], name: str) -> datetime | None:
    if name not in fields:
        return None
    try:
        moment = parsedate_to_datetime(fields[name])
    except (ValueError, TypeError, IndexError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Malformed(f"its {name.title()} cannot be read: {fields[name]!r:.80}")
    return moment
