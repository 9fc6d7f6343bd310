"""Packuments of upstream: each version becomes a unit, or is refused by name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from reconciler.plugin import Artifact, Malformed, Unit
from reconciler_npm.names import file_name, is_tag, is_version, unit_key

__all__ = ["PACKAGE", "kept_manifest", "package_unit", "packument_units"]

PACKAGE = "npm.package"

# What npm resolves with, and what people read; everything else of a manifest is its registry's.
KEPT = frozenset(
    [
        "_hasShrinkwrap",
        "acceptDependencies",
        "author",
        "bin",
        "bugs",
        "bundleDependencies",
        "bundledDependencies",
        "contributors",
        "cpu",
        "dependencies",
        "deprecated",
        "description",
        "devDependencies",
        "directories",
        "engines",
        "exports",
        "funding",
        "hasInstallScript",
        "homepage",
        "keywords",
        "libc",
        "license",
        "main",
        "module",
        "optionalDependencies",
        "os",
        "peerDependencies",
        "peerDependenciesMeta",
        "repository",
        "type",
        "types",
    ]
)
DIST = frozenset(["fileCount", "integrity", "shasum", "signatures", "unpackedSize"])
_SHA1 = re.compile(r"[0-9a-f]{40}")


def packument_units(
    name: str, packument: Any, base: str, *, refuse: Callable[[str, str], None]
) -> list[Unit]:
    """Return the versions of a package; `refuse` is told of each that cannot become a unit.

    `base`: where the packument lies.
    """
    if not isinstance(packument, dict) or not isinstance(packument.get("versions"), dict):
        raise Malformed(f"{base}: not a packument: it has no `versions`")
    if packument.get("name", name) != name:
        raise Malformed(f"{base}: the packument of another package than `{name}`")
    tags, times, units = _tags(packument.get("dist-tags")), packument.get("time"), []
    for version, manifest in packument["versions"].items():
        try:
            unit = _listed_unit(name, version, manifest, base=base)
            published = _moment(times.get(version) if isinstance(times, dict) else None)
        except ValueError as error:
            refuse(ascii(unit_key(name, version))[1:-1][:200], str(error))
        else:
            dated = {} if published is None else {"published": published}
            metadata = {**unit.metadata, "tags": sorted(tags.get(version, ())), **dated}
            units.append(msgspec.structs.replace(unit, metadata=metadata))
    return units


def package_unit(
    name: str, version: str, manifest: Mapping[str, Any], *, dist: Mapping[str, Any], file: Artifact
) -> Unit:
    """Return the unit of a version, whether a registry lists it or a client sent it."""
    metadata = {
        "version": version,
        "manifest": kept_manifest(manifest),
        "dist": {key: dist[key] for key in sorted(DIST & dist.keys())},
        "tags": [],
    }
    return Unit(PACKAGE, unit_key(name, version), metadata, [file])


def kept_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a manifest; not what says nothing, such as `deprecated: false`."""
    return {
        key: manifest[key]
        for key in sorted(KEPT & manifest.keys())
        if manifest[key] not in (None, False, "")
    }


def _listed_unit(name: str, version: str, manifest: Any, *, base: str) -> Unit:
    if not is_version(version):
        raise ValueError("not a version of semver")
    dist = manifest.get("dist") if isinstance(manifest, dict) else None
    if not isinstance(dist, dict):
        raise ValueError("its manifest has no `dist`")
    if (manifest.get("name"), manifest.get("version")) != (name, version):
        raise ValueError("its manifest is of something else")
    url, digests = _tarball(dist.get("tarball"), base), _digests(dist)
    file = Artifact(file_name(name, version), url=url, digests=digests)
    return package_unit(name, version, manifest, dist=dist, file=file)


def _digests(dist: Mapping[str, Any]) -> dict[str, str]:
    """Return the strongest digest that a registry declares. Raises ValueError for none."""
    for word in str(dist.get("integrity", "")).split():
        algorithm, _, value = word.partition("-")
        if algorithm == "sha512":
            try:
                digest = base64.b64decode(value.partition("?")[0], validate=True)
            except binascii.Error:
                raise ValueError("its `integrity` cannot be read") from None
            if len(digest) != 64:
                raise ValueError("its `integrity` has not the length of a sha512")
            return {"sha512": digest.hex()}
    shasum = dist.get("shasum")
    if isinstance(shasum, str) and _SHA1.fullmatch(shasum):
        return {"sha1": shasum}
    raise ValueError("it has neither a sha512 as `integrity` nor a `shasum`")


def _tarball(url: Any, base: str) -> str:
    if not isinstance(url, str):
        raise ValueError("it has no `tarball`")
    joined = urljoin(base, url)
    if urlsplit(joined).scheme not in {"http", "https"}:
        raise ValueError("its `tarball` is no URL of HTTP")
    return joined


def _tags(said: Any) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {}
    for tag, version in said.items() if isinstance(said, dict) else ():
        if is_tag(tag) and isinstance(version, str):
            tags.setdefault(version, []).append(tag)
    return tags


def _moment(text: Any) -> str | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    if not 1970 <= moment.year < 3000:
        raise ValueError("its time cannot be true")
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).isoformat()
