"""The importer's side of the conduits: one call object per declare or read, closed when it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import msgspec

from reconciler.engine.steps import Step, reached
from reconciler.errors import Malformed, PluginFault
from reconciler.plugin import Page, PluginCallConfiguration
from reconciler.remote import PageReader

_JSON = msgspec.json.Decoder(float_hook=str)


class SourceCall:
    """One call of an importer for one source; implements `reconciler.plugin.ImporterCall`.

    `known`: the validator under which the group is committed with today's selection, None where it must be decided anew.
    """

    def __init__(self, url: str, options: Any, config: PluginCallConfiguration, pages: PageReader, known: str | None = None) -> None:
        self._url = url
        self._options = options
        self._config = config
        self._pages = pages
        self._known = known
        self._closed = False
        self.validator: str | None = None
        self.kept_out: list[tuple[str, str]] = []
        self._read: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return self._url

    @property
    def options(self) -> Any:
        return self._options

    @property
    def config(self) -> PluginCallConfiguration:
        return self._config

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        self._check_open()
        address = urljoin(self._url, url)
        self._read.append((address, accept))
        page = await self._pages.get(address, accept=accept, at_least=at_least)
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
        self.validator = validator
        return self._known is not None and self._known == validator

    def refuse(self, key: str, reason: str) -> None:
        self._check_open()
        self.kept_out.append((key, reason))

    def forget_pages(self) -> None:
        """What this call read made no sense: the next one reads it anew, whatever upstream's validators say."""
        for address, accept in self._read:
            self._pages.forget(address, accept)

    def close(self) -> None:
        """The call has returned: whoever kept this object can do nothing with it."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise PluginFault("a plugin used a call object after its call had returned", hint="keep nothing between calls")


def configuration(options: Any, plugin: Mapping[str, Any]) -> PluginCallConfiguration:
    """The three levels of one call: no overrides yet, the keys that the manifest sets, the plugin's own."""
    set_keys = options.model_dump(by_alias=True, exclude_unset=True) if options is not None else {}
    return PluginCallConfiguration({}, set_keys, plugin)
