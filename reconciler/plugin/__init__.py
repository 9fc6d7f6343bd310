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
    Refused,
    Stale,
    Unreachable,
    Withdrawn,
)
from reconciler.model import Artifact, Group, Page, StoredArtifact, StoredUnit, Unit, safe_path
from reconciler.plugin.calls import (
    UNCHANGED,
    ImporterCall,
    Part,
    ReadingCall,
    RepositoryInfo,
    Scratchpads,
    Unchanged,
    WritableScratchpads,
)
from reconciler.plugin.conduits import (
    CopyConduit,
    GroupOutput,
    Members,
    MissingCall,
    Placed,
    PublishConduit,
    ReceiveConduit,
    Redirect,
    SyncConduit,
    UploadConduit,
    UploadedFile,
    UploadForm,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.content import ActiveFilter, ContentType, Decision, Step, Summary
from reconciler.plugin.importer import Importer
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
from reconciler.plugin.publisher import UPLOAD_PATH, Publisher
from reconciler.plugin.validation import API_VERSION
from reconciler.redaction import sanitize

__all__ = [
    "API_VERSION",
    "UNCHANGED",
    "UPLOAD_PATH",
    "ActiveFilter",
    "Artifact",
    "Conflict",
    "ContentType",
    "CopyConduit",
    "Decision",
    "Duration",
    "Gone",
    "Group",
    "GroupOutput",
    "Importer",
    "ImporterCall",
    "Located",
    "LocatedPath",
    "Malformed",
    "Members",
    "Metadata",
    "MissingCall",
    "NotCached",
    "NotEmpty",
    "OptionFault",
    "Options",
    "Page",
    "Part",
    "Placed",
    "PluginCallConfiguration",
    "PluginFault",
    "PublishConduit",
    "Publisher",
    "ReadingCall",
    "ReceiveConduit",
    "Redirect",
    "Refused",
    "RepositoryInfo",
    "Scratchpads",
    "Size",
    "Stale",
    "Step",
    "StoredArtifact",
    "StoredUnit",
    "Summary",
    "SyncConduit",
    "Unchanged",
    "Unit",
    "Unreachable",
    "UploadConduit",
    "UploadForm",
    "UploadedFile",
    "ValidateConduit",
    "Withdrawn",
    "WritableScratchpads",
    "parse_duration",
    "parse_size",
    "safe_path",
    "sanitize",
]
