"""Help in users' words: what a value is, never how Python calls its type."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import typer.core

WORDS = {"str": "TEXT", "Path": "PATH", "path": "PATH", "int": "NUMBER", "float": "NUMBER"}


class PlainCommand(typer.core.TyperCommand):
    """A command whose help names no Python type."""

    def __init__(self, *arguments: Any, **keys: Any) -> None:
        super().__init__(*arguments, **keys)
        _say_plainly(self.params)


class PlainGroup(typer.core.TyperGroup):
    """A group of commands whose help names no Python type."""

    def __init__(self, *arguments: Any, **keys: Any) -> None:
        super().__init__(*arguments, **keys)
        _say_plainly(self.params)


def _say_plainly(parameters: Iterable[Any]) -> None:
    for parameter in parameters:
        parameter.display_type_rich = partial(_words, parameter, parameter.display_type_rich)
        if parameter.param_type_name == "argument" and parameter.metavar is not None:
            parameter._usage_display_name = partial(_usage, parameter)


def _usage(parameter: Any) -> str:
    """Return an argument as the line of usage shows it."""
    name = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
    several = parameter.nargs != 1 and " " not in name and "/" not in name
    return f"{name}..." if several else name


def _words(parameter: Any, typed: Any, ctx: Any) -> str:
    """Return what stands behind a name in the help: the values of a choice, or a plain word."""
    if parameter.param_type_name == "argument":
        return ""
    if parameter.metavar is not None:
        return str(parameter.metavar)
    label = typed(ctx=ctx).strip("<>.").removeprefix("list[").removesuffix("]").strip("<>")
    if "|" in label:
        return f"[{label}]"
    return WORDS.get(label.removesuffix(" range"), "VALUE")
