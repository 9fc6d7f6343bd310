"""Manifests as arguments of commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import invocation, output, settings
from reconciler.redaction import sanitize

if TYPE_CHECKING:
    from reconciler.model import DesiredState
    from reconciler.plugin.registry import Registry

OverrideOption = Annotated[
    list[str] | None,
    typer.Option(
        "--override",
        metavar="KIND/NAME.key=VALUE",
        help="A plugin's key for this run; never recorded. May be repeated.",
        show_default=False,
    ),
]


def read(
    paths: Sequence[str], registry: Registry | None = None, overrides: Sequence[str] | None = None
) -> DesiredState:
    """Return the desired state of the manifests and overrides. Raises ManifestFaults."""
    from reconciler import manifest

    return manifest.read(
        paths,
        registry or settings.registry(),
        stdin=sys.stdin.buffer.read,
        overrides=overrides or (),
        limits=invocation.current().limits,
    )


def warn_of_secrets(desired: DesiredState, registry: Registry) -> None:
    """Warn where a CI run sends secrets that no setting bounds: name each, and its host."""
    limits = invocation.current().limits
    if not limits.unattended or limits.bounds_secrets:
        return
    from reconciler.manifest import all_sent_secrets

    sent = {
        f"`{own.secret}` to `{sanitize(own.host, 200)}`"
        for own in all_sent_secrets(desired, registry)
    }
    if sent:
        output.warning(
            f"these manifests send secrets of this CI run: {', '.join(sorted(sent))}",
            "`RECONCILER_SECRET_NAMES` and `RECONCILER_SECRET_HOSTS` bound which, and where to",
        )


def folders(paths: Sequence[str]) -> list[Path]:
    """Return the paths that are not standard input."""
    return [Path(path) for path in paths if path != "-"]
