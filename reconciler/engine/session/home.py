"""The folder in which the state of an installation lives, and how its parts are opened."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from reconciler.database import Database
from reconciler.engine.plugin_calls.workdirs import Workdirs
from reconciler.engine.session.home_folder import check_folder
from reconciler.engine.transfer.remotes import Caches
from reconciler.errors import StateFault
from reconciler.model import pluralize
from reconciler.remote import PAGE_MEMORY, FileCache, MeasurementCache, PageCache
from reconciler.store import LocalStore

DATABASE = "state.db"
KEY_BYTES = 32
OLD_CACHES = ("pages", "measures", "files/parts")


@dataclass(frozen=True, slots=True)
class Home:
    """A folder (default `./.reconciler`) with database, store, caches and working directories.

    `database_url` moves the database elsewhere. `page_memory`: bytes of pages in flight at once.
    """

    root: Path
    database_url: str | None = None
    page_memory: int = PAGE_MEMORY

    def database(self, *, read_only: bool = True) -> Database:
        """Open the database.

        For writing it is created and migrated as needed; read-only creates nothing. Raises
        StateFault where the folder cannot be used.
        """
        check_folder(self.root, writes=not read_only)
        return Database(self.database_url or f"sqlite:///{self.root.absolute() / DATABASE}").open(
            read_only
        )

    @property
    def holds_state(self) -> bool:
        """True if there is a state to read. A database elsewhere decides for itself.

        Raises StateFault where the folder cannot be used.
        """
        check_folder(self.root, writes=False)
        if self.database_url is not None:
            return Database(self.database_url).exists
        return os.path.lexists(self.root / DATABASE)

    def require_state(self) -> None:
        """Raise StateFault if there is no state to read."""
        if self.holds_state:
            return
        if self.database_url is not None:
            raise StateFault(
                "the database that the settings name does not exist",
                hint="`RECONCILER_DATABASE` names it; `reconciler apply` makes it",
            )
        there = "holds no state" if self.root.is_dir() else "does not exist"
        raise StateFault(
            f"the home `{self.root}` {there}",
            hint="`--home` or `RECONCILER_HOME` names another; `reconciler apply` makes a new one",
        )

    def store(self) -> LocalStore:
        """Return the store of bytes."""
        return LocalStore(self.root / "store")

    def caches(self) -> Caches:
        """Return the caches of what was read of remotes, which may be deleted at any time."""
        folder = self.root / "cache"
        return Caches(
            PageCache(folder / "pages-2"),
            MeasurementCache(folder / "measures-2"),
            FileCache(folder / "files"),
            self.page_memory,
        )

    def drop_old_caches(self) -> None:
        """Delete caches of earlier releases: they may hold URLs with signatures and tokens."""
        for name in OLD_CACHES:
            shutil.rmtree(self.root / "cache" / name, ignore_errors=True)

    def workdirs(self) -> Workdirs:
        """Return the working directories of plugins."""
        return Workdirs(self.root.absolute() / "work")

    @property
    def arriving_folder(self) -> Path:
        """Folder of files that come in, on the disk of the store."""
        return self.root / "arriving"

    @property
    def audit_log(self) -> Path:
        """File of the audit log, unless the settings name another."""
        return self.root.absolute() / "audit.jsonl"

    def key(self, *, create: bool) -> bytes | None:
        """Return the key of secret fingerprints, None if there is none and `create` is False.

        Raises StateFault for a file that holds no whole key: it would guard nothing.
        """
        path = self.root / "key"
        if not path.exists() and create:
            self.root.mkdir(parents=True, exist_ok=True)
            _create_key(path)
        if not path.exists():
            return None
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise StateFault(
                f"`{path}` holds {pluralize(len(key), 'byte')}, and the key of secret fingerprints"
                f" has {KEY_BYTES}",
                hint="restore it; or delete it, and the next plan shows each secret as changed",
            )
        return key


def _create_key(path: Path) -> None:
    """Create the key file atomically; of two concurrent runs the first one wins.

    A truncated key would protect less, a replaced one would show every secret as changed.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        beside.replace(path)
    beside.unlink(missing_ok=True)
