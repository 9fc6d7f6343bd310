"""Conduits handed to importers that ask upstream, closed when the call returns.

There is one for each call of `declare`, `read` or `sync`. They ask upstream and write scratchpads;
they cannot write anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from reconciler.engine.plugin_calls.call_timeouts import CallTimer
from reconciler.engine.plugin_calls.conduits import ScratchpadConduit
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.plugin_calls.workdirs import TemporaryWorkdir
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import Malformed, PluginFault, ReconcilerError
from reconciler.model import Unit, is_hex_digest
from reconciler.plugin import ActiveFilter, Page, Part, PluginCallConfiguration, RepositoryInfo
from reconciler.redaction import sanitize
from reconciler.remote import LARGEST_FILE, FileReader, PageReader, joined_url

LONGEST_VALIDATOR = 4_096  # characters
MOST_REFUSED = 200_000  # units of one call, each of which the plan lists
LONGEST_KEY = 1_024  # characters that are shown of what could not become a unit

_JSON = msgspec.json.Decoder(float_hook=str)


@dataclass(frozen=True, slots=True)
class SourceContext:
    """Context shared by all calls about one source: its URL, options and readers.

    `pages` and `files` open the remote with its first page or file, so that an unreadable secret is
    this source's failure.
    """

    url: str
    options: Any
    config: PluginCallConfiguration
    filters: Sequence[ActiveFilter]
    now: datetime
    needs_first_seen: Callable[[Sequence[Unit]], list[Unit]]
    with_first_seen: Callable[[list[Unit]], list[Unit]]
    pages: Callable[[], PageReader]
    files: Callable[[], FileReader]
    place: TemporaryWorkdir
    scratchpads: ScratchpadSession
    owner: str


class SourceConduit(ScratchpadConduit):
    """Conduit that asks upstream; implements `UpstreamConduit` and `WritableScratchpads`.

    `committed_validator`: that of the group or source, committed with today's selection; None if
    it must be decided anew.
    """

    def __init__(
        self, source: SourceContext, timer: CallTimer, committed_validator: str | None
    ) -> None:
        super().__init__(source.scratchpads, source.owner)
        self._source = source
        self._timer = timer
        self._committed_validator = committed_validator
        self._read: list[tuple[str, str]] = []
        self._parts: list[tuple[str, int, int]] = []
        self.validator: str | None = None
        self.failed_page = ""  # what the last page that failed says: its URL and status

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._source.place

    @property
    def url(self) -> str:
        self._check_open()
        return self._source.url

    @property
    def options(self) -> Any:
        self._check_open()
        return self._source.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        return self._source.config

    @property
    def filters(self) -> Sequence[ActiveFilter]:
        self._check_open()
        return self._source.filters

    @property
    def now(self) -> datetime:
        self._check_open()
        return self._source.now

    @property
    def is_unchanged(self) -> bool:
        """True if the plugin has asked, and was told that nothing changed."""
        return self.validator is not None and self.validator == self._committed_validator

    async def with_first_seen(self, units: Sequence[Unit]) -> list[Unit]:
        self._check_open()
        given = list(units)
        if not self._source.needs_first_seen(given):
            return given  # nearly always, and a thread costs a tenth of a group
        return await asyncio.to_thread(self._source.with_first_seen, given)

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        self._check_open()
        address = joined_url(self._source.url, url)
        self._read.append((address, accept))
        try:
            with self._timer.working():
                page = await self._source.pages().get(address, accept=accept, at_least=at_least)
        except ReconcilerError as error:
            self.failed_page = error.message
            raise
        reached(Checkpoint.PAGE_READ)
        return page

    async def get_json(self, url: str) -> Any:
        page = await self.get(url, accept="application/json")
        try:
            return _JSON.decode(page.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"`{page.url}` is not JSON: {error}") from None

    async def get_file(self, url: str, *, sha256: str) -> bytes:
        self._check_open()
        _check_digest(sha256)
        with self._timer.working():
            return await self._source.files().get(joined_url(self._source.url, url), sha256)

    async def get_part(self, url: str, *, sha256: str, offset: int, length: int) -> Part:
        self._check_open()
        _check_digest(sha256)
        _check_place(offset, length)
        self._parts.append((sha256, offset, length))
        with self._timer.working():
            part = await self._source.files().get_part(
                joined_url(self._source.url, url), sha256, offset, length=length
            )
        return Part(part.start, part.total, part.body)

    def unchanged(self, validator: str) -> bool:
        self._check_open()
        if not validator or not is_usable_validator(validator):
            raise PluginFault(
                f"a validator is a text of up to {LONGEST_VALIDATOR:,} characters that is not"
                f" empty, not {validator!r:.80}",
                hint="call `unchanged` only where upstream names one",
            )
        self.validator = validator
        return self.is_unchanged

    def forget_pages(self) -> None:
        """Drop the pages and parts that this call read, which could not be understood.

        Whole files stay cached: their digests were right.
        """
        for address, accept in self._read:
            self._source.pages().forget(address, accept)
        for part in self._parts:
            self._source.files().forget_part(*part)


class ReadingConduit(SourceConduit):
    """Conduit of one call of `declare` or `read`; implements `reconciler.plugin.ReadConduit`."""

    conduit = "ReadConduit"

    def __init__(
        self,
        source: SourceContext,
        timer: CallTimer,
        committed_validator: str | None = None,
        *,
        owned_by_earlier_source: Callable[[str], bool] | None = None,
        declaring: bool = False,
    ) -> None:
        super().__init__(source, timer, committed_validator)
        self._owned_by_earlier_source = owned_by_earlier_source
        self._declaring = declaring
        self.kept_out: list[tuple[str, str]] = []
        self.incomplete_reason = ""

    @property
    def is_incomplete(self) -> bool:
        return bool(self.incomplete_reason)

    def refuse(self, key: str, reason: str) -> None:
        self._check_open()
        if self._declaring:
            raise PluginFault(
                "`declare` cannot refuse a unit, since it reads none",
                hint="leave the group out, raise Malformed, or refuse in `read`",
            )
        if len(self.kept_out) >= MOST_REFUSED:
            raise Malformed(f"more than {MOST_REFUSED:,} files that cannot be taken in")
        self.kept_out.append(checked_refusal(key, reason))

    def owned_by_earlier_source(self, group: str) -> bool:
        self._check_open()
        return self._owned_by_earlier_source is not None and self._owned_by_earlier_source(group)

    def incomplete(self, reason: str) -> None:
        self._check_open()
        if not isinstance(reason, str) or not reason.strip():
            raise PluginFault(
                f"`incomplete` takes a reason, which users are shown: not {reason!r:.80}",
                hint='say what could not be asked: conduit.incomplete(f"{server}: no answer")',
            )
        if self.failed_page and self.failed_page not in reason:
            reason = f"{reason} ({self.failed_page})"
        self.incomplete_reason = self.incomplete_reason or sanitize(reason)


def checked_refusal(key: Any, reason: Any) -> tuple[str, str]:
    """Return key and reason of a refusal, sanitized. Raises PluginFault for other types."""
    if not (isinstance(key, str) and isinstance(reason, str)):
        raise PluginFault(
            f"`refuse` takes a key and a reason, both of them texts: {key!r:.80}, {reason!r:.80}",
            hint="conduit.refuse(ascii(name), reason)",
        )
    if not reason.strip():
        raise PluginFault(
            f"`refuse` takes a reason, which users are shown: `{sanitize(key, 80)}` has none",
            hint='say why it cannot be taken in: conduit.refuse(name, "its sha256 is missing")',
        )
    return sanitize(key, LONGEST_KEY), sanitize(reason)


def _check_digest(sha256: Any) -> None:
    if not isinstance(sha256, str) or not is_hex_digest(sha256):
        raise PluginFault(
            f"a file is read by its sha256, 64 lower-case hex digits: {sha256!r:.80} is none",
            hint="without one, read it with `get`",
        )


def _check_place(offset: Any, length: Any) -> None:
    if (
        type(offset) is not int
        or type(length) is not int
        or not (1 <= length <= LARGEST_FILE)
        or not (-LARGEST_FILE <= offset < 2**63)
    ):
        raise PluginFault(
            f"a part of a file has 1 to {LARGEST_FILE:,} bytes, and begins no further from its end:"
            f" not {length!r:.40} from {offset!r:.40}"
        )


def is_usable_validator(text: Any) -> bool:
    """Return True if the text can be recorded as a validator."""
    return (
        isinstance(text, str)
        and len(text) <= LONGEST_VALIDATOR
        and (text.isascii() or text.isprintable())
        and "\0" not in text
    )
