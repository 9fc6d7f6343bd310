"""The Release of a suite: what it is, and the digests of its indexes."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

import msgspec

from reconciler_deb.publishing.indexes import IndexName
from reconciler_deb.reading.index_files import SOURCE

GZIP_LEVEL: Final = 6
XZ_PRESET: Final = 3


class ReleaseFacts(msgspec.Struct, frozen=True):
    """Facts of a Release beside its indexes. `date`: the moment of the version."""

    suite: str
    origin: str
    label: str
    description: str
    date: datetime
    valid_until: datetime | None = None


def compressed(path: str, body: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Yield the files of an index: path below the suite, bytes, media type."""
    yield path, body, "text/plain"
    yield f"{path}.gz", gzip.compress(body, GZIP_LEVEL, mtime=0), "application/gzip"
    yield f"{path}.xz", lzma.compress(body, preset=XZ_PRESET), "application/x-xz"


def by_hash_path(path: str, body: bytes) -> str:
    """Return the path of a file under its digest, below the suite."""
    return f"{path.rpartition('/')[0]}/by-hash/SHA256/{sha256(body).hexdigest()}"


def render_release(
    facts: ReleaseFacts, names: Iterable[IndexName], files: Mapping[str, bytes]
) -> bytes:
    """Return the Release of a suite. `files`: its index files by path, all compressions."""
    indexes = list(names)
    architectures = sorted({name.architecture for name in indexes} - {SOURCE})
    fields = {
        "Origin": facts.origin,
        "Label": facts.label,
        "Suite": facts.suite,
        "Codename": facts.suite,
        "Date": _moment(facts.date),
        "Valid-Until": _moment(facts.valid_until) if facts.valid_until is not None else "",
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": " ".join(sorted({name.component for name in indexes})),
        "Description": facts.description,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    lines.append("SHA256:")
    lines += [
        f" {sha256(body).hexdigest()} {len(body):>10} {path}"
        for path, body in sorted(files.items())
    ]
    return ("\n".join(lines) + "\n").encode()


def _moment(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC)).replace("+0000", "UTC")
