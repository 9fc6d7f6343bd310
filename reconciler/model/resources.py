"""Desired state (`DesiredState`, from manifests) and actual state (from the database).

`spec` on every resource is the validated specification as plain canonical data (camelCase keys as
written, defaults left out, durations and sizes as written, secrets as references): it is recorded,
compared and shown. The engine works with the typed fields beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from reconciler.errors import Fault, Origin
from reconciler.model.access import AccessRule, Secret
from reconciler.model.connection import Auth, Egress, Tls
from reconciler.model.digest import Digest
from reconciler.model.location import KeyLocations
from reconciler.model.marks import Mark
from reconciler.model.pull_through import PullThrough
from reconciler.model.quota import Quota

# Keys of a manifest that are the core's; the others at the same place are the plugin's.
SOURCE_KEYS = frozenset({"name", "names", "reuseNames", "version", "everything"})
PUBLICATION_KEYS = frozenset(
    {
        "repository",
        "version",
        "path",
        "publisher",
        "filters",
        "quarantined",
        "access",
        "grace",
        "baseUrl",
        "exports",
        "pullThrough",
    }
)

LATEST = "latest"  # in the place of a version: the newest one
GRACE = 600  # seconds for which files that a new version dropped stay reachable
DEFAULT_MAX_SIZE = 5 * 1024**3  # bytes that are read of a file of unknown size
IMMEDIATE, ON_DEMAND, STREAMED = "immediate", "on-demand", "streamed"  # policies of a remote
UPSTREAM = frozenset({ON_DEMAND, STREAMED})  # policies by which an apply leaves files upstream
SAME_ORIGIN, ANY_HOST = "same-origin", "any"  # redirects of a remote
MIRROR, ADDITIVE = "mirror", "additive"  # modes of a repository
WITHHOLD = "withhold"  # what a publication does with quarantined projects, unless it keeps them
UPLOAD = "upload"  # the source that takes files from clients, and its id


class Kind(StrEnum):
    """The four kinds of resources, in the order in which they are created."""

    REMOTE = "Remote"
    FILTER = "Filter"
    REPOSITORY = "Repository"
    PUBLICATION = "Publication"


class Ref(msgspec.Struct, frozen=True, order=True):
    """A resource by kind and name; `str()` gives `repository/team`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


class Meta(msgspec.Struct, frozen=True):
    """The envelope of a resource: its kind, its name, and where it was written."""

    kind: Kind
    name: str
    origin: Origin
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.name)


class Remote(msgspec.Struct, frozen=True):
    """A remote that provides content, with its connection settings. Times in seconds.

    `redirects`: `same-origin`, `any`, or the hosts (`host`, `host:port`) whose answers count as
    the remote's own. `mirrors`: URLs that are asked first for files with a declared digest.
    """

    meta: Meta
    spec: Mapping[str, Any]
    type: str
    index: str | None = None
    url: str | None = None
    policy: str = IMMEDIATE
    auth: Auth | None = None
    tls: Tls = Tls()
    proxy: str | None = None
    headers: Mapping[str, str | Secret] = msgspec.field(default_factory=dict)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 1800.0
    retries: int = 4
    concurrency: int = 32
    rate_limit: float | None = None  # requests a second
    redirects: str | tuple[str, ...] = SAME_ORIGIN
    egress: Egress = Egress()
    max_size: int = DEFAULT_MAX_SIZE  # bytes that are read of a file of unknown size
    mirrors: tuple[str, ...] = ()

    @property
    def leaves_upstream(self) -> bool:
        """True if an apply leaves its files upstream."""
        return self.policy in UPSTREAM

    @property
    def is_streamed(self) -> bool:
        """True if its files only pass through, and are never stored."""
        return self.policy == STREAMED


class Filter(msgspec.Struct, frozen=True):
    """Rules of one type.

    `options`: the plugin's validated filter model, opaque to the core. `locations`: by paths below
    the `spec`.
    """

    meta: Meta
    spec: Mapping[str, Any]
    type: str
    is_global: bool
    options: Any
    locations: KeyLocations = KeyLocations()


