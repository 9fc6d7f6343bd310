"""Units: a binary package or a source package in one suite, as its paragraph describes it.

type      `deb.package` or `deb.source`
group     the package's name
key       `<suite>/<name>_<version>_<architecture>`
metadata  suite, component, version, architecture, and `paragraph`: the text as upstream has it,
          in its order and spelling, so that an index shows it again byte for byte
artifacts the files under the paths that the archive has for them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

from reconciler.plugin import Artifact, Malformed, Unit, safe_path, sanitize
from reconciler_deb.control.paragraphs import first_field, paragraph_text, read_fields
from reconciler_deb.control.relations import PACKAGE_NAME
from reconciler_deb.control.versions import is_version
from reconciler_deb.reading.index_files import ALL, SOURCE
from reconciler_deb.reading.listings import Entry

PACKAGE: Final = "deb.package"
SOURCE_PACKAGE: Final = "deb.source"

Refuse = Callable[[str, str], None]

_DIGESTS: Final = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_SIZE = re.compile(r"[0-9]{1,13}")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_UNRESERVED: Final = "/~!$&'()*,;=@"  # everything else is percent-encoded, `+` and `%` included


def listed_units(name: str, entries: Iterable[Entry], base: str, *, refuse: Refuse) -> list[Unit]:
    """Return the units of one package; what cannot become one is refused by its key."""
    units: dict[str, Unit] = {}
    for entry in entries:
        try:
            unit = _unit(name, entry, base)
        except Malformed as error:
            refuse(_key_of(name, entry), str(error))
            continue
        if unit is None:
            continue
        before = units.setdefault(f"{unit.type}:{unit.key}", unit)
        if before != unit:
            refuse(unit.key, f"is listed a second time, in `{entry.component}`, with other facts")
    return list(units.values())


def unit_key(suite: str, name: str, version: str, *, architecture: str) -> str:
    """Return the key of a unit."""
    return f"{suite}/{name}_{version}_{architecture}"


def fetch_url(base: str, path: str) -> str:
    """Return the URL of a file of an archive, whose own ends in a slash.

    What a safe path says is meant literally.
    """
    return base + quote(path, safe=_UNRESERVED)


def _unit(name: str, entry: Entry, base: str) -> Unit | None:
    """Return the unit of an entry; None for one of an architecture that its index is not for."""
    text = paragraph_text(entry.paragraph)
    fields = read_fields(text)
    version = fields.get("version", "")
    if fields.get("package") != name or not PACKAGE_NAME.fullmatch(name):
        raise Malformed("its name cannot be a package's")
    if not is_version(version):
        raise Malformed(f"`{sanitize(version, 80)}` is no Debian version")
    if entry.architecture == SOURCE:
        type_, architecture, artifacts = SOURCE_PACKAGE, SOURCE, _source_files(fields, base)
    else:
        architecture = fields.get("architecture", "")
        if not _ARCHITECTURE.fullmatch(architecture):
            raise Malformed(f"`{sanitize(architecture, 80)}` is no architecture")
        if architecture not in (entry.architecture, ALL):
            return None
        type_, artifacts = PACKAGE, [_package_file(fields, base)]
    metadata = {
        "architecture": architecture,
        "component": entry.component,
        "paragraph": text,
        "suite": entry.suite,
        "version": version,
    }
    key = unit_key(entry.suite, name, version, architecture=architecture)
    return Unit(type_, key, metadata, artifacts)


def _key_of(name: str, entry: Entry) -> str:
    """Return a key for what cannot become a unit."""
    version = first_field(entry.paragraph, b"Version").decode(errors="replace")
    shown = sanitize(version, 80) or "?"
    return unit_key(entry.suite, name, shown, architecture=entry.architecture)


def _package_file(fields: dict[str, str], base: str) -> Artifact:
    path = fields.get("filename", "").removeprefix("./")
    if not path or not safe_path(path) or path.startswith("dists/"):
        raise Malformed(f"`{sanitize(path, 120)}` cannot be the path of its file")
    size = fields.get("size", "")
    if not _SIZE.fullmatch(size):
        raise Malformed("its size is no number of bytes")
    digests = {name: fields[name].lower() for name in _DIGESTS if name in fields}
    return _artifact(path, int(size), digests, base=base)


def _source_files(fields: dict[str, str], base: str) -> list[Artifact]:
    folder = fields.get("directory", "").removeprefix("./").rstrip("/")
    files: dict[str, tuple[int, dict[str, str]]] = {}
    for algorithm in _DIGESTS:
        for name, size, digest in _checksums(fields.get(f"checksums-{algorithm}", "")):
            declared, digests = files.setdefault(name, (size, {}))
            if declared != size:
                raise Malformed(f"`{sanitize(name, 120)}` has two sizes")
            digests[algorithm] = digest
    if not any(name.endswith(".dsc") for name in files):
        raise Malformed("it lists no `.dsc` with a SHA256 or SHA512")
    paths = {name: f"{folder}/{name}" if folder not in ("", ".") else name for name in files}
    for name, path in paths.items():
        if "/" in name or not safe_path(path) or path.startswith("dists/"):
            raise Malformed(f"`{sanitize(path, 120)}` cannot be the path of a file")
    return [
        _artifact(paths[name], size, digests, base=base)
        for name, (size, digests) in sorted(files.items())
    ]


def _checksums(text: str) -> list[tuple[str, int, str]]:
    rows = []
    for line in filter(None, text.split("\n")):
        words = line.split()
        if len(words) != 3 or not _SIZE.fullmatch(words[1]):
            raise Malformed(f"a checksum is no `digest size name`: {sanitize(line, 120)}")
        rows.append((words[2], int(words[1]), words[0].lower()))
    return rows


def _artifact(path: str, size: int, digests: dict[str, str], *, base: str) -> Artifact:
    for algorithm, digest in digests.items():
        if len(digest) != _DIGESTS[algorithm] or not _HEX.fullmatch(digest):
            raise Malformed(f"its {algorithm.upper()} is no digest")
    if not digests:
        raise Malformed("it has neither SHA256 nor SHA512, and weaker digests prove nothing")
    sha256 = digests.pop("sha256", "")
    return Artifact(
        path, sha256, size, fetch_url(base, path), digests=digests if not sha256 else {}
    )
