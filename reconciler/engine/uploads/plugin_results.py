"""Answers of plugins to an upload or a removal, checked where they enter the core."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message, is_unawaited
from reconciler.errors import Conflict, Gone, Malformed, PluginFault, ReconcilerError, Refused
from reconciler.model import StoredUnit, Unit, check_unit
from reconciler.plugin import Answer, GroupedUnit, Received

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OF_THE_SERVER = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "server",
        "set-cookie",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_WITHOUT_BODY = (204, 205)  # RFC 9110, 15.3.5 and 15.3.6
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


_PAIRS_HINT = "return a list of them, or `Received(units)`"


def received(answer: Any) -> Received:
    """Return what `receive` or `upload` returned, in one form. Raises PluginFault for neither."""
    if isinstance(answer, Received):
        check_answer(answer.answer)
        return answer
    if is_unawaited(answer) or not isinstance(answer, Iterable):
        raise PluginFault(
            f"an upload becomes (group, unit) pairs, not {type(answer).__name__}",
            hint=_PAIRS_HINT,
        )
    return Received(answer)


def placed_units(
    placed: Iterable[GroupedUnit], known: Callable[[str, str], bool]
) -> dict[str, list[Unit]]:
    """Return the units that come in, by group.

    Args:
        known: Whether a file was sent, or is held by the group, by group and sha256.

    Raises:
        PluginFault: The plugin returned something else, too many units, or bytes that are neither
            those of a file nor taken out of one.
    """
    groups: dict[str, list[Unit]] = {}
    if is_unawaited(placed) or not isinstance(placed, Iterable):
        raise PluginFault(
            f"an upload becomes (group, unit) pairs, not {type(placed).__name__}", hint=_PAIRS_HINT
        )
    for number, pair in enumerate(placed):
        if number >= MAX_UNITS:
            raise PluginFault(f"an upload becomes more than {MAX_UNITS:,} units")
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], Unit)
        ):
            raise PluginFault(
                f"an upload becomes (group, unit) pairs: {pair!r:.80} is none", hint=_PAIRS_HINT
            )
        groups.setdefault(pair[0], []).append(pair[1])
    _check_bytes(groups, known)
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


def _check_bytes(groups: Mapping[str, Iterable[Unit]], known: Callable[[str, str], bool]) -> None:
    for group, unit in ((group, unit) for group, units in groups.items() for unit in units):
        check_unit(unit)
        for artifact in unit.artifacts:
            if not artifact.within and not known(group, artifact.sha256):
                raise PluginFault(
                    f"unit `{unit.key}`: artifact `{artifact.path}` is not the file that was sent",
                    hint="`file.sha256` is the digest of its bytes",
                )


def check_answer(answer: Any) -> None:
    """Check an answer before anything is recorded. Raises PluginFault."""
    if answer is None:
        return
    if not isinstance(answer, Answer):
        raise PluginFault(
            f"the answer to a request is an Answer, not {type(answer).__name__}",
            hint="Received(units, answer=Answer(status, body))",
        )
    problem = answer_problem(answer)
    if problem:
        raise PluginFault(f"the answer to a request {problem}")


def answer_problem(answer: Answer) -> str:
    """Return why an answer cannot be sent; empty if it can."""
    if type(answer.status) is not int or not (
        200 <= answer.status < 300 or 400 <= answer.status < 600
    ):
        return f"has the status {answer.status!r:.20}, which is none of 200 to 299, 400 to 599"
    if not isinstance(answer.body, bytes):
        return "has a body that is not bytes"
    if answer.body and answer.status in _WITHOUT_BODY:
        return f"has a body, which no response of the status {answer.status} has"
    for name, value in {**answer.headers, "content-type": answer.media_type}.items():
        if not (isinstance(name, str) and _HEADER.fullmatch(name) and _is_header_value(value)):
            return f"has the header {name!r:.80}, which HTTP cannot carry"
        if name.lower() in _OF_THE_SERVER:
            return f"has the header `{name}`, which is the server's own"
    return ""


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()
