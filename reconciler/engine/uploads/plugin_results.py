"""Answers of plugins to an upload or a removal, checked where they enter the core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message, is_unawaited
from reconciler.errors import Conflict, Gone, Malformed, PluginFault, ReconcilerError, Refused
from reconciler.model import StoredUnit, Unit, check_unit
from reconciler.plugin import GroupedUnit, UploadedFile

MAX_UNITS = 10_000  # units that one file becomes, or that leave at once


@contextmanager
def upload_faults(call: str) -> Iterator[None]:
    """Pass on what a plugin says to the uploader; anything else becomes a PluginFault.

    Refused, Gone, Malformed and Conflict are for the uploader, sanitized. `call` names the call in
    every other error.
    """
    message: ReconcilerError | None = None
    with plugin_faults(call):
        try:
            yield
        except (Refused, Gone, Malformed, Conflict) as error:
            message = error
    if message is not None:
        message.message, message.hint = error_message(message), error_hint(message)
        raise message


def placed_units(placed: Iterable[GroupedUnit], file: UploadedFile) -> dict[str, list[Unit]]:
    """Return the units that a file becomes, by group.

    Raises:
        PluginFault: The plugin returned something else, too many units, or bytes that are neither
            the file's nor taken out of it.
    """
    groups: dict[str, list[Unit]] = {}
    if is_unawaited(placed) or not isinstance(placed, Iterable):
        raise PluginFault(f"an upload becomes (group, unit) pairs, not {type(placed).__name__}")
    for number, pair in enumerate(placed):
        if number >= MAX_UNITS:
            raise PluginFault(f"an upload becomes more than {MAX_UNITS:,} units")
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], Unit)
        ):
            raise PluginFault(f"an upload becomes (group, unit) pairs: {pair!r:.80} is none")
        groups.setdefault(pair[0], []).append(pair[1])
    _check_bytes(groups, file)
    return groups


def removed_units(answer: Any) -> Mapping[str, set[tuple[str, str]]]:
    """Return the (type, key) of the units that leave, by group; raise PluginFault for others."""
    units: list[Any] = list(islice(answer, MAX_UNITS + 1)) if not is_unawaited(answer) else [None]
    if len(units) > MAX_UNITS or not all(isinstance(unit, StoredUnit) for unit in units):
        raise PluginFault(
            f"`remove` returns units that the repository holds, and at most {MAX_UNITS:,} of them"
        )
    groups: dict[str, set[tuple[str, str]]] = {}
    for unit in units:
        groups.setdefault(unit.group, set()).add((unit.type, unit.key))
    return groups


def _check_bytes(groups: Mapping[str, Iterable[Unit]], file: UploadedFile) -> None:
    for unit in (unit for units in groups.values() for unit in units):
        check_unit(unit)
        for artifact in unit.artifacts:
            if artifact.sha256 != file.sha256 and not artifact.within:
                raise PluginFault(
                    f"unit `{unit.key}`: artifact `{artifact.path}` is not the file that was sent",
                    hint="`file.sha256` is the digest of its bytes",
                )
