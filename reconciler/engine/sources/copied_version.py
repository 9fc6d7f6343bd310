"""The version of another repository that is copied from, and the conduits that lend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.database import Reader
from reconciler.engine.plugin_calls.conduits import CallScope, ScratchpadConduit
from reconciler.engine.plugin_calls.workdirs import TemporaryWorkdir
from reconciler.engine.sources.batches import BATCH
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.model import (
    ActualRepository,
    Digest,
    Source,
    StoredUnit,
    bucket_digest,
    bucket_of,
    group_digest,
    stored_unit,
    version_digest,
)
from reconciler.plan import ContentChanges, apply_changes
from reconciler.plugin import PluginCallConfiguration, RepositoryContent, RepositoryInfo

Bodies = Mapping[Digest, bytes]
"""Encoded units of one group, by digest."""


class CopiedVersion:
    """A recorded version of another repository, with what this plan does to it.

    Args:
        planned: What this plan does to that repository, None where a recorded version is meant.
    """

    def __init__(
        self,
        reader: Reader,
        repository: ActualRepository | None,
        number: int,
        *,
        planned: ContentChanges | None,
    ) -> None:
        self._reader = reader
        self._repository = repository
        self._number = number
        self._planned = planned if planned is not None and planned.counts.total else None
        self._touched = self._planned.spool.names() if self._planned else frozenset()

    @property
    def is_recorded(self) -> bool:
        """True if the version exists already."""
        return self._planned is None

    @property
    def digest(self) -> Digest:
        """Digest of the version, whether it is recorded already or not."""
        buckets: dict[int, list[Digest]] = {}
        for name, digest in self.digests(None).items():
            assert digest is not None
            buckets.setdefault(bucket_of(name), []).append(digest)
        return version_digest((number, bucket_digest(groups)) for number, groups in buckets.items())

    def digests(self, since: int | None) -> dict[str, Digest | None]:
        """Return groups with the digests of what they hold.

        With `since`, only groups that differ from that version, None for those that left.
        """
        digests: dict[str, Digest | None] = {}
        if self._repository is not None and since is None:
            digests.update(self._reader.version_groups(self._repository.id, self._number))
        elif self._repository is not None and since is not None:
            names = list(self._reader.changed_groups(self._repository.id, since, self._number))
            digests.update(dict.fromkeys(names))
            digests.update({name: _digest(bodies) for name, bodies in self.bodies(names).items()})
        touched = sorted(self._touched)
        for start in range(0, len(touched), BATCH):
            batch = touched[start : start + BATCH]
            changed = self.bodies(batch)
            digests.update({name: _digest(changed.get(name, {})) for name in batch})
        if since is not None:
            return digests
        return {name: digest for name, digest in digests.items() if digest is not None}

    def bodies(self, names: Iterable[str]) -> dict[str, Bodies]:
        """Return the encoded units of groups."""
        wanted = list(names)
        recorded = [name for name in wanted if name not in self._touched]
        bodies: dict[str, Bodies] = {}
        if self._repository is not None and recorded:
            rows = self._reader.members(self._repository.id, self._number, recorded)
            bodies = {name: dict(members) for name, members in rows.items()}
        changing = [name for name in wanted if name in self._touched]
        if changing and self._planned is not None:
            current = (
                self._reader.current_units(self._repository.id, changing)
                if self._repository
                else {}
            )
            for name in changing:
                held = {(row.digest, row.source): row.body for row in current.get(name, [])}
                bodies[name] = apply_changes(held, self._planned.spool.of(name))
        return bodies

    def groups(self) -> Iterator[str]:
        """Iterate over the names of groups; implements `reconciler.plugin.RepositoryContent`."""
        return iter(sorted(self.digests(None)))

    def units(self, group: str) -> list[StoredUnit]:
        """Return the units of a group; implements `reconciler.plugin.RepositoryContent`."""
        return sorted_units(self.bodies([group]).get(group, {}))


class MembersConduit(CallScope):
    """Implements `reconciler.plugin.RepositoryContent` over a copied version, for one call."""

    conduit = "CopyConduit"

    def __init__(self, version: CopiedVersion) -> None:
        super().__init__()
        self._version = version

    def groups(self) -> Iterator[str]:
        return self._while_open(self._version.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return self._version.units(group)


class CopyingConduit(ScratchpadConduit):
    """Implements `reconciler.plugin.CopyConduit` for one group."""

    conduit = "CopyConduit"

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        version: CopiedVersion,
        *,
        workdir: TemporaryWorkdir,
    ) -> None:
        super().__init__(resolution.findings.scratchpads, resolution.owner)
        self._resolution = resolution
        self._source = source
        self._members = MembersConduit(version)
        self._workdir = workdir

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._workdir

    @property
    def source(self) -> RepositoryContent:
        self._check_open()
        return self._members

    def close(self) -> None:
        super().close()
        self._members.close()

    @property
    def options(self) -> object:
        self._check_open()
        return self._source.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._source.config
        return config

    def groups(self) -> Iterator[str]:
        actual = self._resolution.actual
        names = self._resolution.reader.group_names(actual.id, actual.number) if actual else ()
        return self._while_open(names)

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        actual = self._resolution.actual
        if actual is None:
            return []
        return self._resolution.reader.units(actual.id, actual.number, [group]).get(group, [])


def sorted_units(bodies: Bodies) -> list[StoredUnit]:
    """Decode units, in the order of their types and keys."""
    return sorted(map(stored_unit, bodies.values()), key=lambda unit: (unit.type, unit.key))


def _digest(bodies: Bodies) -> Digest | None:
    return group_digest(bodies) if bodies else None
