"""Tarballs: the `package.json` in each, and its digests."""

from __future__ import annotations

import base64
import gzip
import hashlib
import tarfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from reconciler.plugin import Refused

__all__ = ["Tarball", "decode", "read_tarball"]

LARGEST_MANIFEST = 1 << 20
LARGEST_CONTENT = 1 << 31
_SCRIPTS = {"preinstall", "install", "postinstall"}
_DECODER = msgspec.json.Decoder(float_hook=str)


class Tarball(msgspec.Struct, frozen=True):
    """A package's file: its manifest, and what a registry says of the bytes (`dist`)."""

    manifest: dict[str, Any]
    dist: dict[str, Any]


class _Bounded:
    """A stream that ends a tarball which unpacks to more than any package holds."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.left = stream, LARGEST_CONTENT

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise Refused("it unpacks to more than 2 GiB")
        return data


def decode(body: bytes, where: str) -> Any:
    """Return what JSON says, with floats as text. Raises Refused where it is none."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(f"{where} is not JSON") from None


def read_tarball(path: Path) -> Tarball:
    """Return what a tarball says. Raises Refused where it is none, or has no manifest."""
    try:
        manifest, count, size, names = _walk(path)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError):
        raise Refused("it is not a tarball packed by gzip") from None
    if not isinstance(manifest, dict):
        raise Refused("it holds no `package.json` that describes a package")
    return Tarball(
        _described(manifest, names), _digests(path) | {"fileCount": count, "unpackedSize": size}
    )


def _walk(path: Path) -> tuple[Any, int, int, set[str]]:
    manifest, count, size, names = None, 0, 0, set()
    with gzip.open(path) as stream, tarfile.open(fileobj=_Bounded(stream), mode="r|") as archive:  # type: ignore[call-overload, arg-type]
        for member in archive:
            name = member.name.removeprefix("./").partition("/")[2]
            if not member.isfile():
                continue
            count, size = count + 1, size + member.size
            if name in {"binding.gyp", "npm-shrinkwrap.json"}:
                names.add(name)
            elif name == "package.json" and member.size <= LARGEST_MANIFEST:
                file = archive.extractfile(member)
                manifest = decode(file.read() if file else b"", "its `package.json`")
    return manifest, count, size, names


def _described(manifest: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a manifest with what registries add for those who resolve."""
    scripts, program = manifest.get("scripts"), manifest.get("bin")
    described = dict(manifest)
    described["hasInstallScript"] = "binding.gyp" in names or (
        isinstance(scripts, dict) and not _SCRIPTS.isdisjoint(scripts)
    )
    described["_hasShrinkwrap"] = "npm-shrinkwrap.json" in names
    described.pop("deprecated", None)
    if isinstance(program, str):
        described["bin"] = {str(manifest.get("name")).rpartition("/")[2]: program}
    return described


def _digests(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha512 = hashlib.file_digest(file, "sha512").digest()
        file.seek(0)
        shasum = hashlib.file_digest(file, "sha1").hexdigest()
    return {"integrity": f"sha512-{base64.b64encode(sha512).decode()}", "shasum": shasum}
