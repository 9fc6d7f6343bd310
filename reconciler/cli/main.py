"""The tree of commands; messages and exit codes of errors."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import typer
from typer.exceptions import TyperException

from reconciler import __version__
from reconciler.cli import (
    apply,
    collection,
    completion,
    describe,
    diff,
    explain,
    fetch,
    get,
    history,
    init,
    mark,
    output,
    plan,
    plugins,
    remove,
    repair,
    restore,
    schema,
    serve,
    token,
    unmark,
    unyank,
    upload,
    validate,
    verify,
    yank,
)
from reconciler.cli.command_log import CommandLog, with_log
from reconciler.cli.plain_help import PlainCommand, PlainGroup
from reconciler.cli.termination import INTERRUPTED, Termination
from reconciler.errors import ManifestFaults, ReconcilerError

# a run makes many objects and few cycles: at Python's default pace, collecting takes a tenth of it
GARBAGE = (100_000, 50, 100)

VERBS = (
    init,
    validate,
    plan,
    apply,
    serve,
    upload,
    remove,
    yank,
    unyank,
    mark,
    unmark,
    restore,
    token,
    get,
    describe,
    history,
    diff,
    explain,
    fetch,
    verify,
    repair,
    collection,
    schema,
    plugins,
)


def tree(verb: str = "") -> typer.Typer:
    """Return the commands.

    If `verb` is one, only that one is built: typer takes 6 ms for each.
    """
    app = typer.Typer(
        name="reconciler",
        cls=PlainGroup,
        help="GitOps for package repositories: plan the difference, apply it, serve the result.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    asked = [module for module in VERBS if verb == module.NAME]
    for module in asked or VERBS:
        summary = _first_sentence(module.command.__doc__ or "")
        if hasattr(module, "SUBCOMMANDS"):
            app.add_typer(_group(module), name=module.NAME, short_help=summary)
        else:
            app.command(name=module.NAME, short_help=summary, cls=PlainCommand)(
                with_log(module.NAME, module.command)
            )
    return app


@cache
def _command(verb: str) -> Callable[..., Any]:
    """Return what runs a command line; kept, since one process may run many."""
    return typer.main.get_command(tree(verb))


def _group(verb: ModuleType) -> typer.Typer:
    """Return a verb with subcommands; without one of them it runs its `command`."""
    group = typer.Typer(cls=PlainGroup, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(with_log(verb.NAME, verb.command))
    for name, command in verb.SUBCOMMANDS.items():
        summary = _first_sentence(command.__doc__ or "")
        group.command(name=name, short_help=summary, cls=PlainCommand)(
            with_log(f"{verb.NAME} {name}", command)
        )
    return group


def _first_sentence(text: str) -> str:
    """Return the first sentence of a docstring for the list of commands."""
    return text.partition(".")[0].partition(":")[0].strip() + "."


def _version(value: bool) -> None:
    if value:
        output.line(f"reconciler {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
    show_completion: bool = typer.Option(
        False,
        completion.SHOW,
        help="Print the completion of a shell and exit: `bash`, `zsh`, `fish`, or the one found.",
    ),
    install_completion: bool = typer.Option(
        False, completion.INSTALL, help="Install the completion of a shell and exit."
    ),
) -> None:
    """Options of every command."""


def main() -> None:
    """Run the command line; never returns."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    gc.set_threshold(*GARBAGE)
    termination = Termination()
    with output.streams() as written, CommandLog() as log, termination.handled():
        asked = [] if completion.prepare() else ["--help"]
        code = _exit_code(arguments or asked, termination)
        code = written.exit_code(code)
        log.end(code)
    return code


def _described(error: OSError) -> tuple[str, str]:
    """Return a message and a hint for an error of the file system."""
    from pathlib import Path

    from reconciler.engine.session.home_folder import belongs

    path = Path(os.fsdecode(error.filename))
    owner = belongs(path if path.exists() else path.parent)
    return (
        f"`{path}`: {error.strerror}{owner}",
        "nothing that was committed is lost; run again once the disk can be used",
    )


def _exit_code(arguments: list[str], termination: Termination) -> int:
    """Run one command, print what it raises, and return its exit code."""
    try:
        if completion.is_asked(arguments):
            return completion.run(arguments)
        verb = next((module.NAME for module in VERBS if arguments[:1] == [module.NAME]), "")
        code = _command(verb)(arguments, standalone_mode=False, prog_name="reconciler")
    except ManifestFaults as faults:
        output.faults(faults, did_nothing=arguments[0] != validate.NAME)
        return 1
    except ReconcilerError as error:
        output.error(error.message, error.hint)
        return 1
    except TyperException as error:
        output.error(
            error.format_message(),
            "`reconciler --help` and `reconciler COMMAND --help` list what there is",
        )
        return 1
    except OSError as error:
        if error.filename is not None:
            output.error(*_described(error))
        elif not output.has_failed():  # else it is said at the end
            output.error(error.strerror or str(error), "`-vv` shows what was done before")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer turns an interrupt into this code itself
        hint = "what was verified is kept; the next run goes on from here"
        output.error(termination.word, hint)
        return termination.code
    return code if isinstance(code, int) else 0
