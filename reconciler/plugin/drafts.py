"""Drafts of manifests, and the descriptions of other tools that they are made from.

`reconciler init` writes drafts. A description is hostile input: an importer reads it through
`Description`, which bounds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from reconciler.errors import Malformed, UsageFault
from reconciler.redaction import sanitize

LARGEST_DESCRIPTION = 256 * 1024 * 1024  # bytes; a devpi export lists each file of its indexes
MOST_FILES = 1_000  # of a folder


@dataclass(frozen=True, slots=True)
class Remark:
    """An option of a description that the draft does not say, or says otherwise.

    option: As its tool calls it.
    text: What the option did, or how the draft differs, and what to do.
    place: Where it is written: `file:line`, or `file`.
    lost: True if nothing in the draft stands for it; False if something nearly equal does.
    """

    option: str
    text: str
    place: str = ""
    lost: bool = True


@dataclass(frozen=True, slots=True)
class DraftResource:
    """A resource to be written: its kind, name and `spec` as plain data.

    comment: Lines above the document.
    comments: Ends of lines by dotted path within `spec`: `{"sources.0.remote": "..."}`.
    """

    kind: str
    name: str
    spec: Mapping[str, Any]
    comment: str = ""
    comments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """Manifests to be written.

    name: Of the file, without its extension.
    title: What they are, for the first line.
    remarks: Options of the description that have no equal.
    reads: Absolute paths outside of the manifests that they read: these need `--allow-path`.
    take_over: Resources to apply once, before the others: they bring bytes that are on disk.
    take_over_reads: As `reads`, of these.
    """

    name: str
    title: str
    resources: Sequence[DraftResource]
    remarks: Sequence[Remark] = ()
    reads: Sequence[str] = ()
    take_over: Sequence[DraftResource] = ()
    take_over_reads: Sequence[str] = ()


class Description:
    """Description of another tool's set-up: a file, or a folder with files.

    kind: The tool, where the user named it; else None, and the importer guesses.
    """

    def __init__(self, path: Path, kind: str | None = None) -> None:
        self.path = path
        self.kind = kind

    @property
    def is_folder(self) -> bool:
        """True for a folder."""
        return self.path.is_dir()

    def names(self) -> list[str]:
        """Return the names of files and folders in the folder, sorted; its own for a file.

        Raises Malformed for a folder with very many.
        """
        if not self.is_folder:
            return [self.path.name]
        names: list[str] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if len(names) > MOST_FILES:
                        raise Malformed(
                            f"`{self.shown()}` holds more than {MOST_FILES:,} files",
                            hint="name the description itself",
                        )
        except OSError as error:
            raise UsageFault(f"`{self.shown()}` cannot be read: {error.strerror}") from None
        return sorted(names)

    def has(self, name: str) -> bool:
        """Return True if the folder holds a file or folder of that name, or it is the file."""
        return (self.path / name).exists() if self.is_folder else self.path.name == name

    def read(self, name: str = "", limit: int = LARGEST_DESCRIPTION) -> bytes:
        """Return the bytes of a file: of the folder, or the description itself.

        Raises UsageFault where it cannot be read, Malformed where it is larger than `limit`.
        """
        path = self.path / name if self.is_folder else self.path
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                mode = os.fstat(descriptor).st_mode
                if not S_ISREG(mode):
                    what = "a folder" if S_ISDIR(mode) else "no file"
                    raise UsageFault(f"`{self.shown(name)}` is {what}")
                body = file.read(limit + 1)
        except OSError as error:
            raise UsageFault(f"`{self.shown(name)}` cannot be read: {error.strerror}") from None
        if len(body) > limit:
            raise Malformed(f"`{self.shown(name)}` is larger than {limit:,} bytes")
        return body

    def text(self, name: str = "", limit: int = LARGEST_DESCRIPTION) -> str:
        """Return the text of a file, as `read` does. Raises Malformed where it is not UTF-8."""
        try:
            return self.read(name, limit).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(
                f"{self.place(name)}: byte {error.start:,} is not UTF-8", hint="is this a text?"
            ) from None

    def place(self, name: str = "", line: int = 0) -> str:
        """Return a place for messages and remarks: `bandersnatch.conf:12`."""
        return self.shown(name) + (f":{line}" if line else "")

    def shown(self, name: str = "") -> str:
        """Return the path of a file as messages show it."""
        path = self.path / name if name and self.is_folder else self.path
        return sanitize(str(path), 500)
