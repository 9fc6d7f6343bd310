"""Read all manifests into one desired state, or collect all their faults."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.errors import Fault, ManifestFaults
from reconciler.manifest.document import ManifestText, Unreadable, documents
from reconciler.manifest.files import texts
from reconciler.manifest.overrides import override, parsed
from reconciler.manifest.plugin_lookup import Plugins
from reconciler.manifest.references import link
from reconciler.manifest.resources import Declaration, declaration
from reconciler.model import DesiredState, Filter, Publication, Remote, Repository
from reconciler.plugin.registry import Registry
from reconciler.reach import Limits
from reconciler.redaction import sanitize

logger = logging.getLogger(__name__)


def read(
    paths: Sequence[Path | str],
    registry: Registry,
    *,
    stdin: Callable[[], bytes] | None = None,
    overrides: Sequence[str] = (),
    limits: Limits | None = None,
) -> DesiredState:
    """Return the desired state that the manifests declare.

    Args:
        paths: files, folders (searched recursively for `.yaml` and `.yml`), or `-` for `stdin`.
        overrides: `KIND/NAME.key=VALUE`, plugin keys for this run. They appear in `options` and
        `config`, not in `spec` and not in digests.
        limits: what the manifests may reach; those of the environment by default.

    Raises ManifestFaults with all faults of all files, sorted by place. Reads these files only: no
    network, no state.
    """
    faults: list[Fault] = []
    unreadable: list[Fault] = []
    plugins = Plugins(registry)
    declared: list[Declaration] = []
    complete = True
    for source in texts(paths, stdin, limits or Limits.of(os.environ), faults=unreadable):
        complete = _read_file(source, plugins, declared=declared, faults=faults) and complete
    complete = complete and not unreadable
    named = link(declared, plugins, complete=complete)
    override(parsed(overrides, faults), named, plugins, faults=faults, complete=complete)
    faults += unreadable
    if faults:
        raise ManifestFaults(
            sorted(
                {_printable(fault) for fault in faults},
                key=lambda fault: (
                    fault.origin,
                    _by_number(fault.message),
                    fault.message,
                    fault.hint or "",
                ),
            )
        )
    return state(declared)


def _printable(fault: Fault) -> Fault:
    """Return a fault for a terminal: manifests of strangers are checked, and messages quote them.

    Rule: no character that does not print, and no text without end, comes out of a manifest.
    """
    origin = fault.origin._replace(file=sanitize(fault.origin.file))
    hint = sanitize(fault.hint) if fault.hint else fault.hint
    return Fault(origin, sanitize(fault.message), hint)


def _by_number(message: str) -> str:
    """Return a sort key that puts line 2 of a file before line 10."""
    return re.sub(r"[0-9]+", lambda number: number[0].zfill(12), message)


def _read_file(
    source: ManifestText,
    plugins: Plugins,
    *,
    declared: list[Declaration],
    faults: list[Fault],
) -> bool:
    """Read one file into `declared` and `faults`; return True if all its names are known."""
    logger.debug("reading `%s`", source.name)
    understood = True
    try:
        for document in documents(source, faults):
            result = declaration(document, plugins, faults)
            document.drop()
            if result is None:
                understood = False
            else:
                declared.append(result)
    except Unreadable as stop:
        faults.append(stop.fault)
        return False
    return understood


def state(declared: Sequence[Declaration]) -> DesiredState:
    """Return the desired state of these declarations."""
    resources = [resource.resource for resource in declared]
    return DesiredState(
        remotes={
            resource.meta.name: resource for resource in resources if isinstance(resource, Remote)
        },
        filters={
            resource.meta.name: resource for resource in resources if isinstance(resource, Filter)
        },
        repositories={
            resource.meta.name: resource
            for resource in resources
            if isinstance(resource, Repository)
        },
        publications={
            resource.meta.name: resource
            for resource in resources
            if isinstance(resource, Publication)
        },
    )
