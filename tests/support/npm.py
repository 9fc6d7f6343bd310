"""Packages of npm, packuments of a registry, and npm itself with a configuration of its own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from tests.support.requirements import skip_or_fail


def tarball(name: str, version: str, **manifest: Any) -> bytes:
    """A package of one file, the same bytes for the same arguments."""
    files = {
        "package.json": json.dumps({"name": name, "version": version, **manifest}).encode(),
        "index.js": f"module.exports = '{name} {version}'\n".encode(),
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, body in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return gzip.compress(raw.getvalue(), mtime=0)


def integrity(body: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(body).digest()).decode()}"


def version(name: str, number: str, **manifest: Any) -> dict[str, Any]:
    """A version as a packument has it, with a URL relative to its host."""
    body = tarball(name, number, **manifest)
    dist = {
        "tarball": f"/{name}/-/{number}.tgz",
        "integrity": integrity(body),
        "shasum": hashlib.sha1(body).hexdigest(),
    }
    return {"name": name, "version": number, **manifest, "dist": dist}


def packument(name: str, *versions: dict[str, Any], **tags: str) -> dict[str, Any]:
    numbers = [each["version"] for each in versions]
    return {
        "name": name,
        "dist-tags": {"latest": numbers[-1], **tags},
        "versions": dict(zip(numbers, versions, strict=True)),
        "time": dict.fromkeys(numbers, "2026-01-05T10:00:00.000Z"),
    }


def registry(*packuments: dict[str, Any]) -> dict[str, bytes]:
    """The pages of a registry, by path."""
    pages = {}
    for each in packuments:
        name = each["name"]
        pages[name] = json.dumps(each).encode()
        for number, said in each["versions"].items():
            manifest = {k: v for k, v in said.items() if k not in {"dist", "deprecated"}}
            pages[f"{name}/-/{number}.tgz"] = tarball(**{**manifest, "version": number})
    return pages


class Npm:
    """npm in a folder, which holds its cache, its configuration and what it installs."""

    def __init__(self, folder: Path, registry: str, token: str = "") -> None:
        if shutil.which("npm") is None:
            message = "npm is not here: apt-get install --no-install-recommends npm"
            skip_or_fail(message)
        self.folder, self.registry = folder, registry
        folder.mkdir()
        host = registry.partition(":")[2]
        (folder / "npmrc").write_text(f"{host}:_authToken={token}\n" if token else "")

    def run(self, *words: str, folder: Path | None = None, code: int = 0) -> str:
        """Run a command that ends with `code`, and return all that it printed."""
        home = self.folder
        options = {
            "registry": self.registry,
            "cache": home / "cache",
            "userconfig": home / "npmrc",
            "globalconfig": home / "globalrc",
            "prefix": folder or home,
        }
        command = ["npm", *words, *(f"--{name}={value}" for name, value in options.items())]
        flags = ["--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0"]
        environment = {k: v for k, v in os.environ.items() if not k.lower().startswith("npm_")}
        done = subprocess.run(
            [*command, *flags],
            cwd=folder or home,
            env=environment | {"HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr
