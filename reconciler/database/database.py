"""Open and migrate a database by its URL; hand out readers and writers."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from reconciler.database import connection, database_file, migration
from reconciler.database.artifacts import ContentReads, ContentWrites
from reconciler.database.chunks import ChunkReads
from reconciler.database.commits import CommitWrites
from reconciler.database.damage import DamageReads, DamageWrites
from reconciler.database.delisted import DelistedReads
from reconciler.database.derived import DerivedReads, DerivedWrites
from reconciler.database.first_sights import FirstSightReads, FirstSightWrites
from reconciler.database.generation import NO_MARK, SUFFIX, Mark, MarkFile
from reconciler.database.groups import GroupReads
from reconciler.database.leases import LeaseReads, LeaseWrites
from reconciler.database.manual_changes import ManualReads
from reconciler.database.members import MemberReads
from reconciler.database.plugins import PluginReads, PluginWrites
from reconciler.database.publications import PublicationReads
from reconciler.database.publishing import PublicationWrites
from reconciler.database.pulled import PulledReads, PulledWrites
from reconciler.database.resources import ResourceReads, ResourceWrites
from reconciler.database.runs import RunReads, RunWrites
from reconciler.database.signatures import SignatureReads
from reconciler.database.upload_totals import UploadTotalReads
from reconciler.database.versions import VersionReads
from reconciler.database.withheld import WithheldReads, WithheldWrites
from reconciler.errors import StateFault, UsageFault


class Reader(
    ResourceReads,
    PluginReads,
    ChunkReads,
    ContentReads,
    DamageReads,
    DelistedReads,
    DerivedReads,
    FirstSightReads,
    GroupReads,
    VersionReads,
    ManualReads,
    UploadTotalReads,
    MemberReads,
    PublicationReads,
    PulledReads,
    SignatureReads,
    WithheldReads,
    LeaseReads,
    RunReads,
):
    """All queries. Writing through it is impossible. May be used from several threads at once."""


class Writer(
    Reader,
    ResourceWrites,
    PluginWrites,
    ContentWrites,
    DamageWrites,
    DerivedWrites,
    FirstSightWrites,
    CommitWrites,
    PublicationWrites,
    PulledWrites,
    WithheldWrites,
    LeaseWrites,
    RunWrites,
):
    """All queries and all writes."""


class Database:
    """A database by its SQLAlchemy URL.

    For example `sqlite:////folder/state.db` or `postgresql+psycopg://host/name`.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except ArgumentError:
            raise UsageFault(
                "the database URL cannot be understood",
                hint="for example `sqlite:////var/lib/reconciler/state.db`",
            ) from None
        if self._url.get_backend_name() == "sqlite" and self._url.database in (
            None,
            "",
            ":memory:",
        ):
            raise UsageFault(
                "the database URL names no file",
                hint="for example `sqlite:////var/lib/reconciler/state.db`",
            )
        self._where = self._url.render_as_string(hide_password=True)
        self._reading: Engine | None = None
        self._writing: Engine | None = None
        file = self._file()
        self._mark_file = MarkFile(f"{file}{SUFFIX}") if file is not None else None

    def open(self, read_only: bool) -> Self:
        """Connect to the database.

        For writing, create the folder and the tables, and migrate. Read-only, create nothing; a
        database that does not exist reads as an empty one. Raises StateFault for a file of 0 bytes,
        and when the schema is newer than this release, or, read-only, older.
        """
        if not read_only:
            self.migrate()
        self._reading = self._readable()
        return self

    def migrate(self) -> None:
        """Create or upgrade the tables in one transaction.

        Raises StateFault when they are newer than this release.
        """
        file = self._file()
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = (
                    f"the folder of the state `{file.parent}` cannot be made: {error.strerror}"
                )
                raise StateFault(message, hint="choose another with `--home`") from None
            if not database_file.exists(file, self._where):
                database_file.create(file, self._where)
        if self._writing is None:
            self._writing = connection.writing(self._url)
        with self._writing.begin() as session:
            migration.migrate(session, self._where)

    @property
    def exists(self) -> bool:
        """True if there is a database; a server is asked only when it is opened."""
        file = self._file()
        return file is None or file.exists()

    def reader(self) -> Reader:
        return Reader(self._opened())

    def writer(self) -> Writer:
        """Return the writer. Raises UsageFault on a database that was opened read-only."""
        reading = self._opened()
        if self._writing is None:
            raise UsageFault(f"the database `{self._where}` is open for reading only")
        return Writer(reading, self._writing, self.mark())

    def mark(self) -> Mark:
        """Return what tells at once that what is served may have changed."""
        return self._mark_file or NO_MARK

    def close(self) -> None:
        """Close every connection. May be called any number of times."""
        if self._writing is not None:
            connection.shorten_log(self._writing, self._url)
        for engine in (self._reading, self._writing):
            if engine is not None:
                engine.dispose()
        self._reading = self._writing = None
        if self._mark_file is not None:
            self._mark_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _file(self) -> Path | None:
        return Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None

    def _opened(self) -> Engine:
        if self._reading is None:
            raise StateFault(f"the database `{self._where}` is not open")
        return self._reading

    def _readable(self) -> Engine:
        file = self._file()
        if file is not None and not database_file.exists(file, self._where):
            return connection.empty()
        engine = connection.reading(self._url)
        try:
            with engine.connect() as session:
                there = migration.check(session, self._where)
        except BaseException:
            engine.dispose()
            raise
        if there:
            return engine
        engine.dispose()
        return connection.empty()
