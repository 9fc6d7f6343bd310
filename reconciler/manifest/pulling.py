"""`pullThrough` of a Publication: the remote behind it, and what of it may come in."""

from __future__ import annotations

from typing import Final

from reconciler.manifest.kinds import PullThroughSpec
from reconciler.manifest.plugin_lookup import Plugins, Usable
from reconciler.manifest.plugin_options import Effective, effective
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import keys
from reconciler.model import LATEST, PullThrough, SourceKind
from reconciler.plugin.importer import low_level

PATH: Final = ("spec", "pullThrough")
_IMPORTERS: Final = ("include", "exclude")  # keys that the importer reads, as of a source
_CORE: Final = tuple(key for key in keys(PullThroughSpec) if key not in _IMPORTERS)
REFUSED: Final = "refused"


def pull_options(
    checked: Checked, repository_type: str | None, publisher: Usable, *, plugins: Plugins
) -> Effective | str | None:
    """Return the importer's options of `pullThrough`, None without that key.

    REFUSED, and faults, where it cannot be.
    """
    if checked.get(*PATH) is None:
        return None
    importer = plugins.importer(repository_type) if repository_type is not None else None
    if not isinstance(importer, Usable):
        return REFUSED  # the fault of the repository says why
    fault = _fault(checked, importer, publisher)
    if fault is not None:
        checked.refuse(PATH, f"`spec.pullThrough`: {fault[0]}", fault[1], key=True)
        return REFUSED
    if not isinstance(checked.get(*PATH), dict):
        return REFUSED  # the model of the publication says so
    options = effective(checked, PATH, importer, core=_CORE, kind=SourceKind.REMOTE)
    return REFUSED if options is None else options


def pull_through(
    spec: PullThroughSpec | None, pulled: Effective | str | None
) -> PullThrough | None:
    """Return the noun that the key makes."""
    if spec is None or not isinstance(pulled, Effective):
        return None
    return PullThrough(
        spec.remote,
        pulled.options,
        pulled.config,
        ttl=int(spec.ttl.total_seconds()),
        negative_ttl=int(spec.negative_ttl.total_seconds()),
        stale_for=int(spec.stale_for.total_seconds()),
        max_size=spec.max_size,
        offline=spec.offline,
    )


def _fault(checked: Checked, importer: Usable, publisher: Usable) -> tuple[str, str] | None:
    """Return why a publication cannot pull through, and what to do about it."""
    if low_level(importer.cls) or importer.cls.shared_groups:
        return f"content of type `{importer.id}` has no names to be asked for", "leave it out"
    if not publisher.cls.pulls_through:
        return f"publisher `{publisher.id}` does not support it", "leave it out"
    version = checked.get("spec", "version")
    if version is not None and version != LATEST:
        return "this publication is pinned to a version", "leave out `version`, or this key"
    if checked.items("spec", "exports"):
        return "an export needs every file before it is asked for", "leave out `exports`"
    return None
