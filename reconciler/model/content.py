"""Content of repositories: units, in groups, with artifacts.

A *unit* is the smallest thing that a version holds (one distribution file of a project). A *group*
is the unit of incremental work (one project). An *artifact* is bytes under a path. All three are
slim msgspec structs: a million of them may pass through one run. They are checked once, by
`identify`, where they enter the core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from reconciler.errors import PluginFault, StateFault
from reconciler.model.digest import Digest, canonical, is_hex_digest
from reconciler.model.plain_metadata import check_plain
from reconciler.redaction import exception_message

BUCKETS = 4096
MAX_NAME = 1024
MAX_URL = 16 * 1024  # characters; a signed URL has some thousands
MAX_SIZE = 2**44  # bytes of an artifact; sums of a million such lies still fit 64 bits
MAX_BODY = 4 * 1024 * 1024  # bytes of a unit's canonical JSON

MAX_DIGESTS = 50  # of one artifact, beside its sha256
_HEX = re.compile(r"[0-9a-f]{2,1024}")
_DOTS = frozenset({"", ".", ".."})
_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\\")  # an empty, `.` or `..` segment; a backslash


class Artifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes under a relative `path` (unique within its unit).

    `sha256`: 64 lower-case hex digits, as upstream declares them; empty where it declares none:
    then the core downloads the bytes while planning, to name them. `size`: bytes, as upstream
    declares it, or None. `url`: absolute, where the bytes can be had. `within`: path of a sibling
    artifact that contains these very bytes; the content type's `extract` takes them out of it, and
    only if that fails is `url` asked. `digests`: others that upstream declares, in lower-case hex
    by algorithm (`md5`, `sha512`, as `hashlib` names them). They count where `sha256` is empty:
    bytes that are downloaded to be named must have them.
    """

    path: str
    sha256: str = ""
    size: int | None = None
    url: str = ""
    within: str = ""
    digests: Mapping[str, str] = {}


class Unit(msgspec.Struct, frozen=True):
    """One unit of content as a plugin declares it.

    `metadata`: plain JSON without floats; keys with a leading `_` are dropped.
    """

    type: str
    key: str
    metadata: dict[str, Any]
    artifacts: list[Artifact] = msgspec.field(default_factory=list)


class Group(msgspec.Struct, frozen=True):
    """A group that a source holds.

    `validator`: a text that changes whenever the group may have changed; None if only reading shows
    it. `listed`: only the source's own list names it, so that a missing page is no error.
    `refused`: the reason to keep out all of it (a rule that means the whole group): then it is not
    read, and its name stays this source's. `shared`: it joins a name that an earlier source owns; a
    key that both have is the owner's. `data`: any value that `declare` passes to `read`; it lives
    as long as the run reads the source, and is not recorded.
    """

    name: str
    validator: str | None = None
    listed: bool = False
    data: Any = None
    refused: str = ""
    shared: bool = False


