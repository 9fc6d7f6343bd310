"""Settings: flags, then environment, then `reconciler.toml`, then defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.engine import Home

FILE = "reconciler.toml"
KEYS = ("home", "database")

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of the state.  [env: RECONCILER_HOME; default: ./.reconciler]", show_default=False)
]
PathsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="PATH", help="Manifest files and folders; `-` is standard input.  [default: .]", show_default=False)
]


def home(option: Path | None) -> Home:
    """The home that flags, environment and file agree on."""
    from reconciler.engine import Home

    stored = _file()
    root = option or Path(os.environ.get("RECONCILER_HOME") or stored.get("home") or ".reconciler")
    return Home(root, os.environ.get("RECONCILER_DATABASE") or stored.get("database"))


def paths(words: list[str] | None) -> list[str]:
    return words or ["."]


def _file() -> dict[str, Any]:
    path = Path(FILE)
    if not path.exists():
        return {}
    import tomllib

    try:
        settings = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageFault(f"`{FILE}` cannot be read: {error}") from None
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise UsageFault(f"`{FILE}` holds the unknown setting `{unknown[0]}`", hint=f"known: {', '.join(KEYS)}")
    return settings
