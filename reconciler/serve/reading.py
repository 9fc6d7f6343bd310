"""Parts of the application that read: beside published content, and for some clients only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.serve.pages.browser import Browser
from reconciler.serve.ports import PullSource, Readers, ViewPublisher


@dataclass(frozen=True, slots=True)
class Reading:
    """Parts of the application that may be left out.

    readers: says who reads private publications; without it, no client does.
    views: by publisher ID, what answers requests when they come.
    browser: says what pages for people are about; without it, `/` is a plain list.
    pulls: publications that take what they lack from elsewhere.
    """

    readers: Readers | None = None
    views: Mapping[str, ViewPublisher] = field(default_factory=dict)
    browser: Browser | None = None
    pulls: PullSource | None = None


NOTHING_MORE = Reading()
