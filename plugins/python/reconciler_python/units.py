"""One project's records -> units of content, or a refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from sys import intern
from typing import Any, Final

import msgspec

from reconciler.plugin import Artifact, Unit
from reconciler_python.documents import ExtendedFile, ListedFile, ProjectDocument, absolute
from reconciler_python.filenames import WHEEL, Filename, FilenameReader, UnreadableFilename

DISTRIBUTION: Final = "python.distribution"
PROJECT: Final = "python.project"

_LARGEST = 2**44  # bytes; the core takes no larger size for the truth
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENCODER = msgspec.json.Encoder(order="sorted")

Refuse = Callable[[str, str], None]


def project_units(project: str, document: ProjectDocument, base: str, refuse: Refuse) -> list[Unit]:
    """Every file that can be a unit, and the project itself where it is not plainly active.

    `base`: URL of the page. `refuse(filename, reason)` is told about every file that cannot be one: an unsafe or
    foreign name, no sha256, a URL that is none. The order of the files does not matter.
    """
    reader = FilenameReader(project)
    found: dict[str, Unit] = {}
    contradictory: set[str] = set()
    for name, reason in document.unreadable:
        refuse(_printable(name), reason)
    for file in document.files:
        try:
            unit = _distribution(project, file, reader.read(file.filename), base)
        except UnreadableFilename as error:
            refuse(_printable(file.filename), str(error))
            continue
        other = found.setdefault(unit.key, unit)
        if other is not unit:
            if other.artifacts[0].sha256 != unit.artifacts[0].sha256:
                contradictory.add(unit.key)
            found[unit.key] = min(other, unit, key=_ENCODER.encode)
    for key in sorted(contradictory):
        del found[key]
        refuse(key, "upstream lists it twice, with different digests")
    return [*_status(project, document), *found.values()]


def _distribution(project: str, file: ListedFile, name: Filename, base: str) -> Unit:
    # Only sha256 counts: other digests are nothing that we check, and clients abort on a wrong one that we repeat.
    sha256 = _sha256(file.hashes.get("sha256"))
    if sha256 is None:
        raise UnreadableFilename("upstream gives no sha256")
    url = absolute(base, file.url)
    if url is None:
        raise UnreadableFilename("its URL cannot be fetched")
    metadata: dict[str, Any] = {"name": project, "version": name.version, "packageType": name.package_type}
    if file.requires_python:
        metadata["requiresPython"] = intern(file.requires_python)
    if file.upload_time:
        metadata["uploadTime"] = file.upload_time
    if file.yanked:
        metadata["yanked"] = file.yanked
    # `provenance` is a URL, and no URL belongs to a unit's identity: the object behind it will be an artifact, or nothing.
    if isinstance(file, ExtendedFile) and file.extra:
        metadata["extra"] = file.extra
    size = file.size if file.size is not None and 0 <= file.size <= _LARGEST else None
    artifacts = [Artifact(file.filename, sha256, size, url)]
    # `core-metadata: true` promises a file whose digest nobody declares: not to be trusted, so neither fetched nor advertised.
    declared = _sha256(file.metadata_sha256)
    if declared:
        metadata["coreMetadata"] = {"sha256": declared}
        within = file.filename if name.package_type == WHEEL else ""
        artifacts.append(Artifact(f"{file.filename}.metadata", declared, None, _beside(url), within))
    return Unit(DISTRIBUTION, file.filename, metadata, artifacts)


def _status(project: str, document: ProjectDocument) -> list[Unit]:
    if document.status == "active" and not document.status_reason:
        return []
    metadata: dict[str, Any] = {"status": document.status}
    if document.status_reason:
        metadata["reason"] = document.status_reason
    if document.extra:
        metadata["extra"] = document.extra
    return [Unit(PROJECT, project, metadata)]


def _sha256(text: str | None) -> str | None:
    if not text:
        return None
    lowered = text.lower()
    return lowered if _SHA256.fullmatch(lowered) else None


def _beside(url: str) -> str:
    """PEP 658: `.metadata` follows the file's own name, so it stands before a query."""
    path, mark, query = url.partition("?")
    return f"{path}.metadata{mark}{query}"


def _printable(text: str) -> str:
    """A hostile name as people may see it, and as a key may be."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown[:200] or "(no name)"
