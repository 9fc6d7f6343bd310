"""Declarations of a high-level importer, checked where they enter the core."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from reconciler.engine.plugin_calls.plugin_errors import is_unawaited
from reconciler.engine.plugin_calls.upstream_conduits import ReadingConduit, is_usable_validator
from reconciler.errors import PluginFault
from reconciler.model import Group, is_usable_name

MAX_GROUPS = 10_000_000  # of one source: a listing that never ends stops there


@dataclass(slots=True)
class Declaration:
    """The groups that a source declares, sorted by what has to be done.

    Attributes:
        names: All names.
        foreign: Names that an earlier source owns.
        changed: Groups that have to be read.
        refused: Groups that a rule keeps out whole, with the reason.
    """

    names: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    changed: list[Group] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def declared_groups(answer: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Iterate over what `declare` yields; the generator ends with the block.

    Nothing of it may run once its call is closed.
    """
    if not isinstance(answer, AsyncIterator):
        is_unawaited(answer)
        raise PluginFault(
            f"`declare` is an async generator: it gives {type(answer).__name__}",
            hint="`async def declare`, and `yield` within",
        )
    try:
        yield answer
    finally:
        if isinstance(answer, AsyncGenerator):
            await answer.aclose()


def check_unchanged(conduit: ReadingConduit, names: set[str]) -> None:
    """Raise PluginFault unless the plugin was told that nothing changed, and yields no groups."""
    if names or not conduit.is_unchanged:
        raise PluginFault(
            "`declare` yields UNCHANGED without having been told so by `conduit.unchanged`, or"
            " after a group",
            hint="if conduit.unchanged(validator): yield UNCHANGED; return",
        )


def check_group(group: Any, names: set[str]) -> None:
    """Raise PluginFault for anything but a well-formed group whose name is new."""
    if not isinstance(group, Group):
        raise PluginFault(
            f"`declare` yields groups: {group!r:.80} is none", hint="yield Group(name)"
        )
    _check_fields(group)
    if group.name in names:
        raise PluginFault(
            f"`declare` yields the group `{group.name}` twice",
            hint="yield each name once: upstream may list it twice, or in another spelling",
        )
    if len(names) >= MAX_GROUPS:
        raise PluginFault(
            f"`declare` yields more than {MAX_GROUPS:,} groups",
            hint="gather them in larger ones, for instance by a hash of the name",
        )


def _check_fields(group: Group) -> None:
    if not is_usable_name(group.name):
        raise PluginFault(
            f"`declare` yields a group under the unusable name {group.name!r:.80}",
            hint="1 to 1,024 printable characters",
        )
    if group.validator is not None and not is_usable_validator(group.validator):
        raise PluginFault(
            f"the group `{group.name}` has an unusable validator: {group.validator!r:.80}",
            hint="a text of up to 4,096 characters",
        )
    if (
        type(group.refused) is not str
        or type(group.listed) is not bool
        or type(group.shared) is not bool
    ):
        raise PluginFault(
            f"the group `{group.name}` has a reason for `refused`, a text, and True or False for"
            f" `listed` and `shared`: not {group.refused!r:.80}, {group.listed!r:.40},"
            f" {group.shared!r:.40}",
            hint='Group(name, refused="denied (house.deny)")',
        )
