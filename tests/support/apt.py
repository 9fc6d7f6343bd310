"""Apt repositories for tests: packages and archives made of plain values, and the real client."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import md5, sha256
from pathlib import Path

from tests.support.requirements import skip_or_fail

APT_LINE = "apt-get install apt-utils gnupg gpgv debmirror reprepro aptly"
DATE = "Mon, 05 Jan 2026 10:00:00 UTC"


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    "": bytes,
}


def tools(*names: str) -> None:
    """Skip a test where one of these programs is missing; with `CI` set it fails instead."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        text = f"{', '.join(missing)} not found: {APT_LINE}"
        skip_or_fail(text)


def control(name: str, version: str = "1.0", architecture: str = "amd64", **fields: str) -> str:
    """A control file. Names of fields with `_` for `-`."""
    own = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "A <a@example.org>",
        **{key.replace("_", "-"): value for key, value in fields.items()},
        "Description": f"The {name}\n with more\n .\n to say",
    }
    return "".join(f"{key}: {value}\n" for key, value in own.items())


@cache
def deb(text: str, ending: str = ".xz", *, data: bytes = b"") -> bytes:
    """A `.deb` with this control file."""
    pack = PACKERS[ending]
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{ending}": pack(tar({"./control": text.encode()})),
        f"data.tar{ending}": pack(tar({"./usr/share/doc/x": data})),
    }
    return ar(members)


def ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive."""
    out = b"!<arch>\n"
    for name, body in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
        out += body + (b"\n" if len(body) % 2 else b"")
    return out


def tar(files: Mapping[str, bytes]) -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def paragraph(text: str, body: bytes, path: str) -> str:
    """The paragraph of a package in an index."""
    head, _, description = text.partition("Description:")
    own = f"Filename: {path}\nSize: {len(body)}\nSHA256: {sha256(body).hexdigest()}\n"
    return f"{head}{own}Description:{description}"


def archive(
    packages: Iterable[str],
    *,
    suite: str = "stable",
    date: str = DATE,
    by_hash: bool = True,
    valid_until: str = "",
    component: str = "main",
    architectures: Sequence[str] = ("amd64",),
) -> dict[str, bytes]:
    """The files of an unsigned archive whose packages have these control files, by path."""
    files: dict[str, bytes] = {}
    paragraphs: dict[str, list[str]] = {name: [] for name in architectures}
    for text in packages:
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        name, version, own = (fields[key] for key in ("Package", "Version", "Architecture"))
        path = f"pool/{name}/{name}_{version.partition(':')[2] or version}_{own}.deb"
        files[path] = deb(text)
        for architecture in architectures if own == "all" else (own,):
            paragraphs[architecture].append(paragraph(text, files[path], path))
    indexes: dict[str, bytes] = {}
    for architecture, texts in paragraphs.items():
        body = "\n".join(texts).encode()
        index = f"{component}/binary-{architecture}/Packages"
        indexes |= {index: body, f"{index}.gz": gzip.compress(body, mtime=0)}
    release = release_text(
        indexes,
        Suite=suite,
        Date=date,
        Architectures=" ".join(architectures),
        Components=component,
        **({"Acquire-By-Hash": "yes"} if by_hash else {}),
        **({"Valid-Until": valid_until} if valid_until else {}),
    )
    folder = f"dists/{suite}"
    files |= {f"{folder}/{path}": body for path, body in indexes.items()}
    if by_hash:
        files |= {f"{folder}/{hash_path(path, body)}": body for path, body in indexes.items()}
    files[f"{folder}/Release"] = release
    return files


def odd_archive(folder: Path) -> Mapping[str, bytes]:
    """An unsigned archive with names that a URL could change, and a source package.

    Returns the files of the packages by the names under which apt keeps them.
    """
    files: dict[str, bytes] = {}
    paragraphs = []
    for name, path in {
        "percent": "pool/percent_1%3a2~rc1+b2_amd64.deb",
        "colon": "pool/c++/colon_1:2~rc1+b2_amd64.deb",
    }.items():
        text = control(name, "1:2~rc1+b2")
        files[path] = deb(text)
        paragraphs.append(paragraph(text, files[path], path))
    sources = {"own_1.tar.gz": b"tar"}
    sources["own_1.dsc"] = _source("Source: own", sources).encode()
    indexes = {
        "main/binary-amd64/Packages": "\n".join(paragraphs).encode(),
        "main/source/Sources": f"{_source('Package: own', sources)}Directory: pool/own\n".encode(),
    }
    release = release_text(
        indexes, Suite="stable", Date=DATE, Architectures="amd64", Components="main"
    )
    lying = {f"pool/own/{name}": body for name, body in sources.items()}
    lists = {f"dists/stable/{path}": body for path, body in indexes.items()}
    for path, body in {**files, **lying, **lists, "dists/stable/Release": release}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    kept = {path.rpartition("/")[2].replace(":", "%3a"): body for path, body in files.items()}
    return {**kept, **sources}


def _source(first: str, files: Mapping[str, bytes]) -> str:
    """The paragraph of a source package with these files."""
    lines = [first, "Binary: own", "Version: 1", "Architecture: any", "Format: 3.0 (native)"]
    for field, digest in (("Files", md5), ("Checksums-Sha256", sha256)):
        lines.append(f"{field}:")
        lines += [f" {digest(body).hexdigest()} {len(body)} {name}" for name, body in files.items()]
    return "\n".join([*lines, "Maintainer: A <a@example.org>"]) + "\n"


def hash_path(path: str, body: bytes) -> str:
    return f"{path.rpartition('/')[0]}/by-hash/SHA256/{sha256(body).hexdigest()}"


def release_text(indexes: Mapping[str, bytes], **fields: str) -> bytes:
    """A Release file that lists these indexes."""
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines.append("SHA256:")
    lines += [f" {sha256(body).hexdigest()} {len(body)} {path}" for path, body in indexes.items()]
    return ("\n".join(lines) + "\n").encode()


class AptClient:
    """The real apt, with a configuration and a state of its own below `folder`."""

    def __init__(self, folder: Path, line: str, architecture: str = "amd64") -> None:
        self.folder = folder
        folders = ("state/lists/partial", "cache/archives/partial")
        for path in (*folders, "etc/apt.conf.d", "etc/preferences.d"):
            (folder / path).mkdir(parents=True)
        (folder / "state/status").touch()
        (folder / "etc/sources.list").write_text(f"{line}\n")
        (folder / "apt.conf").write_text(
            f'Dir "{folder}";\nDir::Etc "{folder}/etc";\n'
            f'Dir::Etc::sourceparts "/dev/null";\nDir::Etc::trustedparts "/dev/null";\n'
            f'Dir::State "{folder}/state";\nDir::State::status "{folder}/state/status";\n'
            f'Dir::Cache "{folder}/cache";\nAPT::Architecture "{architecture}";\n'
            f'APT::Architectures {{"{architecture}";}};\nAPT::Sandbox::User "";\n'
            'Acquire::Languages "none";\nAcquire::Retries "0";\n'
        )

    def run(self, *words: str) -> str:
        """Run a program of apt. Fails with its output where it fails, or where it warns."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "\nW: " not in f"\n{done.stderr}", output
        return output

    def downloaded(self) -> dict[str, bytes]:
        """The packages that it has downloaded, by its own names for them."""
        return {
            path.name: path.read_bytes() for path in (self.folder / "cache/archives").glob("*.deb")
        }
