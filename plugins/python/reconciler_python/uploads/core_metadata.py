"""Core metadata of an uploaded file: well-formed, and about this file.

Checked by `packaging.metadata`, whose words are shown. Rules that only one public index has (no
local versions, no direct references, known classifiers) are not: a team's index takes them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from packaging.metadata import InvalidMetadata, Metadata, RawMetadata, parse_email
from packaging.version import Version

from reconciler.plugin import sanitize
from reconciler_python.reading.filenames import project_name
from reconciler_python.uploads.refusals import UploadRefused

__all__ = ["read_metadata"]

_FIRST: Final = ("metadata-version", "name", "version")  # faults that explain others
_SHOWN: Final = 3
_BEFORE_LICENCE_FILES: Final = frozenset({"1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3"})


def read_metadata(
    body: bytes, project: str, version: str, *, licences: Collection[str] | None = None
) -> Metadata:
    """Return the metadata of a distribution.

    `licences`: paths in the licence folder of a wheel; None for a source distribution. Raises
    UploadRefused.
    """
    raw, _ = parse_email(body)
    metadata = _validated(raw)
    if project_name(metadata.name) != project:
        raise UploadRefused(
            "name-mismatch",
            f"the filename says `{project}`, and the metadata `{sanitize(metadata.name, 80)}`",
        )
    if metadata.version != Version(version):
        raise UploadRefused(
            "version-mismatch",
            f"the filename says version {version}, and the metadata {metadata.version}",
        )
    _check_licences(metadata, licences)
    return metadata


def _validated(raw: RawMetadata) -> Metadata:
    if raw.get("metadata_version") in _BEFORE_LICENCE_FILES:
        raw.pop("license_files", None)  # written early by a build backend, before it was specified
    try:
        return Metadata.from_raw(raw)
    except ExceptionGroup as group:
        faults = [error for error in group.exceptions if isinstance(error, InvalidMetadata)]
        faults.sort(key=lambda error: (error.field not in _FIRST, error.field))
        told = "; ".join(sanitize(str(error), 200) for error in faults[:_SHOWN])
        more = len(faults) - _SHOWN
        raise UploadRefused(
            "invalid-metadata",
            f"its metadata is invalid: {told}" + (f"; and {more} more" if more > 0 else ""),
        ) from None


def _check_licences(metadata: Metadata, licences: Collection[str] | None) -> None:
    for path in metadata.license_files or ():
        if licences is not None and path not in licences:
            raise UploadRefused(
                "licence-file-missing",
                f"its metadata names the licence file `{sanitize(path, 200)}`, which the wheel"
                " does not hold (PEP 639)",
            )
