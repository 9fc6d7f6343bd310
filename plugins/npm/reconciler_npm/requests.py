"""Requests of npm: `publish`, `deprecate`, `unpublish`, `dist-tag`.

All but the last come as a packument that says how the package shall be.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.plugin import (
    Answer,
    Artifact,
    Gone,
    GroupedUnit,
    Options,
    ReceiveConduit,
    Received,
    ReceivedRequest,
    Refused,
    StoredUnit,
    Unit,
    UploadedFile,
)
from reconciler_npm.names import is_name, is_tag
from reconciler_npm.packuments import PACKAGE
from reconciler_npm.tarballs import decode

__all__ = ["received"]

_TAGS = re.compile(r"-/package/(?P<name>.+)/dist-tags/(?P<tag>[^/]+)")
_REVISION = re.compile(r"(?P<path>.+)/-rev/[^/]+")
_FILE = re.compile(r"(?P<name>.+?)/-/[^/]+\.tgz")
DONE = Answer(201, b'{"ok":true}', "application/json")


@dataclass(frozen=True, slots=True)
class _Package:
    """The package that a request is about, as the repository holds it."""

    name: str
    conduit: ReceiveConduit[Options]

    @property
    def units(self) -> list[StoredUnit]:
        return self.conduit.units(self.name)

    def unit(self, version: str) -> StoredUnit:
        for unit in self.units:
            if unit.metadata["version"] == version:
                return unit
        raise Gone(f"there is no {self.name}@{version[:100]}")


def received(conduit: ReceiveConduit[Options], request: ReceivedRequest) -> Received:
    """Return what a request of npm changes. Raises Gone for a path that is none of its."""
    path, method = request.path, request.method
    if match := _TAGS.fullmatch(path):
        package = _package(match["name"], conduit)
        version = _document(request, str) if method == "PUT" else None
        return Received(_tagged(package, match["tag"], version), answer=DONE)
    if match := _REVISION.fullmatch(path):
        path = match["path"]
        if match := _FILE.fullmatch(path):
            return Received(answer=DONE)  # it left with its version, of which npm spoke before
        package = _package(path, conduit)
        return _reduced(package, set() if method == "DELETE" else _versions(request).keys())
    if method == "PUT":
        return _published(_package(path, conduit), request)
    raise Gone("npm removes nothing by such a path")


def _package(name: str, conduit: ReceiveConduit[Options]) -> _Package:
    if not is_name(name):
        raise Refused(f"{name[:80]!r} cannot be the name of a package")
    return _Package(name, conduit)


def _document(request: ReceivedRequest, kind: type[Any]) -> Any:
    body = decode(request.files[0].path.read_bytes(), "the request") if request.files else None
    if not isinstance(body, kind):
        raise Refused("the request is not what npm sends")
    return body


def _versions(request: ReceivedRequest) -> dict[str, Any]:
    return _mapping(_document(request, dict), "versions")


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    mapping = document.get(key, {})
    if not isinstance(mapping, dict):
        raise Refused(f"`{key}` of the request is no mapping")
    return mapping


def _published(package: _Package, request: ReceivedRequest) -> Received:
    document = _document(request, dict)
    attachments = _mapping(document, "_attachments")
    if not attachments:
        return Received(_deprecated(package, _mapping(document, "versions")), answer=DONE)
    if len(attachments) > 1:
        raise Refused(
            "a request publishes one file, and no provenance with it",
            hint="leave `--provenance` out",
        )
    [file] = [_file(package.conduit, *item) for item in attachments.items()]
    tags = list(_mapping(document, "dist-tags")) or ["latest"]
    [(name, unit)] = package.conduit.to_importer(file, {"tag": tags[0]})
    if name != package.name:
        raise Refused(f"the tarball is `{unit.key}`, and the request is about `{package.name}`")
    _check(unit, document)
    moved = _without_tag(package, tags[0], unit.key)
    return Received([(name, unit), *moved], answer=DONE)


def _file(conduit: ReceiveConduit[Options], name: str, attached: Any) -> UploadedFile:
    try:
        body = base64.b64decode(attached["data"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise Refused("an attachment holds no `data` in Base64") from None
    return conduit.add_file(name.rpartition("/")[2], body)


def _check(unit: Unit, document: Mapping[str, Any]) -> None:
    """Refuse a file that is another than the one of which the request speaks."""
    said = _mapping(document, "versions").get(unit.metadata["version"])
    if not isinstance(said, dict):
        raise Refused(f"the tarball is `{unit.key}`, and the request is about another version")
    integrity = _mapping(said, "dist").get("integrity")
    if integrity not in (None, unit.metadata["dist"]["integrity"]):
        raise Refused("the tarball has not the `integrity` that the request says")


def _deprecated(package: _Package, versions: Mapping[str, Any]) -> Iterable[GroupedUnit]:
    """Yield the versions whose notice of deprecation differs; `npm deprecate` sends all."""
    for unit in package.units:
        said = versions.get(unit.metadata["version"])
        notice = said.get("deprecated") if isinstance(said, dict) else None
        manifest = {k: v for k, v in unit.metadata["manifest"].items() if k != "deprecated"}
        if isinstance(notice, str) and notice:
            manifest["deprecated"] = notice
        if manifest != unit.metadata["manifest"]:
            yield package.name, _changed(unit, manifest=manifest)


def _reduced(package: _Package, kept: Iterable[str]) -> Received:
    removed = [unit for unit in package.units if unit.metadata["version"] not in set(kept)]
    if not package.units:
        raise Gone(f"there is no {package.name}")
    return Received(removed=removed, answer=DONE)


def _tagged(package: _Package, tag: str, version: str | None) -> Iterable[GroupedUnit]:
    """Return the versions that a tag comes to or leaves."""
    if not is_tag(tag):
        raise Refused(f"{tag[:80]!r} cannot be a tag")
    if version is None:
        return _without_tag(package, tag, "")
    unit = package.unit(version)
    tags = sorted({*unit.metadata["tags"], tag})
    return [(package.name, _changed(unit, tags=tags)), *_without_tag(package, tag, unit.key)]


def _without_tag(package: _Package, tag: str, key: str) -> list[GroupedUnit]:
    """Return all versions but one that have a tag, without it."""
    return [
        (package.name, _changed(unit, tags=[each for each in unit.metadata["tags"] if each != tag]))
        for unit in package.units
        if unit.key != key and tag in unit.metadata["tags"]
    ]


def _changed(unit: StoredUnit, **metadata: Any) -> Unit:
    files = [Artifact(file.path, file.sha256, file.size) for file in unit.artifacts]
    return Unit(PACKAGE, unit.key, {**unit.metadata, **metadata}, files)
