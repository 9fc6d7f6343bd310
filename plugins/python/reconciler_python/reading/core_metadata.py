"""Requirements of a distribution: Requires-Dist of its core metadata (PEP 566, 643)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Final

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from reconciler.plugin import (
    Artifact,
    Gone,
    Malformed,
    Refused,
    StoredUnit,
    Unit,
    Unreachable,
    UpstreamConduit,
    sanitize,
)
from reconciler_python.reading.archives import UnreadableArchive, wheel_metadata
from reconciler_python.reading.bounded_requirements import read_requirement
from reconciler_python.reading.filenames import SDIST, WHEEL
from reconciler_python.reading.partial_files import inspect_partially
from reconciler_python.reading.sdists import sdist_metadata

_LONGEST: Final = 1024 * 1024  # bytes of a header: the largest honest ones have some 100,000
_SHORT: Final = 64 * 1024  # bytes of metadata: reading fewer does not hold up the loop
_MOST: Final = 10_000  # requirements of one file
_BODY = re.compile(rb"\r?\n\r?\n")
_NO_NAME = re.compile(rb"[^!-9;-~]")  # RFC 5322 2.2: printable ASCII but the colon


logger = logging.getLogger(__name__)


class UnreadableMetadata(ValueError):
    """Raised where the dependencies of a file are unknown; the text gives the reason."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One Requires-Dist. `project` and `extras` are normalised.

    `text`: without extras and marker; `marker`: empty, or as PEP 508 has it.
    """

    project: str
    specifiers: SpecifierSet
    extras: frozenset[str]
    marker: str

    @property
    def text(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.project}{extras}{self.specifiers}"


def metadata_digest(unit: Unit) -> str:
    """Return a key that files of the same metadata share.

    The digest of the metadata where upstream declares one, else the file's.
    """
    declared = _declared(unit)
    return (
        declared.sha256
        if declared
        else f"{unit.artifacts[0].sha256 or unit.key} {unit.metadata['packageType']}"
    )


async def dependencies_of(conduit: UpstreamConduit, unit: Unit) -> Sequence[Dependency]:
    """Return what one distribution requires.

    Nothing where its type has no such metadata (eggs, installers). Raises UnreadableMetadata where
    the very bytes that upstream declared cannot be understood, and what `conduit` raises.
    """
    body = await core_metadata(conduit, unit)
    if not body or len(body) <= _SHORT:
        return read_dependencies(body) if body else ()
    return await asyncio.to_thread(read_dependencies, body)


def read_dependencies(metadata: bytes) -> Sequence[Dependency]:
    """Return Requires-Dist of core metadata, in its order.

    A requirement with a URL is left out: clients fetch it from there. Raises UnreadableMetadata
    naming the first line that is no requirement.
    """
    end = _BODY.search(metadata)
    header = metadata[: end.start()] if end else metadata
    if len(header) > _LONGEST:
        raise UnreadableMetadata(f"its metadata has {len(header):,} bytes before the description")
    lines = field_values(header, b"requires-dist")
    if len(lines) > _MOST:
        raise UnreadableMetadata(f"its metadata has {len(lines):,} requirements")
    dependencies = [_dependency(line) for line in lines]
    return [dependency for dependency in dependencies if dependency is not None]


def field_values(header: bytes, name: bytes) -> list[str]:
    """Return the values of one field, as the mail parser of clients finds them.

    For a fraction of its price, as every file is asked. Names in any case; indented lines continue
    the one before; what is no field ends the header.
    """
    if name not in header.lower():
        return []
    values: list[list[bytes]] = []
    last: list[bytes] = []
    for line in header.splitlines():
        if line[:1] in (b" ", b"\t"):
            last.append(line)
            continue
        field, colon, value = line.partition(b":")
        if not colon or _NO_NAME.search(field):
            break
        last = [value]
        if field.lower() == name:
            values.append(last)
    return [
        " ".join(b" ".join(parts).decode("utf-8", "backslashreplace").split()) for parts in values
    ]


@lru_cache(maxsize=65536)
def _dependency(text: str) -> Dependency | None:
    try:
        requirement = read_requirement(text)
    except ValueError:
        raise UnreadableMetadata(
            f"`Requires-Dist: {sanitize(text, 200)}` is no requirement (PEP 508)"
        ) from None
    if requirement.url is not None:
        return None
    return Dependency(
        canonicalize_name(requirement.name),
        requirement.specifier,
        frozenset(canonicalize_name(extra) for extra in requirement.extras),
        str(requirement.marker) if requirement.marker is not None else "",
    )


async def core_metadata(conduit: UpstreamConduit, unit: Unit) -> bytes | None:
    """Return METADATA or PKG-INFO of a distribution; None where it has none.

    From beside the file, else out of parts of it. Raises UnreadableMetadata where the very bytes
    that upstream declared do not show it, and what `conduit` raises.
    """
    declared = _declared(unit)
    if declared is not None and declared.sha256 != unit.artifacts[0].sha256:
        try:
            return await conduit.get_file(declared.url, sha256=declared.sha256)
        except (Gone, Malformed, Refused, Unreachable) as error:  # help, and no condition
            logger.info("%s: core metadata is read from the file itself: %s", unit.key, error)
    try:
        return await _inside(conduit, unit)
    except UnreadableArchive as error:
        raise UnreadableMetadata(str(error)) from None


def metadata_of(unit: Unit | StoredUnit, file: BinaryIO) -> bytes | None:
    """Return METADATA of an open wheel, or PKG-INFO of an open sdist; None where it shows none."""
    package_type = unit.metadata["packageType"]
    try:
        if package_type == WHEEL:
            return wheel_metadata(file, unit.metadata["name"])
        return sdist_metadata(file, unit.key) if package_type == SDIST else None
    except UnreadableArchive:
        return None


async def _inside(conduit: UpstreamConduit, unit: Unit) -> bytes | None:
    file, package_type = unit.artifacts[0], unit.metadata["packageType"]
    if package_type == SDIST:
        return await inspect_partially(
            conduit, file, lambda archive: sdist_metadata(archive, unit.key)
        )
    if package_type != WHEEL:
        return None
    return await inspect_partially(
        conduit, file, lambda archive: _of_wheel(archive, unit.metadata["name"])
    )


def _of_wheel(wheel: BinaryIO, project: str) -> bytes:
    metadata = wheel_metadata(wheel, project)
    if metadata is None:
        raise UnreadableArchive("the wheel shows no METADATA")
    return metadata


def _declared(unit: Unit) -> Artifact | None:
    """Return the `.metadata` file beside it (PEP 658), where upstream declares its digest."""
    return next(
        (
            artifact
            for artifact in unit.artifacts
            if artifact.path == f"{unit.key}.metadata" and artifact.sha256
        ),
        None,
    )
