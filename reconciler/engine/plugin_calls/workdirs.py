"""Working directories of plugins: `<root>/<repository>/<owner>/`.

Calls that must not write get a copy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from reconciler.errors import PluginFault
from reconciler.store.temporary_trees import TemporaryTree


class Workdir:
    """Working directory of one plugin on a repository; implements `RepositoryInfo`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder

    @property
    def name(self) -> str:
        return self._name

    @property
    def working_directory(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


class TemporaryWorkdir:
    """Copy of a working directory, for calls that must not write.

    Made on first use and removed by `close`.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._copy: TemporaryTree | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def working_directory(self) -> Path:
        if self._closed:
            raise PluginFault(
                "a plugin asked for its working directory after its call had returned",
                hint="keep nothing between calls",
            )
        if self._copy is None:
            self._copy = TemporaryTree()
            if self._folder.is_dir():
                shutil.copytree(self._folder, self._copy.path, dirs_exist_ok=True, symlinks=True)
        return self._copy.path

    def close(self) -> None:
        """Remove the copy. May be called any number of times."""
        self._closed = True
        if self._copy is not None:
            self._copy.close()
            self._copy = None


class Workdirs:
    """Every working directory of a home.

    Repository names and plugin IDs are checked where they come in; the folder names made of them
    are made safe here once more.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def persistent(self, repository: str, owner: str) -> Workdir:
        """Return the working directory of a plugin on a repository."""
        return Workdir(repository, self._folder(repository, owner))

    def temporary(self, repository: str, owner: str) -> TemporaryWorkdir:
        """Return a copy of it for one call."""
        return TemporaryWorkdir(repository, self._folder(repository, owner))

    def remove(self, repository: str, owner: str | None = None) -> None:
        """Remove what one plugin has on a repository, or everything that the repository has."""
        shutil.rmtree(
            self._folder(repository, owner) if owner else self._root / _segment(repository),
            ignore_errors=True,
        )

    def _folder(self, repository: str, owner: str) -> Path:
        return self._root / _segment(repository) / _segment(owner.replace(":", "-", 1))


def _segment(name: str) -> str:
    """Return a safe folder name for any text."""
    safe = "".join(
        letter if letter.isalnum() or letter in "-_." else f"%{ord(letter):02x}" for letter in name
    )
    return f"%2e{safe[1:]}" if safe.startswith(".") else safe
