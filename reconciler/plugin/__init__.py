"""The door: everything that a plugin may import from reconciler, under a version of its own (`API_VERSION`, semver).

Comes in: classes that plugins advertise as entry points. Goes out: ports, option models, calls and conduits, units.
Must never know: any packaging format, SQL, manifests, the engine.
"""

from reconciler.errors import Gone, Malformed, PluginFault, Refused, Stale, Unreachable
from reconciler.model import Artifact, Group, Page, StoredArtifact, StoredUnit, Unit
from reconciler.plugin.calls import GroupOutput, ImporterCall, PublishConduit
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.options import Duration, OptionFault, Options, Size, parse_duration, parse_size
from reconciler.plugin.ports import (
    UNCHANGED,
    ActiveFilter,
    ContentType,
    Decision,
    Importer,
    Metadata,
    Publisher,
    Summary,
    Unchanged,
)
from reconciler.plugin.registry import API_VERSION, Plugin, Registry

__all__ = [
    "API_VERSION",
    "UNCHANGED",
    "ActiveFilter",
    "Artifact",
    "ContentType",
    "Decision",
    "Duration",
    "Gone",
    "Group",
    "GroupOutput",
    "Importer",
    "ImporterCall",
    "Malformed",
    "Metadata",
    "OptionFault",
    "Options",
    "Page",
    "Plugin",
    "PluginCallConfiguration",
    "PluginFault",
    "PublishConduit",
    "Publisher",
    "Refused",
    "Registry",
    "Size",
    "Stale",
    "StoredArtifact",
    "StoredUnit",
    "Summary",
    "Unchanged",
    "Unit",
    "Unreachable",
    "parse_duration",
    "parse_size",
]
