"""Pydantic models of the envelope and the four kinds: keys, types and ranges.

Models that leave room for a plugin's keys ignore unknown keys: `resources` passes the rest to the
plugin's model, which refuses keys that it does not know either.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from reconciler.errors import Origin
from reconciler.manifest.access import AccessSpec, Glob
from reconciler.manifest.fields import (
    BaseUrl,
    Cidr,
    Header,
    LabelKey,
    MirrorUrl,
    Name,
    Policy,
    Proxy,
    Rate,
    Redirects,
    RemoteUrl,
    Share,
    UrlPath,
    Version,
    WebUrl,
)
from reconciler.model import GRACE, IMMEDIATE, LATEST, SAME_ORIGIN, Kind, Meta, SourceKind
from reconciler.plugin import Duration, NotEmpty, OptionFault, Options, Secret, Size
from reconciler.plugin.secrets import FilePath

API = "reconciler/v1"

# Headers whose value is always a credential.
SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "private-token"}
)


class Metadata(Options):
    name: Name
    labels: dict[LabelKey, str] = Field(default_factory=dict)
    annotations: dict[LabelKey, str] = Field(default_factory=dict)


class Manifest(Options):
    api_version: Literal["reconciler/v1"]
    kind: str
    metadata: Metadata

    def meta(self, origin: Origin) -> Meta:
        """Return the envelope as `Meta`; `origin`: where the document begins."""
        return Meta(
            Kind(self.kind),
            self.metadata.name,
            origin,
            self.metadata.labels,
            self.metadata.annotations,
        )


class AuthSpec(Options):
    username: str | Secret
    password: Secret


class TlsSpec(Options):
    verify: bool = True
    ca: FilePath | None = None
    client_cert: FilePath | None = None
    client_key: Secret | None = None


class TimeoutsSpec(Options):
    connect: Duration | None = None
    read: Duration | None = None
    total: Duration | None = None


class EgressSpec(Options):
    allow: list[Cidr] = Field(default_factory=list, min_length=1)
    deny: list[Cidr] = Field(default_factory=list, min_length=1)


class ConnectionSpec(Options):
    """Settings of a connection: of a Remote, and of an index that is sent to."""

    model_config = ConfigDict(extra="ignore")

    tls: TlsSpec = TlsSpec()
    proxy: Proxy | None = None
    headers: dict[Header, str | Secret] = Field(default_factory=dict)
    timeouts: TimeoutsSpec = TimeoutsSpec()
    retries: int = Field(default=4, ge=0, le=100)
    concurrency: int = Field(default=32, ge=1, le=256)
    rate_limit: Rate | None = None
    redirects: Redirects = SAME_ORIGIN
    egress: EgressSpec = EgressSpec()


class RemoteAddress(Options):
    type: str
    index: str | None = None
    url: RemoteUrl | None = None
    policy: Policy = IMMEDIATE
    auth: AuthSpec | None = None


class RemoteSpec(ConnectionSpec, RemoteAddress):
    model_config = ConfigDict(extra="ignore")

    max_size: Size | None = None
    mirrors: Annotated[list[MirrorUrl], NotEmpty()] = Field(
        default_factory=list,
        description="Asked first for files whose digest is declared, never for pages; one that"
        " fails or sends other bytes is left out for the rest of a run.",
    )


class FilterSpec(Options):
    model_config = ConfigDict(extra="ignore")

    type: str
    is_global: bool = Field(default=False, alias="global")


class SourceRemote(Options):
    """Keys of a `remote` source. `everything`: only for types with `selection_required`."""

    model_config = ConfigDict(extra="ignore")

    name: str
    everything: bool = Field(
        default=False,
        description="Take all that upstream has; for types that ask for a selection otherwise.",
    )


class SourceRepository(Options):
    model_config = ConfigDict(extra="ignore")

    name: str
    version: Version = LATEST


class SourceUpload(Options):
    model_config = ConfigDict(extra="ignore")

    names: Annotated[tuple[Glob, ...], Field(strict=False), NotEmpty()] = Field(
        default=(),
        description="Names that are for uploads alone, with globs, before anything is uploaded: no"
        " other source ever brings them.",
    )
    reuse_names: bool = Field(
        default=False,
        description="Let other bytes come back under the name of an upload that was removed.",
    )


SOURCES: dict[str, type[Options]] = {
    SourceKind.REMOTE.value: SourceRemote,
    SourceKind.REPOSITORY.value: SourceRepository,
    SourceKind.UPLOAD.value: SourceUpload,
}


class SourceSpec(Options):
    not_yet: ClassVar[frozenset[str]] = frozenset({"path"})

    remote: SourceRemote | None = None
    repository: SourceRepository | None = None
    upload: SourceUpload | None = None

    @model_validator(mode="after")
    def _is_one(self) -> SourceSpec:
        if sum(source is not None for source in (self.remote, self.repository, self.upload)) != 1:
            raise OptionFault(
                "expects exactly one of `remote`, `repository` and `upload`",
                hint="`- remote: {name: ...}`, `- repository: {name: ...}` or `- upload: {}`",
            )
        return self


class SyncSpec(Options):
    not_yet: ClassVar[frozenset[str]] = frozenset({"interval"})

    mode: Literal["mirror", "additive"] = "mirror"


class GuardSpec(Options):
    max_removals: Share = 0.3
    prevent_destroy: bool = False
    named_projects: Literal["refuse", "allow"] = "refuse"


class YankSpec(Options):
    what: str = Field(description="A release or a file, as the type names it: `foo==1.0`.")
    reason: str = Field(default="", max_length=400, description="Why; installers show it.")


class QuotaSpec(Options):
    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["size"]}, {"required": ["files"]}]}
    )

    size: Size | None = Field(
        default=None, description="Bytes of all uploaded files that the latest version holds."
    )
    files: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Uploaded files that the latest version holds."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> QuotaSpec:
        if self.size is None and self.files is None:
            raise OptionFault("expects `size`, `files` or both", hint="`quota: {size: 50GiB}`")
        return self


class RepositorySpec(Options):
    not_yet: ClassVar[frozenset[str]] = frozenset({"retain", "lock"})

    type: str
    sources: Annotated[list[SourceSpec], NotEmpty()] = Field(default_factory=list)
    filters: list[str] = Field(default_factory=list)
    sync: SyncSpec = SyncSpec()
    guard: GuardSpec = GuardSpec()
    yank: list[YankSpec] = Field(
        default_factory=list,
        description="What installers should no longer choose, mirrored or uploaded: it stays where"
        " it is, and pages say so.",
    )
    quota: QuotaSpec | None = Field(
        default=None, description="Limit of uploads; what is beyond it is refused."
    )


class DirectoryExport(Options):
    path: FilePath


class IndexAuthSpec(Options):
    """Credentials of an index that is sent to: a token, or a user with a password."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["token"]}, {"required": ["username", "password"]}],
            "dependentRequired": {"password": ["username"], "username": ["password"]},
        }
    )

    token: Secret | None = Field(
        default=None, description="Sent as the password of the user `__token__`."
    )
    username: str | Secret | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _is_one(self) -> IndexAuthSpec:
        by_name = self.username is not None and self.password is not None
        neither = self.username is None and self.password is None
        if (self.token is None) != by_name or not (by_name or neither):
            raise OptionFault(
                "expects either `token`, or `username` and `password`",
                hint="`{token: {env: NAME}}` or `{username: ci, password: {env: NAME}}`",
            )
        return self


