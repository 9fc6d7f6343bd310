"""The door: everything that a plugin may import from reconciler, under a version of its own (`API_VERSION`, semver).

Comes in: classes that plugins advertise as entry points. Goes out: ports, option models, calls and conduits, units.
Must never know: any packaging format, SQL, manifests, the engine.
"""

from reconciler.errors import Gone, Malformed, PluginFault, Refused, Stale, Unreachable
from reconciler.model import Artifact, Group, StoredArtifact, StoredUnit, Unit
from reconciler.plugin.calls import GroupOutput, ImporterCall, Page, PublishConduit
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.options import Options
from reconciler.plugin.ports import (
    UNCHANGED,
    ActiveFilter,
    ContentType,
    Decision,
    Importer,
    Metadata,
    Publisher,
    Summary,
)
from reconciler.plugin.registry import API_VERSION, Plugin, Registry

__all__ = [
    "API_VERSION",
    "UNCHANGED",
    "ActiveFilter",
    "Artifact",
    "ContentType",
    "Decision",
    "Gone",
    "Group",
    "GroupOutput",
    "Importer",
    "ImporterCall",
    "Malformed",
    "Metadata",
    "Options",
    "Page",
    "Plugin",
    "PluginCallConfiguration",
    "PluginFault",
    "PublishConduit",
    "Publisher",
    "Refused",
    "Registry",
    "Stale",
    "StoredArtifact",
    "StoredUnit",
    "Summary",
    "Unit",
    "Unreachable",
]
