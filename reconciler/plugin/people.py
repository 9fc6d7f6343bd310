"""Words for people: how pages show a unit, and how clients are set up to use a publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Details(msgspec.Struct, frozen=True):
    """Further words of a unit on pages for people, beside its version, label and files.

    `marks`: what people should know before they use it: `yanked: broken metadata`. `facts`: by
    name, in order. `order`: of units in a group, the greatest first; values of all units of a group
    can be compared. All texts may be hostile: pages escape them.
    """

    marks: Sequence[str] = ()
    facts: Mapping[str, str] = {}
    order: Any = ""


class InstructionConduit(msgspec.Struct, frozen=True):
    """Argument of `Publisher.instructions`.

    `publication`: its name. `base_url`: its address, with a slash at its end. `private`: clients
    send a token or a password. `uploads`: it takes files. `group`: the one that people look at,
    empty for all.
    """

    publication: str
    base_url: str
    private: bool = False
    uploads: bool = False
    group: str = ""


class Instruction(msgspec.Struct, frozen=True):
    """Text to copy: a command, or a part of a configuration file. `title` says for what or where.

    A secret stands in it as a placeholder.
    """

    title: str
    text: str
