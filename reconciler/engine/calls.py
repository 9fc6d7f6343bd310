"""What an importer is handed: one call object per declare or read, closed when it returns. It asks upstream and notes; it cannot write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import msgspec

from reconciler.engine.conduits import NotedConduit
from reconciler.engine.pads import PadBook
from reconciler.engine.patience import Clock
from reconciler.engine.places import PassingPlace
from reconciler.engine.steps import Step, reached
from reconciler.engine.telling import told
from reconciler.errors import Malformed, PluginFault
from reconciler.plugin import Page, PluginCallConfiguration, RepositoryInfo
from reconciler.remote import PageReader

LONGEST_VALIDATOR = 4_096  # characters
LONGEST_KEY = 1_024  # characters that are shown of what could not become a unit

_JSON = msgspec.json.Decoder(float_hook=str)


class Desk:
    """What all calls about one source share: where to ask, and with which words. Made once for a source, handed out for no call at all.

    `pages`: opens the remote with the first page, so that a secret which cannot be read is this source's failure.
    """

    def __init__(
        self, url: str, options: Any, config: PluginCallConfiguration, pages: Callable[[], PageReader], place: PassingPlace, pads: PadBook, owner: str
    ) -> None:
        self.url = url
        self.options = options
        self.config = config
        self.pages = pages
        self.place = place
        self.pads = pads
        self.owner = owner


class UpstreamCall(NotedConduit):
    """The part of a call that asks upstream; implements `reconciler.plugin.ReadingCall` and `WritableScratchpads`.

    `known`: the validator under which what the call is about is committed with today's selection, None where it must be decided anew.
    """

    def __init__(self, desk: Desk, clock: Clock, known: str | None) -> None:
        super().__init__(desk.pads, desk.owner)
        self._desk = desk
        self._clock = clock
        self._known = known
        self._read: list[tuple[str, str]] = []
        self.validator: str | None = None

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._desk.place

    @property
    def url(self) -> str:
        self._check_open()
        return self._desk.url

    @property
    def options(self) -> Any:
        self._check_open()
        return self._desk.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        return self._desk.config

    @property
    def said_unchanged(self) -> bool:
        """Has the plugin asked, and been told that nothing changed?"""
        return self.validator is not None and self.validator == self._known

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        self._check_open()
        address = urljoin(self._desk.url, url)
        self._read.append((address, accept))
        with self._clock.working():
            page = await self._desk.pages().get(address, accept=accept, at_least=at_least)
        reached(Step.PAGE_READ)
        return page

    async def get_json(self, url: str) -> Any:
        page = await self.get(url, accept="application/json")
        try:
            return _JSON.decode(page.body)
        except msgspec.DecodeError as error:
            raise Malformed(f"`{page.url}` is not JSON: {error}") from None

    def unchanged(self, validator: str) -> bool:
        self._check_open()
        if not validator or not usable_validator(validator):
            raise PluginFault(f"a validator is a text of up to {LONGEST_VALIDATOR:,} characters that is not empty, not {validator!r:.80}")
        self.validator = validator
        return self.said_unchanged

    def forget_pages(self) -> None:
        """What this call read made no sense: the next one reads it anew, whatever upstream's validators say."""
        for address, accept in self._read:
            self._desk.pages().forget(address, accept)


class SourceCall(UpstreamCall):
    """One call of `declare` or `read`; implements `reconciler.plugin.ImporterCall`."""

    conduit = "ImporterCall"

    def __init__(self, desk: Desk, clock: Clock, known: str | None = None, *, declaring: bool = False) -> None:
        super().__init__(desk, clock, known)
        self._declaring = declaring
        self.kept_out: list[tuple[str, str]] = []

    def refuse(self, key: str, reason: str) -> None:
        self._check_open()
        if self._declaring:
            raise PluginFault("`declare` cannot refuse a unit, since it reads none", hint="leave the group out, raise Malformed, or refuse in `read`")
        self.kept_out.append(kept_out(key, reason))


def kept_out(key: Any, reason: Any) -> tuple[str, str]:
    """What `refuse` was told, of whatever upstream called it. Raises PluginFault where it is no text."""
    if not (isinstance(key, str) and isinstance(reason, str)):
        raise PluginFault(f"`refuse` takes a key and a reason, both of them texts: {key!r:.80}, {reason!r:.80}")
    return told(key, LONGEST_KEY), told(reason)


def usable_validator(text: Any) -> bool:
    """Can it be recorded?"""
    return isinstance(text, str) and len(text) <= LONGEST_VALIDATOR and (text.isascii() or text.isprintable()) and "\0" not in text
