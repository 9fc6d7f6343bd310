"""The plugin API: everything that a plugin may import, versioned by `API_VERSION` (semver).

Comes in: classes that plugins advertise as entry points. Goes out: ports, option models, calls and
conduits, units. Must never know: any packaging format, SQL, manifests, the engine.
"""

from reconciler.errors import (
    Conflict,
    Gone,
    Malformed,
    NotCached,
    PluginFault,
    ReconcilerError,
    Refused,
    Stale,
    Unreachable,
    Withdrawn,
)
from reconciler.model import Artifact, Group, Page, StoredArtifact, StoredUnit, Unit, safe_path
from reconciler.plugin.conduits import (
    CopyConduit,
    MissingConduit,
    Output,
    PublishConduit,
    PublishedVersion,
    ReceiveConduit,
    Redirect,
    RepositoryContent,
    Signer,
    SyncConduit,
    UploadConduit,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.content import ActiveFilter, ContentType, Decision, Summary, TraceStep
from reconciler.plugin.endpoints import (
    GENERIC_UPLOAD,
    UPLOAD_PATH,
    Answer,
    Endpoint,
    GroupedUnit,
    Received,
    ReceivedRequest,
    UploadedFile,
)
from reconciler.plugin.importer import Importer
from reconciler.plugin.indexes import IndexEntry, IndexFile, RenderedFile, SortKey
from reconciler.plugin.options import (
    Duration,
    Located,
    LocatedPath,
    Metadata,
    NotEmpty,
    OptionFault,
    Options,
    Size,
    parse_duration,
    parse_size,
)
from reconciler.plugin.publisher import Publisher
from reconciler.plugin.reserved_keys import RESERVED_KEYS
from reconciler.plugin.secrets import Secret
from reconciler.plugin.upstream_conduits import (
    UNCHANGED,
    Part,
    ReadConduit,
    RepositoryInfo,
    Scratchpads,
    Unchanged,
    UpstreamConduit,
    WritableScratchpads,
)
from reconciler.plugin.validation import API_VERSION
from reconciler.redaction import sanitize

__all__ = [
    "API_VERSION",
    "GENERIC_UPLOAD",
    "RESERVED_KEYS",
    "UNCHANGED",
    "UPLOAD_PATH",
    "ActiveFilter",
    "Answer",
    "Artifact",
    "Conflict",
    "ContentType",
    "CopyConduit",
    "Decision",
    "Duration",
    "Endpoint",
    "Gone",
    "Group",
    "GroupedUnit",
    "Importer",
    "IndexEntry",
    "IndexFile",
    "Located",
    "LocatedPath",
    "Malformed",
    "Metadata",
    "MissingConduit",
    "NotCached",
    "NotEmpty",
    "OptionFault",
    "Options",
    "Output",
    "Page",
    "Part",
    "PluginCallConfiguration",
    "PluginFault",
    "PublishConduit",
    "PublishedVersion",
    "Publisher",
    "ReadConduit",
    "ReceiveConduit",
    "Received",
    "ReceivedRequest",
    "ReconcilerError",
    "Redirect",
    "Refused",
    "RenderedFile",
    "RepositoryContent",
    "RepositoryInfo",
    "Scratchpads",
    "Secret",
    "Signer",
    "Size",
    "SortKey",
    "Stale",
    "StoredArtifact",
    "StoredUnit",
    "Summary",
    "SyncConduit",
    "TraceStep",
    "Unchanged",
    "Unit",
    "Unreachable",
    "UploadConduit",
    "UploadedFile",
    "UpstreamConduit",
    "ValidateConduit",
    "Withdrawn",
    "WritableScratchpads",
    "parse_duration",
    "parse_size",
    "safe_path",
    "sanitize",
]