class IndexAddress(Options):
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="A well-known index, or one that the user's configuration names."
    )
    url: WebUrl | None = Field(default=None, description="Where files are sent.")
    auth: IndexAuthSpec | None = None


class IndexSpec(ConnectionSpec, IndexAddress):
    """An index elsewhere that is sent what it lacks; the publisher has further keys for it."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"oneOf": [{"required": ["name"]}, {"required": ["url"]}]},
    )

    @model_validator(mode="after")
    def _is_located(self) -> IndexSpec:
        if (self.name is None) == (self.url is None):
            raise OptionFault(
                "expects exactly one of `name` and `url`",
                hint="the name of an index, or the URL that its files are sent to",
            )
        return self


class ExportSpec(Options):
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["directory"]}, {"required": ["index"]}]}
    )

    directory: DirectoryExport | None = None
    index: IndexSpec | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ExportSpec:
        if (self.directory is None) == (self.index is None):
            raise OptionFault(
                "expects exactly one of `directory` and `index`",
                hint="`- directory: {path: ...}` or `- index: {name: ...}`",
            )
        return self


class PullThroughSpec(Options):
    remote: str = Field(description="The Remote that is asked for what the repository lacks.")
    include: list[str] = Field(
        default_factory=list,
        description="What may come in, as in `include` of a `remote` source; else everything.",
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="What is never asked for, as in `exclude` of a `remote` source.",
    )
    ttl: Duration = Field(
        default=timedelta(minutes=10),
        description="How long a page is served before upstream is asked whether it changed.",
    )
    negative_ttl: Duration = Field(
        default=timedelta(minutes=1),
        description="The same for names that upstream does not have.",
    )
    stale_for: Duration = Field(
        default=timedelta(days=7),
        description="How long a page is served after the last answer of an upstream that fails.",
    )
    max_size: Size = Field(
        default=50 * 1024**3,
        json_schema_extra={"default": "50GiB"},
        description="Bytes of files that no version holds: of more, those go first that were asked"
        " for longest ago.",
    )
    offline: bool = Field(
        default=False, description="Serve what was fetched, of any age, and ask for nothing."
    )


class PublicationSpec(Options):
    model_config = ConfigDict(extra="ignore")

    repository: str
    version: Version = LATEST
    path: UrlPath
    publisher: str | None = None
    filters: list[str] = Field(default_factory=list)
    quarantined: Literal["withhold", "keep"] = "withhold"
    access: AccessSpec = AccessSpec()
    grace: Duration = Field(
        default=timedelta(seconds=GRACE),
        description="How long files stay reachable that a new version merely dropped; what a rule"
        " took away is gone at once. `0s`: no time.",
    )
    base_url: BaseUrl | None = Field(
        default=None,
        description="Where clients find the publication, for pages that have to say it. Without it"
        " the server says what each request was sent to; exports of such pages need it.",
    )
    exports: list[ExportSpec] = Field(default_factory=list)
    pull_through: PullThroughSpec | None = None


class RemoteManifest(Manifest):
    kind: Literal["Remote"]
    spec: RemoteSpec


class FilterManifest(Manifest):
    kind: Literal["Filter"]
    spec: FilterSpec


class RepositoryManifest(Manifest):
    kind: Literal["Repository"]
    spec: RepositorySpec


class PublicationManifest(Manifest):
    kind: Literal["Publication"]
    spec: PublicationSpec


MANIFESTS: dict[str, type[Manifest]] = {
    Kind.REMOTE: RemoteManifest,
    Kind.FILTER: FilterManifest,
    Kind.REPOSITORY: RepositoryManifest,
    Kind.PUBLICATION: PublicationManifest,
}
