"""Publications that take what they lack from a remote when a client asks for it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

PULL_THROUGH: Final = "pullThrough"  # id of the source that such content belongs to


class PullThrough(msgspec.Struct, frozen=True):
    """The remote that a publication takes unknown groups from, and for how long (seconds).

    `options`, `config`: as of a Source. `ttl`: until upstream is asked again; `negative_ttl`: the
    same of what it does not have. `stale_for`: after its last answer, while it cannot be asked.
    `max_size`: bytes that are kept of files that no version holds. `offline`: it is never asked.
    """

    remote: str
    options: Any = None
    config: Any = None
    ttl: int = 600
    negative_ttl: int = 60
    stale_for: int = 604_800
    max_size: int = 50 * 1024**3
    offline: bool = False
