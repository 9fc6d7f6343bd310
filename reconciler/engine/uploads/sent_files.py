"""The files of one request: the only ones that its bytes may come from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from reconciler.errors import PluginFault, StateFault
from reconciler.model import Digest
from reconciler.plugin import UploadedFile
from reconciler.store.temporary import TemporaryFolder, write_all


class SentFiles:
    """Files that a client sent, and those that a plugin took out of its request.

    Args:
        files: As they came in; who received them removes them.
        folder: Where further files are written, until `discard`.
    """

    def __init__(self, files: Iterable[UploadedFile], folder: Path) -> None:
        self._files = {file.sha256: file for file in files}
        self._added: list[str] = []
        self._folder = TemporaryFolder(str(folder))

    def __iter__(self) -> Iterator[UploadedFile]:
        return iter(self._files.values())

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._files

    @property
    def names(self) -> str:
        """The names of the files, for messages."""
        return ", ".join(f"`{file.name}`" for file in self) or "no file"

    def add(self, name: str, body: bytes) -> UploadedFile:
        """Write a further file, unless one with these bytes is there."""
        if not isinstance(body, bytes):
            raise PluginFault(f"`add_file` takes bytes, not {type(body).__name__}")
        sha256 = hashlib.sha256(body).hexdigest()
        if sha256 not in self._files:
            try:
                path = self._written(body)
            except OSError as error:  # a full disk is no fault of the plugin
                raise StateFault(
                    f"cannot write to `{self._folder.folder}`: {error.strerror or error}"
                ) from error
            self._files[sha256] = UploadedFile(name, Path(path), len(body), sha256)
        return self._files[sha256]

    def _written(self, body: bytes) -> str:
        descriptor, path = self._folder.create()
        self._added.append(path)
        try:
            write_all(descriptor, body)
        finally:
            os.close(descriptor)
        return path

    def file(self, digest: Digest) -> Path | None:
        """Return where bytes lie; None where the request does not hold them."""
        file = self._files.get(digest.hex)
        return None if file is None else file.path

    def forget_measurement(self, remote: str, url: str) -> None:
        """Do nothing: the files themselves were measured."""

    def discard(self) -> None:
        """Remove what was added, unless it is in the store by now."""
        for path in self._added:
            with suppress(FileNotFoundError):
                os.unlink(path)
