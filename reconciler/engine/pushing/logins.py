"""Credentials that an exporter obtains: from the user's configuration, or for a token of CI."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from reconciler.engine.pushing.exporter_faults import exporter_faults
from reconciler.errors import Refused
from reconciler.model import Remote, Tls
from reconciler.plugin import Exporter, IndexLocation, Login
from reconciler.redaction import register_secret, sanitize
from reconciler.remote import Answer, Credentials, SecretValue, open_fetcher, open_sender
from reconciler.remote.urls import display_url

_LONGEST_ANSWER = 64 * 1024  # bytes

T = TypeVar("T")


async def login_at(
    exporter: type[Exporter[Any]],
    connection: Remote,
    location: IndexLocation,
    *,
    options: Any,
    sending: bool,
) -> Login | None:
    """Return the credentials that an exporter obtains; None where there are none."""
    conduit = _LoginConduit(connection, asyncio.get_running_loop(), sending=sending)

    def ask() -> Login | None:
        with exporter_faults("`login` of the exporter"):
            return exporter.login(conduit, location, options, name=connection.index or "")

    login = await asyncio.to_thread(ask)
    if login is not None and login.password:
        register_secret(login.password)
    return login


class _LoginConduit:
    """Implements `reconciler.plugin.LoginConduit`.

    Each URL is asked as a remote of its own: no credentials but the token that is for it.
    """

    def __init__(
        self, connection: Remote, loop: asyncio.AbstractEventLoop, *, sending: bool
    ) -> None:
        self._connection = replace(
            connection,
            auth=None,
            headers={},
            tls=Tls(verify=connection.tls.verify, ca=connection.tls.ca),
        )
        self._loop = loop
        self._sending = sending

    @property
    def environment(self) -> Mapping[str, str]:
        return MappingProxyType(dict(os.environ))

    @property
    def sending(self) -> bool:
        return self._sending

    def request(
        self, url: str, *, body: Mapping[str, str] | None = None, bearer: str = ""
    ) -> bytes:
        headers = {}
        if bearer:
            register_secret(bearer)
            headers["Authorization"] = SecretValue(f"Bearer {bearer}")
        for value in (body or {}).values():
            register_secret(value)
        credentials = Credentials(headers)
        return self._wait(
            self._get(url, credentials)
            if body is None
            else self._post(url, credentials, msgspec.json.encode(body))
        )

    def _wait(self, request: Coroutine[Any, Any, T]) -> T:
        running: Future[T] = asyncio.run_coroutine_threadsafe(request, self._loop)
        return running.result()

    async def _get(self, url: str, credentials: Credentials) -> bytes:
        fetcher = open_fetcher(self._connection, url, credentials)
        try:
            answer = await fetcher.get(
                url, headers={"Accept": "application/json"}, limit=_LONGEST_ANSWER
            )
        finally:
            await fetcher.close()
        return answer.body

    async def _post(self, url: str, credentials: Credentials, body: bytes) -> bytes:
        sender = open_sender(self._connection, url, credentials)
        try:
            answer: Answer = await sender.post(url, _JsonBody(body))
        finally:
            await sender.close()
        if not answer.accepted:
            said = sanitize(answer.body.decode("utf-8", "replace"), 300)
            raise Refused(f"`{display_url(url)}` answered {answer.status}: {said or answer.reason}")
        return answer.body


class _JsonBody:
    """A small body, in one piece."""

    media_type = "application/json"

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._body
