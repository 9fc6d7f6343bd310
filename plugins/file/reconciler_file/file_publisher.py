"""The publisher: the files of a version under their own names, and a `PULP_MANIFEST`."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import merge
from io import BytesIO
from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import Final

from reconciler.plugin import (
    Metadata,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    Refused,
    StoredArtifact,
    StoredUnit,
)
from reconciler_file.content import FILE
from reconciler_file.manifests import MANIFEST, manifest_line

_UNKNOWN: Final = "application/octet-stream"
_PACKED: Final = {
    ".gz": "application/gzip",
    ".bz2": "application/x-bzip2",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}
_TYPES: Final = (
    MimeTypes().types_map[True] | _PACKED
)  # the library's own table: what the machine adds to it is left out


class FilePublisher(Publisher):
    """Publishes trees of files. The result depends on the version alone."""

    revision = 1

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("file", "Tree of files", (FILE,), ">=2.0,<3")

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        """Write every file, and the list of them.

        Raises Refused for a path that is both a file and a folder, and for a file of unknown size:
        the manifest states sizes.
        """
        listed = _Listed()
        for name in conduit.changed_groups():
            units = conduit.units(name)
            listed.add(name, units)
            with conduit.group(name) as output:
                for unit in units:
                    for file in unit.artifacts:
                        output.file(file.path, file, media_type(file.path))
        for name in conduit.groups():
            if name not in listed.groups:
                listed.add(name, conduit.units(name))
        with conduit.whole_repository() as output:
            output.page(MANIFEST, listed.page(), "text/plain")


def media_type(path: str) -> str:
    """Return the media type by the last suffix; the same on every machine."""
    return _TYPES.get(PurePosixPath(path).suffix.lower(), _UNKNOWN)


class _Listed:
    """The lines of the manifest.

    Only this page is made in one piece, so a million lines are held once, group by group.
    """

    def __init__(self) -> None:
        self.groups: set[str] = set()
        self._lines: list[bytes] = []  # of each group, in order
        self._folders: set[bytes] = set()

    def add(self, group: str, units: Iterable[StoredUnit]) -> None:
        self.groups.add(group)
        self._lines.append(
            b"".join(sorted(self._line(file) for unit in units for file in unit.artifacts))
        )

    def page(self) -> bytes:
        """Return all lines in the order of their bytes.

        Raises Refused for a path that is both a file and a folder.
        """
        page = BytesIO()
        for line in merge(*map(BytesIO, self._lines)):
            path = line.rsplit(b",", 2)[0]
            if path in self._folders:
                raise Refused(
                    f"`{path.decode()}` is a file, and a folder at once because of"
                    f" `{self._below(path)}`: no tree has room for both",
                    hint=(
                        "`exclude` one of them in its source; one that was uploaded, `reconciler"
                        " remove` takes out"
                    ),
                )
            page.write(line)
        return page.getvalue()

    def _below(self, path: bytes) -> str:
        """Return the first of the files in a folder."""
        lines = (
            line for group in self._lines for line in BytesIO(group) if line.startswith(path + b"/")
        )
        return min(lines).rsplit(b",", 2)[0].decode()

    def _line(self, file: StoredArtifact) -> bytes:
        if file.size is None:
            raise Refused(
                f"the size of `{file.path}` is not known, so no `{MANIFEST}` can list it",
                hint=(
                    "have upstream's list say it (`size=...`), or let the remote's `policy` be"
                    " `immediate`"
                ),
            )
        folder = file.path.encode().rpartition(b"/")[0]
        while folder and folder not in self._folders:  # above a folder that is known all are
            self._folders.add(folder)
            folder = folder.rpartition(b"/")[0]
        return manifest_line(file.path, file.sha256, file.size)
