"""What others wrote, as plans, outcomes and answers may show it: without any secret, on one line that ends somewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from inspect import iscoroutine
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.model import described, message_of, one_line
from reconciler.plugin import OptionFault
from reconciler.remote import conceal


def told(text: str) -> str:
    """Concealed before it is cut: half a secret is one too."""
    return one_line(conceal(text))


def words_of(error: BaseException) -> str:
    """What an error says: ours and those that plugins raise on purpose as they are, anything else with its type."""
    return told(message_of(error) if isinstance(error, ReconcilerError | OptionFault) else described(error))


def hint_of(error: BaseException) -> str | None:
    """Its hint, if it has one that is a text."""
    hint: Any = getattr(error, "hint", None)
    return told(hint) if isinstance(hint, str) and hint else None


def explained(error: ReconcilerError) -> str:
    """An error as it is told: its hint on a line of its own."""
    hint = hint_of(error)
    return f"{words_of(error)}\nhint: {hint}" if hint else words_of(error)


def unfinished(answer: Any) -> bool:
    """Is it what an `async def` leaves when nobody awaits it? It will never run: where that is expected, nobody must be warned of it as well."""
    if iscoroutine(answer):
        answer.close()
    return isinstance(answer, Awaitable | AsyncIterator)
