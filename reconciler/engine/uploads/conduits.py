"""Conduits handed to plugins while they take or remove files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from reconciler.engine.plugin_calls.conduits import ScratchpadConduit
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.uploads.grants import check_grant
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.engine.uploads.upload_target import UploadTarget
from reconciler.model import Grant, Publication, StoredUnit
from reconciler.plugin import GroupedUnit, PluginCallConfiguration, RepositoryInfo, UploadedFile


class RepositoryConduit(ScratchpadConduit):
    """Base of both conduits: the repository as it is, and the time of the upload.

    Plugins see what the client may change, so that no answer of theirs tells of anything else.
    """

    def __init__(
        self,
        target: UploadTarget,
        scratchpads: ScratchpadSession,
        owner: str,
        *,
        info: RepositoryInfo,
        received_at: datetime,
        files: SentFiles,
        grant: Grant,
    ) -> None:
        super().__init__(scratchpads, owner)
        self._grant = grant
        self._files = files
        self._target = target
        self._info = info
        self._received_at = received_at

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._info

    @property
    def received_at(self) -> datetime:
        self._check_open()
        return self._received_at

    def groups(self) -> Iterator[str]:
        actual = self._target.actual
        names = self._target.writer.group_names(actual.id, actual.number)
        return self._while_open(filter(self._grant.covers, names))

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        check_grant(self._grant, [group])
        actual = self._target.actual
        return self._target.writer.units(actual.id, actual.number, [group]).get(group, [])


class ImporterUploadConduit(RepositoryConduit):
    """Implements `reconciler.plugin.UploadConduit`."""

    conduit = "UploadConduit"

    @property
    def options(self) -> Any:
        self._check_open()
        return self._target.source.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._target.source.config
        return config

    def upload(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[GroupedUnit]:
        """Have the importer make units of a file."""
        return self._target.importer().upload(self, file, fields, self._target.source.config)

    def for_publisher(
        self, publication: Publication, info: RepositoryInfo
    ) -> PublisherReceiveConduit:
        """Return the conduit of the publisher, whose scratchpads and directory are its own."""
        return PublisherReceiveConduit(self, publication, info)


class PublisherReceiveConduit(RepositoryConduit):
    """Implements `reconciler.plugin.ReceiveConduit`."""

    conduit = "ReceiveConduit"

    def __init__(
        self, importers: ImporterUploadConduit, publication: Publication, info: RepositoryInfo
    ) -> None:
        super().__init__(
            importers._target,
            importers._scratchpads,
            f"publisher:{publication.publisher}",
            info=info,
            received_at=importers.received_at,
            files=importers._files,
            grant=importers._grant,
        )
        self._importers = importers
        self._publication = publication

    @property
    def publication(self) -> str:
        self._check_open()
        return self._publication.meta.name

    @property
    def options(self) -> Any:
        self._check_open()
        return self._publication.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._publication.config
        return config

    def add_file(self, name: str, body: bytes) -> UploadedFile:
        self._check_open()
        return self._files.add(name, body)

    def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[GroupedUnit]:
        self._check_open()
        return self._importers.upload(file, fields)
