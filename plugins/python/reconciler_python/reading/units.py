"""Units of content from one project's records; refusals for the others."""

from __future__ import annotations

from collections.abc import Callable
from sys import intern
from typing import Any, Final

import msgspec

from reconciler.plugin import Artifact, StoredArtifact, StoredUnit, Unit, sanitize
from reconciler_python.reading.digests import Digests, read_digests, sha256_of
from reconciler_python.reading.documents import ExtendedFile, ListedFile, ProjectDocument
from reconciler_python.reading.filenames import (
    SDIST,
    VARIANTS,
    WHEEL,
    Filename,
    FilenameReader,
    UnreadableFilename,
)
from reconciler_python.reading.urls import fetchable_url

DISTRIBUTION: Final = "python.distribution"
PROJECT: Final = "python.project"
PROVENANCE_URL: Final = "_provenance"
"""Transient key of a distribution's metadata: where its provenance object is (PEP 740); absolute.
"""

_LARGEST = 2**44  # bytes; the core takes no larger size for the truth
_ENCODER = msgspec.json.Encoder(order="sorted")

Refuse = Callable[[str, str], None]


def project_units(
    project: str,
    document: ProjectDocument,
    base: str,
    *,
    refuse: Refuse,
    legacy: bool = False,
    unhashed: bool = False,
) -> list[Unit]:
    """Return every file that can be a unit, and the project where it is not plainly active.

    `base`: URL of the page. `refuse(filename, reason)` is called for every file that cannot be one:
    an unsafe or foreign name, no digest, a URL that is none. `legacy`: names come in that today's
    specifications cannot read; `unhashed`: files without any digest. The order of the files does
    not matter.
    """
    reader = FilenameReader(project, legacy=legacy)
    units: dict[str, Unit] = {}
    repeated: dict[str, list[Unit]] = {}
    for name, reason in document.unreadable:
        refuse(_printable(name), reason)
    for file in document.files:
        try:
            parsed = reader.read(file.filename)
            unit = _distribution(project, file, parsed, base=base, unhashed=unhashed)
        except UnreadableFilename as error:
            refuse(_printable(file.filename), str(error))
            continue
        if units.setdefault(unit.key, unit) is not unit:
            repeated.setdefault(unit.key, [units[unit.key]]).append(unit)
    for key in sorted(repeated):
        if _contradict(repeated[key]):
            del units[key]
            refuse(key, "upstream lists it twice, with different digests")
        else:
            units[key] = min(repeated[key], key=_preference)
    return [*_status(project, document), *units.values()]


def artifact_of(unit: StoredUnit, path: str) -> StoredArtifact | None:
    """Return the artifact of that path, if the unit has one."""
    for artifact in unit.artifacts:
        if artifact.path == path:
            return artifact
    return None


def is_variants_index(unit: Unit | StoredUnit) -> bool:
    """Return True for a file that lists the wheel variants of a release (PEP 825)."""
    return unit.metadata.get("packageType") == VARIANTS


def is_installable(unit: Unit) -> bool:
    """Return True for a distribution, which a requirement can mean."""
    return unit.type == DISTRIBUTION and not is_variants_index(unit)


def _distribution(
    project: str, file: ListedFile, name: Filename, *, base: str, unhashed: bool
) -> Unit:
    digests = read_digests(file.hashes)
    if not digests:
        _check_undigested(digests, unhashed)
    url = fetchable_url(base, file.url)
    if url is None:
        raise UnreadableFilename("its URL cannot be fetched")
    metadata: dict[str, Any] = {
        "name": project,
        "version": name.version,
        "packageType": name.package_type,
    }
    if file.requires_python:
        metadata["requiresPython"] = intern(file.requires_python)
    if file.upload_time:
        metadata["uploadTime"] = file.upload_time
    if file.yanked:
        metadata["yanked"] = file.yanked
    if file.provenance:
        _note_provenance(metadata, file.provenance, base)
    if isinstance(file, ExtendedFile) and file.extra:
        metadata["extra"] = file.extra
    size = file.size if type(file.size) is int and 0 <= file.size <= _LARGEST else None
    artifacts = [Artifact(file.filename, digests.sha256, size, url, "", digests.others)]
    # `core-metadata: true` promises a file without declaring its digest: not to be trusted, so
    # neither fetched nor advertised.
    declared = sha256_of(file.metadata_sha256)
    if declared:
        metadata["coreMetadata"] = {"sha256": declared}
        within = file.filename if name.package_type in (WHEEL, SDIST) else ""
        artifacts.append(
            Artifact(f"{file.filename}.metadata", declared, None, _beside(url), within)
        )
    return Unit(DISTRIBUTION, file.filename, metadata, artifacts)


def _note_provenance(metadata: dict[str, Any], url: str, base: str) -> None:
    """Record where the provenance object is, for the fetch that makes it an artifact.

    No URL belongs to a unit's identity, so the key is transient.
    """
    fetchable = fetchable_url(base, url)
    if fetchable is not None:
        metadata[PROVENANCE_URL] = fetchable


def _check_undigested(digests: Digests, unhashed: bool) -> None:
    """Raise UnreadableFilename unless files without a digest are wanted.

    A broken digest is not a missing one.
    """
    if digests.malformed:
        raise UnreadableFilename(f"upstream's {digests.malformed} is no {digests.malformed}")
    if not unhashed:
        raise UnreadableFilename("upstream gives no digest (`hashes: optional` would take it)")


def _contradict(units: list[Unit]) -> bool:
    """Return True if several entries of one filename disagree in some algorithm."""
    claimed: dict[str, str] = {}
    for unit in units:
        file = unit.artifacts[0]
        for algorithm, digest in (("sha256", file.sha256), *file.digests.items()):
            if digest and claimed.setdefault(algorithm, digest) != digest:
                return True
    return False


def _preference(unit: Unit) -> tuple[bool, int, bytes]:
    """Return the key by which the entry that tells most of its digests comes first.

    The order in which they are listed does not count.
    """
    file = unit.artifacts[0]
    return not file.sha256, -len(file.digests), _ENCODER.encode(unit)


def _status(project: str, document: ProjectDocument) -> list[Unit]:
    if document.status == "active" and not document.status_reason:
        return []
    metadata: dict[str, Any] = {"status": document.status}
    if document.status_reason:
        metadata["reason"] = document.status_reason
    if document.extra:
        metadata["extra"] = document.extra
    return [Unit(PROJECT, project, metadata)]


def _beside(url: str) -> str:
    """Return the URL of `.metadata` (PEP 658).

    It follows the file's own name, so it stands before a query.
    """
    path, mark, query = url.partition("?")
    return f"{path}.metadata{mark}{query}"


def _printable(name: str) -> str:
    """Return a hostile name as messages show it and a key may be."""
    return sanitize(name, 200) or "(no name)"
