"""Retries: one policy for every call that may succeed when it is repeated.

A policy sets how often and how long a call is tried, which errors count as temporary, and the pause
in between: exponential backoff with full jitter, and no less than the server asked for.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_numbers
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from reconciler.errors import Temporary

T = TypeVar("T")

logger = logging.getLogger(__name__)


def is_temporary(error: Exception) -> bool:
    """Return True for errors that say so themselves: `reconciler.errors.Temporary`."""
    return isinstance(error, Temporary)


def never(error: Exception) -> bool:
    """Return False: for policies that ask for better results and take every error as final."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """A policy of retries: number of calls, pauses, and errors that are worth another call.

    attempts: calls in all, the first included; None: limited by `seconds` alone.
    seconds: no call begins later than this after the first one; None: limited by `attempts` alone.
    first_delay, longest_delay: bounds of the pause in seconds, doubled with every failure. The
        pause itself is drawn evenly between zero and the bound, so that two that failed together do
        not meet again.
    longest_request: seconds up to which the `retry_after` of an error is obeyed.
    retry_if: return True for errors that are worth another call.
    sleep, blocking_sleep, clock, random: replaced in tests.
    """

    attempts: int | None = None
    seconds: float | None = None
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_request: float = 120.0
    retry_if: Callable[[Exception], bool] = is_temporary
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    blocking_sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random_numbers.random  # noqa: S311  # jitter

    def __post_init__(self) -> None:
        if self.attempts is None and self.seconds is None:
            raise ValueError("a retry policy needs `attempts` or `seconds`, or it never ends")

    async def run(
        self, call: Callable[[], Awaitable[T]], *, unless: Callable[[T], bool] | None = None
    ) -> T:
        """Return what `call` returns, tried as often as the policy allows.

        `unless`: return True for results that are good enough; the last one is returned even if it
        is not. Raises the last error.
        """
        retries = _Retries(self)
        while True:
            try:
                result = await call()
            except Exception as error:
                pause = retries.pause_after(error)
                if pause is None:
                    raise
            else:
                if unless is None or unless(result):
                    return result
                pause = retries.pause_after(None)
                if pause is None:
                    return result
            await self.sleep(pause)

    def run_blocking(self, call: Callable[[], T]) -> T:
        """Do the same for a function that blocks its thread."""
        retries = _Retries(self)
        while True:
            try:
                return call()
            except Exception as error:
                pause = retries.pause_after(error)
                if pause is None:
                    raise
            self.blocking_sleep(pause)

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Return the pause in seconds after so many failures (from 1)."""
        bound = min(self.longest_delay, self.first_delay * 2.0 ** min(failures - 1, 30))
        return max(self.random() * bound, min(retry_after or 0.0, self.longest_request))


class _Retries:
    """The failures of one call so far."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._deadline = None if policy.seconds is None else policy.clock() + policy.seconds

    def pause_after(self, error: Exception | None) -> float | None:
        """Return the pause before the next call, or None when there is none.

        `error`: None for a result that was not good enough.
        """
        policy = self._policy
        if error is not None and not policy.retry_if(error):
            return None
        self._failures += 1
        if policy.attempts is not None and self._failures >= policy.attempts:
            return None
        retry_after = error.retry_after if isinstance(error, Temporary) else None
        pause = policy.delay(self._failures, retry_after)
        if self._deadline is not None:
            left = self._deadline - policy.clock()
            if left <= 0:
                return None
            pause = min(pause, left)
        cause = "the result was not good enough" if error is None else error
        logger.info("attempt %d failed, the next one in %.2f s: %s", self._failures, pause, cause)
        return pause
