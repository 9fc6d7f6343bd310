"""Distributions built in memory: minimal, valid and deterministic, so that real clients install
them and digests can be pinned.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

_EPOCH = (2026, 1, 2, 3, 4, 6)


@dataclass(frozen=True)
class Built:
    """A distribution file. `metadata`: its core metadata, byte for byte as it stands inside."""

    filename: str
    content: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()


def core_metadata(
    name: str, version: str, *, requires_python: str = "", requires: Sequence[str] = ()
) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def build_wheel(
    name: str,
    version: str,
    *,
    tag: str = "py3-none-any",
    requires_python: str = "",
    requires: Sequence[str] = (),
    padding: bytes = b"",
) -> Built:
    """A wheel with one module, `<name>.py`, whose `VERSION` is the version. `padding`: bytes of one
    more file in it.
    """
    module = name.replace("-", "_").replace(".", "_").lower()
    metadata = core_metadata(name, version, requires_python=requires_python, requires=requires)
    info = f"{module}-{version}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    members = {
        f"{module}.py": f'VERSION = "{version}"\n'.encode(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": wheel,
    }
    if padding:
        members[f"{module}_data.bin"] = padding
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    return Built(f"{module}-{version}-{tag}.whl", zipped(members), metadata)


def build_sdist(name: str, version: str) -> Built:
    """A `.tar.gz` with a PKG-INFO and a pyproject.toml that names no build dependency."""
    metadata = core_metadata(name, version)
    top = f"{name.replace('-', '_').lower()}-{version}"
    return Built(
        f"{top}.tar.gz",
        _tarred(
            {
                f"{top}/PKG-INFO": metadata,
                f"{top}/pyproject.toml": b"[build-system]\nrequires = []\n",
            }
        ),
        metadata,
    )


def build_egg(name: str, version: str, *, python: str = "2.7") -> Built:
    metadata = core_metadata(name, version)
    return Built(
        f"{name.replace('-', '_')}-{version}-py{python}.egg",
        zipped({"EGG-INFO/PKG-INFO": metadata}),
        metadata,
    )


def zipped(
    members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    """A zip file with these members, in this order, all from the same moment."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for path, content in members.items():
            info = zipfile.ZipInfo(path, _EPOCH)
            info.compress_type = compression
            archive.writestr(info, content)
    return buffer.getvalue()


def _record(members: dict[str, bytes], own: str) -> bytes:
    lines = [
        f"{path},sha256={_record_digest(content)},{len(content)}"
        for path, content in members.items()
    ]
    return ("\n".join([*lines, f"{own},,"]) + "\n").encode()


def _record_digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path, content in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    stamped = bytearray(buffer.getvalue())
    stamped[4:8] = bytes(4)  # gzip writes the time of the day here
    return bytes(stamped)
