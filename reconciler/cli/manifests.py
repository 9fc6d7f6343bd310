"""Manifests as arguments of commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import settings

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
    )


def folders(paths: Sequence[str]) -> list[Path]:
    """Return the paths that are not standard input."""
    return [Path(path) for path in paths if path != "-"]