class SourceKind(StrEnum):
    """Kinds of sources of a repository."""

    REMOTE = "remote"
    UPLOAD = UPLOAD
    REPOSITORY = "repository"


class Source(msgspec.Struct, frozen=True):
    """One entry of `sources`.

    `id` identifies it in membership rows: `remote:<name>`, `repository:<name>`, `upload`. `name`:
    of the remote or repository, empty for uploads; `version`: of the repository (`latest`, a
    number, a digest). `spec`: the entry as plain data; `options`: the plugin's validated model of
    its type-specific keys, `config`: the same as the three levels of a `PluginCallConfiguration`,
    as written. `locations`: by paths below the entry (`("include", 2)`). `reserved`: of uploads,
    globs of names that no other source brings; `reuses_names`: of uploads, other bytes may come
    back under a name that was removed.
    """

    id: str
    kind: SourceKind
    name: str
    spec: Mapping[str, Any]
    options: Any
    config: Any
    origin: Origin
    version: str | int = LATEST
    locations: KeyLocations = KeyLocations()
    reserved: tuple[str, ...] = ()
    reuses_names: bool = False


class Guard(msgspec.Struct, frozen=True):
    """Limit on removals.

    `max_removals`: a share (0.3) of the units, or a whole number of them (12). `floor`: number of
    units below which a share is not applied. `keeps_named`: a project that the manifest names stays
    when upstream takes it away.
    """

    max_removals: float | int = 0.3
    prevent_destroy: bool = False
    origin: Origin | None = None  # where `guard` is written, if it is
    # one of three is 33 %; but a share that is written down is meant, however few there are
    floor: int = 10
    keeps_named: bool = True


class Repository(msgspec.Struct, frozen=True):
    """Content from ordered sources.

    `removals_until`: until then the manifest's author approves of removals that a guard refuses.
    `marks`: what the manifest says of content, whichever source brings it.
    `quota`: of what is uploaded to it.
    """

    meta: Meta
    spec: Mapping[str, Any]
    type: str
    sources: tuple[Source, ...] = ()
    filters: tuple[str, ...] = ()
    mode: str = MIRROR
    guard: Guard = Guard()
    removals_until: datetime | None = None
    marks: tuple[Mark, ...] = ()
    quota: Quota | None = None

    def approves_removals(self, now: datetime) -> bool:
        """Return True if the manifest approves of guarded removals at this moment."""
        return self.removals_until is not None and now < self.removals_until


class IndexExport(msgspec.Struct, frozen=True):
    """An index elsewhere that is sent what it lacks of a publication.

    `connection`: how it is spoken to; its `index` or `url` says which one it is, its name says
    where in the manifests (`team.exports[1]`). `options`: the exporter's validated model.
    """

    connection: Remote
    options: Any = None

    @property
    def where(self) -> str:
        """Return its place in the specification of the publication: `exports[1]`."""
        return self.connection.meta.name.rpartition(".")[2]


class Publication(msgspec.Struct, frozen=True):
    """A served path of a repository.

    `version`: "latest", a number, or a version digest. `exports`: directories (absolute).
    `options`, `config`: as of a Source. `quarantined`: "withhold" what upstream withdrew, or "keep"
    to show it. `grace`: seconds for which files that a new version merely dropped stay reachable.
    `base_url`: the URL under which clients reach it, with a slash at its end; None where the server
    finds out by itself. `indexes`: what it is sent to. `readers`: None for every client of the
    server.
    """

    meta: Meta
    spec: Mapping[str, Any]
    repository: str
    path: str
    publisher: str
    version: str | int = LATEST
    options: Any = None
    exports: tuple[str, ...] = ()
    config: Any = None
    uploaders: tuple[AccessRule, ...] = ()
    managers: tuple[AccessRule, ...] = ()
    readers: tuple[AccessRule, ...] | None = None
    filters: tuple[str, ...] = ()  # beside those of the repository
    quarantined: str = WITHHOLD
    grace: int = GRACE
    base_url: str | None = None
    indexes: tuple[IndexExport, ...] = ()
    pull_through: PullThrough | None = None

    @property
    def access_rules(self) -> Mapping[str, tuple[AccessRule, ...]]:
        """The rules by their keys below `access`; none for readers where every client is one."""
        rules = {"upload": self.uploaders, "manage": self.managers}
        return {**rules, "read": self.readers or ()}


