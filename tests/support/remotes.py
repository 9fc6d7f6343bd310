"""Remotes for tests: fast to give up, and waiting in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import Origin
from reconciler.model import Kind, Meta, Remote
from reconciler.retrying import RetryPolicy


def remote(**settings: Any) -> Remote:
    """A remote named `upstream` with the given fields."""
    meta = Meta(Kind.REMOTE, "upstream", Origin("remotes.yaml", 1))
    return Remote(
        meta,
        {},
        "python",
        **{"connect_timeout": 5.0, "read_timeout": 5.0, "total_timeout": 30.0, **settings},
    )


@dataclass
class VirtualTime:
    """A clock that only `sleep` moves; `slept` is what was asked for, in order."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def policy(self, retries: int, **settings: Any) -> RetryPolicy:
        """A policy that waits in this time."""
        return RetryPolicy(attempts=1 + retries, sleep=self.sleep, clock=self.clock, **settings)

    def clock(self) -> float:
        return self.now
