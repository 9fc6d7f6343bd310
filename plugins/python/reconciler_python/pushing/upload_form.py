"""A distribution as the legacy upload form: core metadata by field, digests, the file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import msgspec
from packaging.metadata import RawMetadata, parse_email

from reconciler.plugin import FormConduit, Refused, StoredUnit, UploadForm
from reconciler_python.reading.core_metadata import (
    UnreadableMetadata,
    metadata_of,
    read_dependencies,
)
from reconciler_python.reading.filenames import WHEEL
from reconciler_python.reading.units import artifact_of

_BLOCK: Final = 1 << 20
_RENAMED: Final = {
    "platforms": "platform",
    "supported_platforms": "supported_platform",
    "license_files": "license_file",
}
_FILETYPES: Final = {True: "bdist_wheel", False: "sdist"}
_SEPARATORS = re.compile(r"[^A-Za-z0-9.]+")  # as twine writes names
_LICENCE_FILES_SINCE: Final = (2, 4)


class _Bundle(msgspec.Struct):
    attestations: list[msgspec.Raw]


class _Provenance(msgspec.Struct):
    attestation_bundles: list[_Bundle]


def upload_form(conduit: FormConduit, unit: StoredUnit, *, attestations: bool) -> UploadForm:
    """Return the form of a wheel or a source distribution.

    Raises Refused where its metadata cannot be read.
    """
    file = artifact_of(unit, unit.key)
    assert file is not None, unit.key
    with conduit.open(file) as stream:
        body = metadata_of(unit, stream)
        if body is None:
            raise Refused(f"`{unit.key}` shows no core metadata, which the form needs")
        stream.seek(0)
        blake2 = _blake2_256(stream)
    raw, _ = parse_email(body)
    fields = [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        *_metadata_fields(raw),
        ("filetype", _FILETYPES[_is_wheel(unit)]),
        ("pyversion", _python_tag(unit)),
        ("sha256_digest", file.sha256),
        ("blake2_256_digest", blake2),
    ]
    if attestations:
        fields += _attestations(conduit, unit)
    return UploadForm(fields, "content", unit.key, needs=_needs(body))


def _is_wheel(unit: StoredUnit) -> bool:
    return bool(unit.metadata["packageType"] == WHEEL)


def _python_tag(unit: StoredUnit) -> str:
    """Return the first tag of a wheel's name, `source` for a source distribution."""
    return unit.key.removesuffix(".whl").split("-")[-3] if _is_wheel(unit) else "source"


def _metadata_fields(raw: RawMetadata) -> Iterator[tuple[str, str]]:
    values: dict[str, Any] = dict(raw)
    if _metadata_version(raw) < _LICENCE_FILES_SINCE:
        values.pop("license_files", None)  # written before they were specified
    for name, value in values.items():
        if name == "name":
            value = _SEPARATORS.sub("-", value)
        field = _RENAMED.get(name, name)
        yield from ((field, text) for text in _texts(name, value))


def _texts(name: str, value: Any) -> Iterable[str]:
    if name == "keywords":
        return [", ".join(value)]
    if isinstance(value, dict):
        return [f"{label}, {url}" for label, url in value.items()]
    return value if isinstance(value, list) else [str(value)]


def _metadata_version(raw: RawMetadata) -> tuple[int, ...]:
    parts = raw.get("metadata_version", "").split(".")
    return tuple(int(part) for part in parts if part.isdecimal())


def _needs(metadata: bytes) -> list[str]:
    """Return the projects that it depends on, extras and markers aside."""
    try:
        return sorted({dependency.project for dependency in read_dependencies(metadata)})
    except UnreadableMetadata:
        return []


def _attestations(conduit: FormConduit, unit: StoredUnit) -> list[tuple[str, str]]:
    """Return the attestations that were published with it (PEP 740), as the form has them."""
    provenance = artifact_of(unit, f"{unit.key}.provenance")
    if provenance is None:
        return []
    with conduit.open(provenance) as stream:
        body = stream.read()
    try:
        bundles = msgspec.json.decode(body, type=_Provenance).attestation_bundles
    except msgspec.DecodeError:
        return []
    told = [bytes(each).decode() for bundle in bundles for each in bundle.attestations]
    return [("attestations", f"[{','.join(told)}]")] if told else []


def _blake2_256(stream: BinaryIO) -> str:
    digest = hashlib.blake2b(digest_size=32)
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
