"""Distribution files of the synthetic index: text deflated, random payload stored, as real ones end
up.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sdist", "wheel", "egg"]
MOMENT = (2024, 1, 1, 0, 0, 0)
SECONDS = 1_704_067_200  # the same moment


@dataclass(frozen=True, slots=True)
class Built:
    filename: str
    kind: Kind
    content: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()


def build(
    kind: Kind,
    name: str,
    version: str,
    tag: str,
    payload: bytes,
    *,
    requires_python: str,
    requires: Sequence[str],
    text: str,
) -> Built:
    """Build one file. `tag`: `python-abi-platform` of a wheel, the Python of an egg, else empty."""
    module = name.lower().replace("-", "_").replace(".", "_")
    metadata = _metadata(name, version, requires_python, requires=requires, text=text)
    stem = f"{module}-{version}"
    if kind == "sdist":
        return Built(
            f"{stem}.tar.gz",
            kind,
            _sdist(
                stem,
                {"PKG-INFO": metadata, f"{module}/__init__.py": b"", f"{module}/data.bin": payload},
            ),
            metadata,
        )
    if kind == "egg":
        return Built(
            f"{stem}-{tag}.egg",
            kind,
            _zip({"EGG-INFO/PKG-INFO": metadata, f"{module}/data.bin": payload}),
            metadata,
        )
    return Built(
        f"{stem}-{tag}.whl",
        kind,
        _wheel(module, version, tag, payload=payload, metadata=metadata),
        metadata,
    )


def _metadata(
    name: str, version: str, requires_python: str, *, requires: Sequence[str], text: str
) -> bytes:
    """Core metadata 2.1 with a description, as long as real ones are."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Summary: A synthetic project",
        "Author: Nobody",
        "License: MIT",
    ]
    lines += [
        f"Requires-Python: {requires_python}",
        *(f"Requires-Dist: {requirement}" for requirement in requires),
    ]
    lines += [
        "Provides-Extra: test",
        "Requires-Dist: pytest ; extra == 'test'",
        "Description-Content-Type: text/plain",
        "",
        text,
        "",
    ]
    return "\n".join(lines).encode()


def _wheel(module: str, version: str, tag: str, *, payload: bytes, metadata: bytes) -> bytes:
    info = f"{module}-{version}.dist-info"
    python, abi, platforms = tag.split("-")
    tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
    wheel = (
        "Wheel-Version: 1.0\nGenerator: synthetic\nRoot-Is-Purelib:"
        f" {'true' if platforms == 'any' else 'false'}\n{tags}"
    )
    members = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        f"{module}/data.bin": payload,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": wheel.encode(),
    }
    record = "".join(
        f"{path},sha256={_urlsafe(data)},{len(data)}\n" for path, data in members.items()
    )
    return _zip({**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()})


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in members.items():
            member = zipfile.ZipInfo(path, MOMENT)
            member.external_attr = 0o644 << 16
            archive.writestr(
                member, data, zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def _sdist(top: str, members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 1, buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, data in {
            **members,
            "pyproject.toml": (
                b'[build-system]\nrequires = ["setuptools"]\nbuild-backend ='
                b' "setuptools.build_meta"\n'
            ),
        }.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size, member.mtime = len(data), SECONDS
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