Resource = Remote | Filter | Repository | Publication
_R = TypeVar("_R", bound=Resource)


class DesiredState(msgspec.Struct, frozen=True, dict=True):
    """All resources of the manifests. Iteration is by kind, then name.

    `recorded`: resources that earlier runs recorded and no manifest of this run declares. They are
    no part of what is declared, but a global filter among them rules until it is removed.
    """

    remotes: Mapping[str, Remote] = msgspec.field(default_factory=dict)
    filters: Mapping[str, Filter] = msgspec.field(default_factory=dict)
    repositories: Mapping[str, Repository] = msgspec.field(default_factory=dict)
    publications: Mapping[str, Publication] = msgspec.field(default_factory=dict)
    recorded: DesiredState | None = None

    def __iter__(self) -> Iterator[Resource]:
        for table in (self.remotes, self.filters, self.repositories, self.publications):
            for name in sorted(table):
                yield table[name]

    @property
    def digest(self) -> Digest:
        """Digest of the manifests' meaning.

        Order, files, comments and layout do not count.
        """
        return Digest.of_value(
            [
                [
                    r.meta.kind.value,
                    r.meta.name,
                    dict(r.meta.labels),
                    dict(r.meta.annotations),
                    dict(r.spec),
                ]
                for r in self
            ]
        )

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret that a resource refers to."""
        for remote in self.remotes.values():
            values = [
                remote.tls.client_key,
                *remote.headers.values(),
                *((remote.auth.username, remote.auth.password) if remote.auth else ()),
            ]
            yield from (value for value in values if isinstance(value, Secret))
        for publication in self.publications.values():
            yield from (
                secret
                for rules in publication.access_rules.values()
                for rule in rules
                for secret in (rule.token, rule.password)
                if secret is not None
            )

    def beside(self, earlier: DesiredState) -> DesiredState:
        """Return the same resources, with those of `earlier` that they lack as `recorded`."""
        undeclared = DesiredState(
            remotes=_lacking(self.remotes, earlier.remotes),
            filters=_lacking(self.filters, earlier.filters),
            repositories=_lacking(self.repositories, earlier.repositories),
            publications=_lacking(self.publications, earlier.publications),
        )
        return msgspec.structs.replace(self, recorded=undeclared)

    def with_recorded(self) -> DesiredState:
        """Return the same resources and those that are only recorded, as if all were declared."""
        if self.recorded is None:
            return self
        return DesiredState(
            remotes={**self.recorded.remotes, **self.remotes},
            filters={**self.recorded.filters, **self.filters},
            repositories={**self.recorded.repositories, **self.repositories},
            publications={**self.recorded.publications, **self.publications},
        )

    def without_filters(self, names: Collection[str]) -> DesiredState:
        """Return the same resources without some filters among those that are only recorded."""
        if self.recorded is None:
            return self
        left = {
            name: filter_ for name, filter_ in self.recorded.filters.items() if name not in names
        }
        return msgspec.structs.replace(
            self, recorded=msgspec.structs.replace(self.recorded, filters=left)
        )

    def repository(self, name: str) -> Repository | None:
        """Return a repository that is declared, or else recorded."""
        declared = self.repositories.get(name)
        if declared is None and self.recorded is not None:
            return self.recorded.repositories.get(name)
        return declared

    def remotes_of(self, repository: str) -> set[str]:
        """Return the remotes that are sources of a repository, or of one that it copies from.

        So are those that its publications pull through.

        Rule: its bytes come from nowhere else, whatever other remotes are known to have them.
        """
        remotes = {
            publication.pull_through.remote
            for publication in self.publications.values()
            if publication.repository == repository and publication.pull_through is not None
        }
        seen, waiting = {repository}, [repository]
        while waiting:
            declared = self.repositories.get(waiting.pop())
            for source in declared.sources if declared is not None else ():
                if source.kind is SourceKind.REMOTE:
                    remotes.add(source.name)
                elif source.kind is SourceKind.REPOSITORY and source.name not in seen:
                    seen.add(source.name)
                    waiting.append(source.name)
        return remotes

    def filters_of(self, repository: Repository) -> list[Filter]:
        """Return the filters of a repository: its own and the global ones of its type, by name."""
        names = {*repository.filters, *self._global_filters.get(repository.type, ())}
        return [self._known_filters[name] for name in sorted(names)]

    def filters_on(self, publication: Publication) -> list[Filter]:
        """Return the filters of a publication: those of its repository and its own, by name."""
        own = {name: self._known_filters[name] for name in publication.filters}
        repository = self.repository(publication.repository)
        assert repository is not None
        filters = own | {applied.meta.name: applied for applied in self.filters_of(repository)}
        return [filters[name] for name in sorted(filters)]

    @cached_property
    def _known_filters(self) -> dict[str, Filter]:
        """Filters by name: the recorded ones, and over them the declared ones."""
        recorded = self.recorded.filters if self.recorded is not None else {}
        return {**recorded, **self.filters}

    @cached_property
    def _global_filters(self) -> dict[str, list[str]]:
        """Names of global filters by type."""
        names: dict[str, list[str]] = {}
        for known in self._known_filters.values():
            if known.is_global:
                names.setdefault(known.type, []).append(known.meta.name)
        return names


def _lacking(table: Mapping[str, _R], other: Mapping[str, _R]) -> dict[str, _R]:
    """Return what `other` holds and `table` does not."""
    return {name: resource for name, resource in other.items() if name not in table}


class ActualResource(msgspec.Struct, frozen=True):
    """A resource as the last apply recorded it.

    `secrets`: keyed fingerprints by the reference's path in the spec. `folder`: absolute folder of
    the manifest, the base of the spec's relative paths; empty where unknown.
    """

    ref: Ref
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    folder: str = ""


class ActualRepository(msgspec.Struct, frozen=True):
    """The latest version of a repository: number, digest, number of units.

    `id`: the database's.
    """

    id: int
    name: str
    number: int
    digest: Digest
    units: int


class FilterVerdict(msgspec.Struct, frozen=True):
    """Result of the filters for a publication, as of their last evaluation.

    Attributes:
        rules: Digest of the filters; None where they were never evaluated.
        withheld: Digest of the units that the version holds and the publication leaves out; None
            where there are none.
        units: Number of those units.
        reconsider_at: Time at which the verdict may change by itself.
    """

    rules: Digest | None = None
    withheld: Digest | None = None
    units: int = 0
    reconsider_at: datetime | None = None


class ActualPublication(msgspec.Struct, frozen=True):
    """The publication that is served under a name, the `number`-th of its resource.

    `version` is None when nothing was ever published.
    """

    id: int
    name: str
    version: int | None = None
    version_digest: Digest | None = None
    digest: Digest | None = None
    number: int = 0
    verdict: FilterVerdict = FilterVerdict()


class ActualState(msgspec.Struct, frozen=True):
    """The state that the database records, without content."""

    resources: Mapping[Ref, ActualResource] = msgspec.field(default_factory=dict)
    repositories: Mapping[str, ActualRepository] = msgspec.field(default_factory=dict)
    publications: Mapping[str, ActualPublication] = msgspec.field(default_factory=dict)


class RecordedState(msgspec.Struct, frozen=True):
    """The desired state as the last apply recorded it.

    `faults`: reasons by resource that can no longer be understood, and is therefore not in
    `desired`; their places name resources.
    """

    desired: DesiredState
    faults: Mapping[Ref, Sequence[Fault]]
