"""A file that was sent, through all steps: from its name to its unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from reconciler.plugin import (
    Artifact,
    GroupedUnit,
    StoredUnit,
    Unit,
    UploadConduit,
    UploadedFile,
    sanitize,
)
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.filenames import (
    SDIST,
    WHEEL,
    FilenameReader,
    UnreadableFilename,
    possible_projects,
    project_name,
    stem_and_type,
)
from reconciler_python.reading.units import DISTRIBUTION, PROJECT
from reconciler_python.uploads.core_metadata import read_metadata
from reconciler_python.uploads.form import check_agreement, check_digests, is_same_version
from reconciler_python.uploads.refusals import FileExists, UploadRefused
from reconciler_python.uploads.sdists import check_sdist
from reconciler_python.uploads.wheels import check_wheel

__all__ = ["received_units"]

_TAKEN: Final = (WHEEL, SDIST)
_CLOSED: Final = frozenset({"archived", "quarantined"})  # PEP 792


def received_units(
    conduit: UploadConduit[SelectionOptions], file: UploadedFile, fields: Mapping[str, str]
) -> Iterable[GroupedUnit]:
    """Return the unit of a file; the one that is there, if it is this very file.

    Steps: the filename, the form, what is there already, the archive, its metadata. Raises
    UploadRefused, and FileExists.
    """
    project, version, package_type = _read_filename(file.name, fields.get("name", ""))
    check_agreement(fields, project, version, package_type=package_type)
    check_digests(fields, file)
    held = conduit.units(project)
    same = _held_file(held, file)
    if same is not None:
        return [(project, _again(same))]
    _check_status(held)
    _check_release(held, file.name, version, package_type=package_type)
    metadata, core_metadata = _read_archive(file, project, version, package_type=package_type)
    facts: dict[str, Any] = {
        "name": project,
        "version": version,
        "packageType": package_type,
        "uploadTime": conduit.received_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    if metadata.requires_python is not None and str(metadata.requires_python):
        facts["requiresPython"] = str(metadata.requires_python)
    artifacts = [Artifact(file.name, file.sha256, file.size)]
    if package_type == WHEEL:
        digest = sha256(core_metadata).hexdigest()
        facts["coreMetadata"] = {"sha256": digest}
        artifacts.append(
            Artifact(f"{file.name}.metadata", digest, len(core_metadata), within=file.name)
        )
    return [(project, Unit(DISTRIBUTION, file.name, facts, artifacts))]


def _read_filename(filename: str, said: str) -> tuple[str, str, str]:
    """Return project, version and package type of a filename. Raises UploadRefused.

    Of a source distribution whose name holds hyphens, the form says where the version begins.
    """
    parts = stem_and_type(filename)
    if parts is None or parts[1] not in _TAKEN:
        raise UploadRefused(
            "unknown-filename",
            f"`{sanitize(filename, 200)}` is neither a wheel nor a source distribution",
            hint="`NAME-VERSION-...whl`, or `NAME-VERSION.tar.gz`",
        )
    names = [project_name(name) for name in possible_projects(*parts)]
    wished = project_name(said)
    reason = "it does not name a project and a version"
    for name in [wished] if wished in names else reversed(names):
        if name is None:
            continue
        try:
            read = FilenameReader(name).read(filename)
        except UnreadableFilename as error:
            reason = str(error)
            continue
        if read.package_type in _TAKEN:
            return name, read.version, read.package_type
        reason = f"it is of type `{read.package_type}`"
    raise UploadRefused(
        "invalid-filename", f"`{sanitize(filename, 200)}` cannot be taken: {reason}"
    )


def _held_file(held: Iterable[StoredUnit], file: UploadedFile) -> StoredUnit | None:
    """Return the unit of this file, if it is held. Raises FileExists for other bytes."""
    for unit in held:
        if unit.type != DISTRIBUTION or unit.key != file.name:
            continue
        if any(each.path == unit.key and each.sha256 == file.sha256 for each in unit.artifacts):
            return unit
        raise FileExists(
            "file-exists",
            f"File already exists: `{file.name}`, with other bytes",
            hint="what is published keeps its bytes: raise the version, or add a build number",
        )
    return None


def _check_status(held: Iterable[StoredUnit]) -> None:
    """Raise UploadRefused for a project that is marked as one that nothing is added to."""
    for unit in held:
        status = unit.metadata.get("status") if unit.type == PROJECT else None
        if status in _CLOSED:
            raise UploadRefused(
                f"project-{status}",
                f"the project `{unit.group}` is {status}: nothing is added to it",
                hint=f"`reconciler unmark REPOSITORY {unit.group}` opens it again",
                status=403,
            )


def _again(unit: StoredUnit) -> Unit:
    """Return a unit as it is held: a file that is sent again changes nothing."""
    artifacts = [Artifact(each.path, each.sha256, each.size) for each in unit.artifacts]
    return Unit(unit.type, unit.key, unit.metadata, artifacts)


def _check_release(
    held: Iterable[StoredUnit], filename: str, version: str, *, package_type: str
) -> None:
    """Raise FileExists for a second file where a release has one: a second spelling of a name."""
    release = [
        unit.key
        for unit in held
        if unit.type == DISTRIBUTION
        and unit.metadata["packageType"] == package_type
        and is_same_version(unit.metadata["version"], version)
    ]
    if package_type == SDIST and release:
        raise FileExists(
            "sdist-exists",
            f"a source distribution of {version} already exists: `{release[0]}`, so that"
            f" `{filename}` would be a second one",
        )
    if package_type == WHEEL:
        _check_wheel_names(release, filename)


def _check_wheel_names(release: Iterable[str], filename: str) -> None:
    wheel = _wheel(filename)
    for other in release:
        if wheel is not None and _wheel(other) == wheel:
            raise FileExists(
                "file-exists",
                f"File already exists: `{filename}` is `{other}` in another spelling",
                hint="installers would take either of them: raise the version, or add a build"
                " number",
            )


def _wheel(filename: str) -> object:
    """Return what tells a wheel from others, whatever its spelling; None for a malformed name."""
    try:
        return parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None


def _read_archive(
    file: UploadedFile, project: str, version: str, *, package_type: str
) -> tuple[Any, bytes]:
    """Check the archive and its metadata; return both forms of the latter."""
    if package_type == WHEEL:
        body, licences = check_wheel(file.path, project, version)
        return read_metadata(body, project, version, licences=licences), body
    body = check_sdist(file.path, file.name)
    return read_metadata(body, project, version), body
