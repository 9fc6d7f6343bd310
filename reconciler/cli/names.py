"""Names of resources on the command line: NAME where the kind is fixed, KIND/NAME, KIND NAME."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler.errors import UsageFault

if TYPE_CHECKING:
    from reconciler.model import Kind, Ref

KINDS = ("remote", "filter", "repository", "publication")


def take_ref(
    words: Sequence[str], *, kind: Kind | None = None, more: int = 0, usage: str = ""
) -> tuple[Ref, list[str]]:
    """Return the resource that the first words name, and the words after it.

    `kind`: the only one that is meant; None: the words say it. `more`: how many words have to
    follow the name. `usage`: how the command is written, for the hint. Raises UsageFault.
    """
    from reconciler.engine import parse_ref
    from reconciler.model import Ref

    first = words[0] if words else ""
    if len(words) >= 2 + more and _is_kind(first):
        ref, rest = parse_ref(f"{first}/{words[1]}"), list(words[2:])
    elif "/" in first or kind is None:
        ref, rest = parse_ref(first), list(words[1:])
    else:
        ref, rest = Ref(kind, first), list(words[1:])
    if kind is not None and ref.kind is not kind:
        raise UsageFault(
            f"`{ref}` is a {ref.kind.lower()}, and this command is about a {kind.lower()}",
            hint=f"for instance `{kind.lower()}/team`, or `team` alone",
        )
    if len(rest) < more:
        raise UsageFault(
            f"after `{ref}` something is missing", hint=f"`reconciler {usage}`" if usage else None
        )
    return ref, rest


def take_holder(words: Sequence[str]) -> tuple[Ref, list[str]]:
    """Return a repository or publication, and the words after it; a bare NAME is a repository."""
    from reconciler.model import Kind

    bare = "/" not in words[0] and not (len(words) > 1 and _is_kind(words[0]))
    return take_ref(words, kind=Kind.REPOSITORY if bare else None)


def only_ref(words: Sequence[str], *, kind: Kind | None = None) -> Ref:
    """Return the resource that all of the words name. Raises UsageFault for further ones."""
    ref, rest = take_ref(words, kind=kind)
    if rest:
        raise UsageFault(f"`{rest[0]}` after `{ref}` is one too many")
    return ref


def take_repository(words: Sequence[str], *, more: int, usage: str) -> tuple[str, list[str]]:
    """Return the name of a repository, and the words after it (see `take_ref`)."""
    from reconciler.model import Kind

    ref, rest = take_ref(words, kind=Kind.REPOSITORY, more=more, usage=usage)
    return ref.name, rest


def completer(kind: str = "") -> Callable[[typer.Context, str], list[str]]:
    """Return what completes a name from the state: NAME of one kind, or KIND/NAME of any."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        refs = _recorded(ctx.params.get("home"))
        of_kind = [ref for ref in refs if kind and ref.startswith(f"{kind}/")]
        names = [ref.partition("/")[2] for ref in of_kind]
        return sorted({name for name in (*names, *refs) if name.startswith(incomplete)})

    return complete


def complete_kind(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return kinds, and KIND/NAME of the state."""
    words = (*KINDS, *_recorded(ctx.params.get("home")))
    return [word for word in words if word.startswith(incomplete)]


def _recorded(home: Path | None) -> list[str]:
    """Return KIND/NAME of everything in the state; nothing where it cannot be read."""
    from reconciler.cli import settings

    try:
        with settings.existing_home(home).database() as database:
            return sorted(map(str, database.reader().actual_state().resources))
    except Exception:  # while a user types, a missing or newer state completes nothing
        return []


def _is_kind(word: str) -> bool:
    from reconciler.engine import parse_kind

    try:
        parse_kind(word)
    except UsageFault:
        return False
    return True
