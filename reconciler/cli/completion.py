"""Shell completion: scripts for bash, zsh and fish, shown or installed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script, install

from reconciler.cli import output
from reconciler.errors import UsageFault

PROGRAM = "reconciler"
VARIABLE = "_RECONCILER_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
SHOW, INSTALL = "--show-completion", "--install-completion"


def is_asked(arguments: Sequence[str]) -> bool:
    """Return True for `--show-completion` and `--install-completion`."""
    return bool(arguments) and arguments[0].partition("=")[0] in (SHOW, INSTALL)


def run(arguments: Sequence[str]) -> int:
    """Show or install the script for the shell that is named, or else found, or else bash."""
    option, _, value = arguments[0].partition("=")
    shell = value or (arguments[1] if len(arguments) > 1 else found_shell())
    if shell not in SHELLS:
        raise UsageFault(f"there is no completion for `{shell}`", hint="`bash`, `zsh` or `fish`")
    if option == SHOW:
        script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)
        output.line(script)
        return 0
    _, path = install(shell=shell, prog_name=PROGRAM, complete_var=VARIABLE)
    output.line(f"{shell} completion installed in `{path}`")
    output.line("It is there in the next shell.")
    return 0


def prepare() -> bool:
    """Return True if a shell asks for completions, and get ready to answer."""
    if VARIABLE not in os.environ:
        return False
    completion_init()
    return True


def found_shell() -> str:
    """Return the shell that this process was started from, else the user's, else bash."""
    try:
        from shellingham import detect_shell  # type: ignore[import-untyped]

        name: str = detect_shell()[0]
    except Exception:  # no such package, or no shell among the parents
        name = Path(os.environ.get("SHELL", "")).name
    return name if name in SHELLS else "bash"
