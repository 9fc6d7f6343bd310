"""One index that a publication is sent to: its addresses, its pages, its credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from reconciler.engine.pushing.comparison import Comparison, Listing, compared
from reconciler.engine.pushing.exporter_faults import exporter_faults
from reconciler.engine.pushing.logins import login_at
from reconciler.engine.session.session import Session
from reconciler.errors import ForeignOrigin, Gone, UsageFault
from reconciler.model import IndexExport, Publication, Remote, StoredArtifact, StoredUnit
from reconciler.plugin import Exporter, IndexLocation, Login
from reconciler.remote import Credentials, PageReader, Sender, open_sender, sends_credentials


class IndexTarget:
    """An index, as an exporter describes it and a connection reaches it.

    Attributes:
        title: As messages call it.
        location: Its addresses.
    """

    def __init__(self, session: Session, publication: Publication, export: IndexExport) -> None:
        """Locate the index. Raises UsageFault where its name is not known."""
        publisher: Any = session.registry.publisher(publication.publisher).cls
        self.exporter: type[Exporter[Any]] = publisher.exporter
        self.options = export.options
        self._session = session
        self._connection = export.connection
        self._call = f"exporter of publisher `{publication.publisher}`"
        self._credentials: Credentials | None = None
        self.location: IndexLocation = self._locate()
        self.title = self.location.name
        self._own_pages = sends_credentials(self.location.upload, self.location.pages)

    @property
    def retries(self) -> int:
        return self._connection.retries

    @property
    def rate_limit(self) -> float | None:
        return self._connection.rate_limit

    def _locate(self) -> IndexLocation:
        connection = self._connection
        try:
            with exporter_faults(self._call):
                return self.exporter.location(
                    connection.index or "", connection.url or "", self.options
                )
        except UsageFault as fault:
            raise UsageFault(f"{connection.meta.name}: {fault}", hint=fault.hint) from None

    async def compare(
        self, group: str, units: Iterable[StoredUnit], *, again: bool = False
    ) -> Comparison:
        """Compare what is to be sent of a group with what its page lists.

        Args:
            again: Ask for the page without validators: something was sent meanwhile.

        Raises:
            ReconcilerError: The page cannot be had, or is none.
        """
        chosen, result = self._chosen(units)
        if not chosen:
            return result
        listing = await self._listing(group, again=again)
        result.add(
            await asyncio.to_thread(
                compared,
                chosen,
                listing,
                file_of=self.file_of,
                open_bytes=self._session.store.open,
            )
        )
        return result

    def _chosen(self, units: Iterable[StoredUnit]) -> tuple[list[StoredUnit], Comparison]:
        """Return the units to send, and those that are left out by reason."""
        chosen, result = [], Comparison()
        for unit in units:
            with exporter_faults(self._call):
                reason = self.exporter.left_out(unit, self.options)
            if reason is None:
                chosen.append(unit)
            elif reason:
                result.left_out[reason] = result.left_out.get(reason, 0) + 1
        return chosen, result

    def file_of(self, unit: StoredUnit) -> StoredArtifact:
        """Return the artifact that is sent of a unit."""
        with exporter_faults(self._call):
            return self.exporter.file_of(unit)

    async def _listing(self, group: str, *, again: bool) -> Listing:
        """Return what the index lists of a group; nothing where it does not have it.

        A redirect to another index means that this one does not have it.
        """
        asked = self.exporter.page_of(self.location, group)
        pages = await self._pages(again)
        try:
            page = await pages.get(asked.url, accept=asked.accept)
        except (Gone, ForeignOrigin):
            return {}

        def read() -> Listing:
            with exporter_faults(self._call):
                return self.exporter.listed(page, group)

        return await asyncio.to_thread(read)

    async def _pages(self, again: bool) -> PageReader:
        """Return the reader of pages. Credentials go to the origin that files are sent to alone."""
        if not self._own_pages:
            connection = replace(self._connection, auth=None, headers={})
            connection = replace(connection, tls=replace(connection.tls, client_cert=None))
            return self._reader(connection, None, again=again)
        return self._reader(self._connection, await self.credentials(sending=False), again=again)

    def _reader(
        self, connection: Remote, credentials: Credentials | None, *, again: bool
    ) -> PageReader:
        remotes = self._session.remotes.reading_again() if again else self._session.remotes
        return remotes.pages_at(connection, self.location.pages, credentials)

    async def credentials(self, *, sending: bool) -> Credentials:
        """Return the credentials: of the manifest, else those that the exporter obtains.

        Args:
            sending: Something is about to be sent: only then a token is exchanged.
        """
        if self._connection.auth is not None:
            return Credentials.of(self._connection)
        if self._credentials is None or sending:
            login: Login | None = None
            if not self._session.remotes.offline:
                login = await login_at(
                    self.exporter,
                    self._connection,
                    self.location,
                    options=self.options,
                    sending=sending,
                )
            self._credentials = Credentials.of(self._connection)
            if login is not None:
                self._credentials.log_in(login.username, login.password)
        return self._credentials

    async def sender(self) -> Sender:
        """Return what files are sent with, logged in; the caller closes it."""
        credentials = await self.credentials(sending=True)
        return open_sender(self._connection, self.location.upload, credentials)