class Page(msgspec.Struct, frozen=True, weakref=True):
    """A complete page of upstream.

    `url`: after redirects, the base of relative links. `validator`: changes whenever the body does.
    `media_type`: lower case, without parameters; `charset`: from the header, else utf-8. `headers`:
    names in lower case.
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
    """A unit as it is recorded: its canonical JSON is the body, whose sha256 is the digest."""

    artifacts: list[StoredArtifact]
    group: str
    key: str
    metadata: dict[str, Any]
    type: str


class IdentifiedUnit(msgspec.Struct, frozen=True):
    """A checked unit with its identity.

    `body` is the canonical JSON, `digest` its sha256, `unit` the declared unit.
    """

    digest: Digest
    body: bytes
    unit: Unit
    group: str

    @property
    def type(self) -> str:
        return self.unit.type

    @property
    def key(self) -> str:
        return self.unit.key

    @property
    def artifacts(self) -> list[Artifact]:
        return self.unit.artifacts


class RecordedUnit(Protocol):
    """A unit with the identity under which it is recorded; `body` may be empty: it is unknown."""

    @property
    def digest(self) -> Digest: ...

    @property
    def body(self) -> bytes: ...

    @property
    def unit(self) -> StoredUnit: ...


_MISSING: Final = object()
_BODY = msgspec.json.Decoder(StoredUnit)


def artifact_digest(artifact: Artifact | StoredArtifact) -> Digest:
    """Return the sha256 of an artifact that `identify` has checked."""
    return Digest(bytes.fromhex(artifact.sha256))


def stored_unit(body: bytes) -> StoredUnit:
    """Return the unit that a recorded body holds. Raises StateFault for a damaged one."""
    try:
        return _BODY.decode(body)
    except ValueError as error:
        raise StateFault(
            f"the recorded body of a unit is damaged: {error}",
            hint="restore the database from a backup",
        ) from None


def declared_size(unit: Unit | StoredUnit) -> int | None:
    """Return the declared bytes of all artifacts; None where no artifact declares a size."""
    sizes = [artifact.size for artifact in unit.artifacts if artifact.size is not None]
    return sum(sizes) if sizes else None


def check_unit(unit: Unit) -> None:
    """Check a unit as it is declared, when its artifacts may still lack a digest.

    Raises PluginFault naming the unit when its key, a path, a digest or its metadata is not what
    the contract asks for.
    """
    if not isinstance(unit, Unit):
        raise PluginFault(f"{unit!r:.80} is no unit", hint="Unit(type, key, metadata, artifacts)")
    _check_name(unit.key, "key", unit)
    _check_name(unit.type, "type", unit)
    if not isinstance(unit.artifacts, (list, tuple)):
        raise PluginFault(
            f"unit `{unit.key}` has artifacts that are no list: {type(unit.artifacts).__name__}",
            hint="a list of Artifact, also of a single one",
        )
    for artifact in unit.artifacts:
        _check_artifact(artifact, unit)
    if len({artifact.path for artifact in unit.artifacts}) != len(unit.artifacts):
        raise PluginFault(
            f"unit `{unit.key}` names one artifact path twice",
            hint="within a unit each artifact has a path of its own",
        )
    if not isinstance(unit.metadata, dict):
        raise PluginFault(
            f"unit `{unit.key}` has metadata that is no dictionary: {type(unit.metadata).__name__}",
            hint="plain JSON by name; `{}` where there is none",
        )
    stored = [value for name, value in unit.metadata.items() if not _passing(name, unit)]
    check_plain(stored, unit.key)


def identify(unit: Unit, group: str, recorded: RecordedUnit | None = None) -> IdentifiedUnit:
    """Check a unit where it enters the core, and return it with its identity.

    The identity is made of type, group, key, artifacts and metadata as declared. `recorded`: what
    may be the same unit, and then has been checked before; only what is no part of the identity is
    checked again. Raises PluginFault as `check_unit` does, and where an artifact has no digest.
    """
    if recorded is not None and recorded.body and _is_recorded(unit, group, recorded.unit):
        for artifact in unit.artifacts:
            _check_source(artifact, unit)
        return IdentifiedUnit(recorded.digest, recorded.body, unit, group)
    check_unit(unit)
    _check_name(group, "group", unit)
    unnamed = next((artifact.path for artifact in unit.artifacts if not artifact.sha256), None)
    if unnamed is not None:
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{unnamed}` has no sha256",
            hint="only what `read` and `sync` return may lack it, to be downloaded while planning",
        )
    artifacts = [
        StoredArtifact(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts
    ]
    if len(artifacts) > 1:
        artifacts.sort(key=lambda artifact: artifact.path)
    stored = StoredUnit(
        artifacts=artifacts,
        group=group,
        key=unit.key,
        metadata={name: value for name, value in unit.metadata.items() if not name.startswith("_")},
        type=unit.type,
    )
    body = _canonical_body(stored)
    return IdentifiedUnit(Digest.of(body), body, unit, group)


def _is_recorded(unit: Unit, group: str, stored: StoredUnit) -> bool:
    """Return True if the canonical JSON of a declared unit is that of the recorded one.

    False where that cannot be told from values of the very types that JSON has.
    """
    return (
        type(unit.key) is str
        and unit.key == stored.key
        and type(unit.type) is str
        and unit.type == stored.type
        and type(group) is str
        and group == stored.group
        and type(unit.artifacts) is list
        and _are_recorded(unit.artifacts, stored.artifacts)
        and type(unit.metadata) is dict
        and _is_same_metadata(unit.metadata, stored.metadata)
    )


def _are_recorded(artifacts: list[Artifact], stored: list[StoredArtifact]) -> bool:
    if len(artifacts) == len(stored) == 1:
        return _is_recorded_artifact(artifacts[0], stored[0])
    if len(artifacts) != len(stored):
        return False
    left = {artifact.path: artifact for artifact in stored}
    for artifact in artifacts:
        if not (type(artifact) is Artifact and type(artifact.path) is str):
            return False
        same = left.pop(artifact.path, None)
        if same is None or not _is_recorded_artifact(artifact, same):
            return False
    return True


def _is_recorded_artifact(artifact: Artifact, stored: StoredArtifact) -> bool:
    return (
        type(artifact) is Artifact
        and type(artifact.path) is str
        and artifact.path == stored.path
        and type(artifact.sha256) is str
        and artifact.sha256 == stored.sha256
        and artifact.size == stored.size
        and type(artifact.size) is type(stored.size)
    )


def _is_same_metadata(metadata: dict[str, Any], stored: dict[str, Any]) -> bool:
    left = len(stored)
    for name, value in metadata.items():
        if type(name) is not str:
            return False
        if name.startswith("_"):
            continue
        same = stored.get(name, _MISSING)
        if value is not same and not _is_same(value, same):
            return False
        left -= 1
    return left == 0


def _is_same(value: Any, stored: Any) -> bool:
    """Return True for equal plain data; `True` is no `1`, and a tuple no list."""
    kind = type(value)
    if kind is not type(stored):
        return False
    if kind is str:
        return bool(value == stored)
    if kind is dict:
        return len(value) == len(stored) and all(
            type(name) is str and name in stored and _is_same(item, stored[name])
            for name, item in value.items()
        )
    if kind is list:
        return len(value) == len(stored) and all(map(_is_same, value, stored))
    return bool(value == stored)


def is_usable_name(name: Any) -> bool:
    """Return True for a name of a group, key or type of a unit.

    That is a text of 1 to 1,024 printable characters.
    """
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


def safe_path(path: str) -> bool:
    """Return True for a relative path that stays below its folder.

    It has no empty, `.` or `..` segment, no backslash and no control character.
    """
    return len(path) <= MAX_NAME and path.isprintable() and not _leaves_its_folder(path)


def _leaves_its_folder(path: str) -> bool:
    if "/" not in path and "\\" not in path:  # a filename, as nearly all are
        return path in _DOTS
    return _UNSAFE.search(path) is not None


def bucket_of(group: str) -> int:
    """Return the bucket, of 4,096, that a group of a version belongs to."""
    return int.from_bytes(Digest.of(group.encode()).raw[:2], "big") % BUCKETS


def group_digest(units: Iterable[Digest]) -> Digest:
    """Return the digest of a group: of its sorted unit digests."""
    return Digest.of_value([str(unit) for unit in sorted(set(units))])


def bucket_digest(groups: Iterable[Digest]) -> Digest:
    """Return the digest of a bucket: of the sorted digests of its groups that hold a unit."""
    return Digest.of_value([str(group) for group in sorted(groups)])


def version_digest(buckets: Iterable[tuple[int, Digest]]) -> Digest:
    """Return the digest of a version: of its non-empty buckets by number (`[]` if none)."""
    return version_digest_of((number, digest.raw) for number, digest in buckets)


def version_digest_of(buckets: Iterable[tuple[int, bytes]]) -> Digest:
    """Return `version_digest` of rows: number and raw digest.

    A commit asks for it with 4,096 of them, whatever it changed: the canonical JSON is written as
    it is, without an object for each.
    """
    rows = [f'[{number},"sha256:{raw.hex()}"]' for number, raw in sorted(buckets)]
    return Digest.of(f"[{','.join(rows)}]".encode())


EMPTY_VERSION = version_digest([])


def _check_name(name: str, what: str, unit: Unit) -> None:
    if not is_usable_name(name):
        raise PluginFault(
            f"unit {unit.key!r:.80} has an unusable {what}: {name!r:.80}",
            hint="1 to 1,024 printable characters",
        )


def _check_artifact(artifact: Artifact, unit: Unit) -> None:
    if (
        not isinstance(artifact, Artifact)
        or not isinstance(artifact.path, str)
        or not safe_path(artifact.path)
    ):
        raise PluginFault(
            f"unit `{unit.key}` has an unsafe artifact path:"
            f" {getattr(artifact, 'path', artifact)!r:.80}",
            hint="relative, without empty, `.` or `..` segments, backslashes, control characters",
        )
    if artifact.sha256 != "" and not (
        isinstance(artifact.sha256, str) and is_hex_digest(artifact.sha256)
    ):
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{artifact.path}` has a sha256 that is not 64 lower-case"
            f" hex digits: {artifact.sha256!r:.80}",
            hint="as `hashlib.sha256(...).hexdigest()` writes it; empty if it is not known",
        )
    if artifact.size is not None and not (
        type(artifact.size) is int and 0 <= artifact.size <= MAX_SIZE
    ):
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{artifact.path}` has a size that is no number of bytes:"
            f" {artifact.size!r:.80}",
            hint="a whole number, not negative, or None if unknown",
        )
    _check_source(artifact, unit)


def _check_source(artifact: Artifact, unit: Unit) -> None:
    """Check what an artifact says beside its identity: where it comes from."""
    if artifact.digests:
        _check_digests(artifact, unit)
    if not (isinstance(artifact.url, str) and isinstance(artifact.within, str)):
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{artifact.path}` has a URL that is no text",
            hint="the text of an absolute URL; empty if it has none",
        )
    if (
        not (artifact.url.isprintable() and artifact.within.isprintable())
        or max(len(artifact.url), len(artifact.within)) > MAX_URL
    ):
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{artifact.path}` has an unusable URL:"
            f" {artifact.url!r:.80}",
            hint="percent-encode it",
        )
    if artifact.url and "://" not in artifact.url:
        place = f"unit `{unit.key}`: artifact `{artifact.path}`"
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", artifact.url):
            raise PluginFault(f"{place}: {artifact.url!r:.80} is no URL that can be asked")
        raise PluginFault(
            f"{place} has a relative URL: {artifact.url!r:.80}",
            hint="join it with the URL of its page: urljoin(page.url, url)",
        )


def _check_digests(artifact: Artifact, unit: Unit) -> None:
    if not isinstance(artifact.digests, Mapping) or len(artifact.digests) > MAX_DIGESTS:
        raise PluginFault(
            f"unit `{unit.key}`: artifact `{artifact.path}` has digests that are no mapping:"
            f" {artifact.digests!r:.80}",
            hint='{"sha512": "<lower-case hex>"}',
        )
    for algorithm, digest in artifact.digests.items():
        if (
            not isinstance(algorithm, str)
            or not isinstance(digest, str)
            or _HEX.fullmatch(digest) is None
        ):
            raise PluginFault(
                f"unit `{unit.key}`: artifact `{artifact.path}` has a digest that is not lower-case"
                f" hex under the name of its algorithm: {algorithm!r:.40}, {digest!r:.80}",
                hint='{"sha512": "<lower-case hex>"}',
            )


def _passing(name: Any, unit: Unit) -> bool:
    """Return True for a key of metadata that is not stored."""
    if not isinstance(name, str):
        raise PluginFault(
            f"unit `{unit.key}` has metadata under {name!r:.80}, which is no text",
            hint="keys of JSON are texts: str(key)",
        )
    return name.startswith("_")


def _canonical_body(stored: StoredUnit) -> bytes:
    try:
        body = canonical(stored)
    except (
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # a lone surrogate, a subclass of a text, a key within that is no text
        raise PluginFault(
            f"unit `{stored.key}` has metadata that is not plain JSON: {exception_message(error)}",
            hint="texts, whole numbers, booleans, None, lists and mappings",
        ) from None
    if len(body) > MAX_BODY:
        raise PluginFault(
            f"unit `{stored.key}` has {len(body):,} bytes of metadata",
            hint=f"at most {MAX_BODY:,}: make the rest an artifact",
        )
    return body
