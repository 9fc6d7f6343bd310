"""What repositories hold: units of content, in groups, with artifacts.

A *unit* is the smallest thing that a version holds (one distribution file of a project). A *group* is the unit
of incremental work (one project). An *artifact* is bytes under a path. All three are slim msgspec structs: a
million of them may pass through one run. They are checked once, by `sealed`, where they enter the core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from reconciler.errors import PluginFault
from reconciler.model.digest import Digest, canonical, is_hex_digest

BUCKETS = 4096
MAX_NAME = 1024

_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\\")  # an empty, `.` or `..` segment; a backslash


class Artifact(msgspec.Struct, frozen=True):
    """Bytes under a relative `path` (unique within its unit).

    `sha256`: 64 lower-case hex digits, as upstream declares them. `size`: bytes, as upstream declares it, or None.
    `url`: absolute, where the bytes can be had. `within`: path of a sibling artifact that contains these very
    bytes; the content type's `extract` takes them out of it, and only if that fails is `url` asked.
    """

    path: str
    sha256: str
    size: int | None = None
    url: str = ""
    within: str = ""


class Unit(msgspec.Struct, frozen=True):
    """One unit of content as a plugin declares it. `metadata`: plain JSON without floats; keys with a leading `_` are dropped."""

    type: str
    key: str
    metadata: dict[str, Any]
    artifacts: list[Artifact] = msgspec.field(default_factory=list)


class Group(msgspec.Struct, frozen=True):
    """A group that a source holds. `validator`: a text that changes whenever the group may have changed; None if only reading tells.

    `listed`: the source's own list names it, and nobody did by name, so that finding nothing behind it is no error.
    """

    name: str
    validator: str | None = None
    listed: bool = False


class Page(msgspec.Struct, frozen=True):
    """A page of upstream, whole. `url`: after redirects, the base of relative links. `validator`: changes whenever the body does.

    `media_type`: lower case, without parameters; `charset`: from the header, else utf-8. `headers`: names in lower case.
    """

    url: str
    body: bytes
    validator: str
    media_type: str
    charset: str = "utf-8"
    headers: dict[str, str] = {}


class StoredArtifact(msgspec.Struct, frozen=True):
    """An artifact as it is part of a unit's identity: no URL."""

    path: str
    sha256: str
    size: int | None = None


class StoredUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit as it is recorded; canonical JSON of this very struct is its body, and the body's sha256 its digest."""

    artifacts: list[StoredArtifact]
    group: str
    key: str
    metadata: dict[str, Any]
    type: str


class Sealed(msgspec.Struct, frozen=True):
    """A checked unit with its identity: `body` is the canonical JSON, `digest` its sha256, `unit` what it was made of."""

    digest: Digest
    body: bytes
    unit: Unit
    group: str


_BODY = msgspec.json.Decoder(StoredUnit)


def stored_unit(body: bytes) -> StoredUnit:
    """Read a unit's body back."""
    return _BODY.decode(body)


def sealed(unit: Unit, group: str) -> Sealed:
    """Check a unit where it enters the core and give it its identity (type, group, key, artifacts, metadata as declared).

    Raises PluginFault naming the unit when its key, a path, a digest or its metadata is not what the contract asks for.
    """
    _check_name(unit.key, "key", unit)
    _check_name(group, "group", unit)
    for artifact in unit.artifacts:
        _check_artifact(artifact, unit)
    if len({artifact.path for artifact in unit.artifacts}) != len(unit.artifacts):
        raise PluginFault(f"unit `{unit.key}` names one artifact path twice")
    metadata = {name: value for name, value in unit.metadata.items() if not name.startswith("_")}
    _check_plain(metadata.values(), unit)
    stored = StoredUnit(
        artifacts=sorted((StoredArtifact(a.path, a.sha256, a.size) for a in unit.artifacts), key=lambda a: a.path),
        group=group,
        key=unit.key,
        metadata=metadata,
        type=unit.type,
    )
    body = canonical(stored)
    return Sealed(Digest.of(body), body, unit, group)


def safe_path(path: str) -> bool:
    """Is this a relative path that stays below its folder: no empty, `.` or `..` segment, no backslash, no control character?"""
    return len(path) <= MAX_NAME and path.isprintable() and _UNSAFE.search(path) is None


def bucket_of(group: str) -> int:
    """Which of the 4,096 buckets of a version a group belongs to."""
    return int.from_bytes(Digest.of(group.encode()).raw[:2], "big") % BUCKETS


def group_digest(units: Iterable[Digest]) -> Digest:
    """Of a group: its sorted unit digests."""
    return Digest.of_value([str(unit) for unit in sorted(set(units))])


def bucket_digest(groups: Iterable[Digest]) -> Digest:
    """Of a bucket: the sorted digests of its groups that hold at least one unit."""
    return Digest.of_value([str(group) for group in sorted(groups)])


def version_digest(buckets: Iterable[tuple[int, Digest]]) -> Digest:
    """Of a version: its non-empty buckets, by number. The empty set is the digest of `[]`."""
    return Digest.of_value([[number, str(digest)] for number, digest in sorted(buckets)])


EMPTY_VERSION = version_digest([])


def _check_name(name: str, what: str, unit: Unit) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise PluginFault(f"unit {unit.key[:80]!r} has an unusable {what}: {name[:80]!r}", hint="1 to 1,024 printable characters")


def _check_artifact(artifact: Artifact, unit: Unit) -> None:
    if not safe_path(artifact.path):
        raise PluginFault(f"unit `{unit.key}` has an unsafe artifact path: {artifact.path[:80]!r}")
    if not is_hex_digest(artifact.sha256):
        raise PluginFault(f"unit `{unit.key}`: artifact `{artifact.path}` has no sha256 of 64 lower-case hex digits")
    if artifact.size is not None and artifact.size < 0:
        raise PluginFault(f"unit `{unit.key}`: artifact `{artifact.path}` has a negative size")


def _check_plain(values: Iterable[Any], unit: Unit) -> None:
    """Floats differ in text between machines, so they must not enter a digest."""
    for value in values:
        if isinstance(value, (str, int)) or value is None:
            continue
        if isinstance(value, dict):
            _check_plain(value.values(), unit)
        elif isinstance(value, (list, tuple)):
            _check_plain(value, unit)
        else:
            raise PluginFault(f"unit `{unit.key}` has metadata that is not plain JSON without floats: {type(value).__name__}")
