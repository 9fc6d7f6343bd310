"""Fields of the legacy upload form, as far as they say something about the file.

Further fields repeat its metadata, which is read from the file itself; they are ignored, as are
unknown ones.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from reconciler.plugin import UploadedFile, sanitize
from reconciler_python.reading.filenames import SDIST, WHEEL, project_name
from reconciler_python.uploads.refusals import UploadRefused

__all__ = ["check_agreement", "check_digests", "check_request", "is_same_version"]

ACTION: Final = "file_upload"
_REMOVED_ACTIONS: Final = frozenset({"submit", "doc_upload", "submit_pkg_info", "verify"})
_FILETYPES: Final = {"bdist_wheel": WHEEL, "sdist": SDIST}
_BLOCK: Final = 1 << 20
_DIGESTS: Final = {"md5_digest": "md5", "blake2_256_digest": "blake2_256"}


def check_request(fields: Mapping[str, str]) -> None:
    """Check what the form asks for. Raises UploadRefused."""
    action = fields.get(":action", "")
    if action in _REMOVED_ACTIONS:
        raise UploadRefused(
            "action-removed", f"the action `{action}` is no longer part of the protocol", status=410
        )
    if action != ACTION:
        raise UploadRefused(
            "unknown-action",
            f"`:action` is {_quoted(action)}, and only `{ACTION}` is taken"
            if action
            else f"the form has no field `:action`: it must say `{ACTION}`",
        )
    version = fields.get("protocol_version", "1")
    if version != "1":
        raise UploadRefused(
            "unknown-protocol-version", f"`protocol_version` is {_quoted(version)}, and 1 is taken"
        )


def check_agreement(
    fields: Mapping[str, str], project: str, version: str, *, package_type: str
) -> None:
    """Check that the form is about this file. Raises UploadRefused."""
    name = fields.get("name", "")
    if name and project_name(name) != project:
        raise UploadRefused(
            "name-mismatch", f"the form says the name {_quoted(name)}, and the file is `{project}`"
        )
    said = fields.get("version", "")
    if said and not is_same_version(said, version):
        raise UploadRefused(
            "version-mismatch",
            f"the form says the version {_quoted(said)}, and the file is `{version}`",
        )
    filetype = fields.get("filetype", "")
    if filetype and _FILETYPES.get(filetype) != package_type:
        raise UploadRefused(
            "filetype-mismatch",
            f"the form says `filetype` {_quoted(filetype)}, and the file is of type"
            f" `{package_type}`",
        )


def check_digests(fields: Mapping[str, str], file: UploadedFile) -> None:
    """Check the digests that the form declares beside sha256, which the core compares.

    Raises UploadRefused.
    """
    declared = {name: fields[name].strip().lower() for name in _DIGESTS if fields.get(name)}
    if not declared:
        return
    actual = _digests(file.path, declared)
    for name, digest in declared.items():
        if not hmac.compare_digest(digest.encode(), actual[name].encode()):
            raise UploadRefused(
                "digest-mismatch", f"the file does not have the digest that `{name}` says"
            )


def _digests(path: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Compute the digests that are declared, in one pass."""
    hashes = {name: _hash(_DIGESTS[name]) for name in names}
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for each in hashes.values():
                each.update(block)
    return {name: each.hexdigest() for name, each in hashes.items()}


def _hash(algorithm: str) -> hashlib._Hash | hashlib.blake2b:
    if algorithm == "blake2_256":
        return hashlib.blake2b(digest_size=32)
    return hashlib.new(algorithm, usedforsecurity=False)


def is_same_version(said: str, version: str) -> bool:
    """Return True for two spellings of a version (PEP 440)."""
    try:
        return Version(said) == Version(version)
    except InvalidVersion:
        return False


def _quoted(text: str) -> str:
    return f"`{sanitize(text, 80)}`"
