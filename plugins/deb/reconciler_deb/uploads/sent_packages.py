"""A package that was sent: its suite and component, and its paragraph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from reconciler.plugin import GroupedUnit, Malformed, Refused, Unit, UploadedFile, safe_path
from reconciler_deb.control.packages import read_control
from reconciler_deb.control.paragraphs import paragraph_text, read_fields
from reconciler_deb.control.relations import PACKAGE_NAME
from reconciler_deb.options.source_options import SourceOptions
from reconciler_deb.reading.listings import Entry
from reconciler_deb.reading.units import listed_units

# Fields that an archive adds: in a control file they would contradict what is measured.
_ADDED: Final = frozenset({"filename", "size", "md5sum", "sha1", "sha256", "sha512", "directory"})
DEFAULT_COMPONENT: Final = "main"


def place_package(
    file: UploadedFile, fields: Mapping[str, str], options: SourceOptions
) -> list[GroupedUnit]:
    """Return the unit of a `.deb`. Raises Refused for what is none, and where no suite is named."""
    suite = _chosen("suite", fields, options.suites)
    component = _chosen("component", fields, options.components or (DEFAULT_COMPONENT,))
    try:
        text = paragraph_text(read_control(file.path).strip(b"\n"))
        control = read_fields(text)
        if added := sorted(_ADDED & control.keys()):
            raise Malformed(f"its control file has the field `{added[0]}`, which archives add")
        name = control.get("package", "")
        if not PACKAGE_NAME.fullmatch(name):
            raise Malformed("its name cannot be a package's")
        unit = _unit(name, _entry(file, text, control, place=(suite, component)))
    except Malformed as error:
        raise Refused(f"`{file.name[:80]}`: {error}") from None
    return [(name, unit)]


def paragraph_of(control: str, path: str, file: UploadedFile) -> str:
    """Return a control file with the place and the digest of its package, as an index has it."""
    added = f"Filename: {path}\nSize: {file.size}\nSHA256: {file.sha256}\n"
    head, description, rest = control.rpartition("\nDescription:")
    if description:
        return f"{head}\n{added}Description:{rest}"
    return f"{control}\n{added}".rstrip("\n")


def _entry(
    file: UploadedFile, text: str, control: Mapping[str, str], *, place: tuple[str, str]
) -> Entry:
    suite, component = place
    name, architecture = control.get("package", ""), control.get("architecture", "")
    version = control.get("version", "").partition(":")[2] or control.get("version", "")
    folder = name[:4] if name.startswith("lib") else name[:1]
    path = f"pool/{component}/{folder}/{name}/{name}_{version}_{architecture}.deb"
    return Entry(suite, component, architecture, paragraph_of(text, path, file).encode())


def _unit(name: str, entry: Entry) -> Unit:
    """Return the unit of a paragraph, by the rules for what an archive lists."""
    refused: list[str] = []
    units = listed_units(name, [entry], "", refuse=lambda key, reason: refused.append(reason))
    if not units:
        raise Malformed(refused[0] if refused else "it is for no architecture")
    artifacts = [msgspec.structs.replace(artifact, url="") for artifact in units[0].artifacts]
    return msgspec.structs.replace(units[0], artifacts=artifacts)


def _chosen(key: str, fields: Mapping[str, str], listed: Sequence[str]) -> str:
    """Return a suite or component: that of the form, if the source lists it; else the only one."""
    value = fields.get(key) or (listed[0] if len(listed) == 1 else "")
    if not value or (listed and value not in listed) or not safe_path(value) or " " in value:
        raise Refused(
            f"`{value[:80]}` is no {key} that takes uploads" if value else f"it names no {key}",
            hint=f"say it in the field `{key}`: {', '.join(f'`{each}`' for each in listed)}"
            if listed
            else f"list the {key}s in the `upload` source",
        )
    return value
