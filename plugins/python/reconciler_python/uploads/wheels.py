"""Wheels: whether everything is there that makes one (PEP 427, PEP 639)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from packaging.version import InvalidVersion, Version

from reconciler_python.reading.archives import UnreadableArchive, member_content
from reconciler_python.reading.filenames import project_name
from reconciler_python.uploads.refusals import UploadRefused
from reconciler_python.uploads.zip_archives import read_directory

__all__ = ["check_wheel"]

_ENDING = ".dist-info"
_NEEDED = ("METADATA", "WHEEL", "RECORD")


def check_wheel(path: Path, project: str, version: str) -> tuple[bytes, Collection[str]]:
    """Return METADATA of a wheel, and the paths below its licence folder.

    Raises UploadRefused for an archive that is unsafe, or is not the wheel of this release.
    """
    with path.open("rb") as archive:
        paths = read_directory(archive)
        folder = _info_folder(paths, project, version)
        for name in _NEEDED:
            if f"{folder}/{name}" not in paths:
                raise UploadRefused(
                    "incomplete-wheel", f"the wheel has no `{folder}/{name}` (PEP 427)"
                )
        try:
            metadata = member_content(archive, paths[f"{folder}/METADATA"])
        except UnreadableArchive as error:
            raise UploadRefused("unreadable-metadata", f"its metadata: {error}") from None
    licences = f"{folder}/licenses/"
    return metadata, {path.removeprefix(licences) for path in paths if path.startswith(licences)}


def _info_folder(paths: Collection[str], project: str, version: str) -> str:
    folders = {path.partition("/")[0] for path in paths if "/" in path}
    named = sorted(folder for folder in folders if folder.endswith(_ENDING))
    if len(named) != 1:
        raise UploadRefused(
            "incomplete-wheel",
            f"a wheel has one folder `NAME-VERSION{_ENDING}`, and this has {len(named)}",
        )
    name, _, said = named[0].removesuffix(_ENDING).partition("-")
    if project_name(name) != project or not _is(said, version):
        raise UploadRefused(
            "wheel-mismatch", f"the wheel is called `{project}` {version}, and holds `{named[0]}`"
        )
    return named[0]


def _is(said: str, version: str) -> bool:
    try:
        return Version(said.replace("_", "-")) == Version(version)
    except InvalidVersion:
        return False
