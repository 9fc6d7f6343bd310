"""The line that each upstream request writes at DEBUG."""

from __future__ import annotations

import logging

import pytest

from reconciler.remote import Fetcher
from tests.support import faulty
from tests.support.exchange import LIMIT, drain, meet
from tests.support.faulty import FaultyServer

LOGGER = "reconciler.remote.http_fetcher"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_a_request_is_logged_with_status_and_bytes_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x?key=swordfish", faulty.body(b"12345"))
        url = upstream.url("/x?key=swordfish").replace("//", "//ali:swordfish@")
        await fetcher.get(url, headers={}, limit=LIMIT)
        assert await drain(fetcher, url) == b"12345"

    caplog.set_level(logging.DEBUG, LOGGER)
    meet(talk)
    written = lines(caplog)
    assert len(written) == 2
    for line in written:
        assert line.startswith("GET http://127.0.0.1:")
        assert "/x?...: 200, 5 bytes, 0." in line
        assert "swordfish" not in line
        assert "ali" not in line


def test_nothing_is_logged_unless_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(b"12345"))
        await fetcher.get(upstream.url("/x"), headers={}, limit=LIMIT)

    caplog.set_level(logging.INFO, LOGGER)
    meet(talk)
    assert lines(caplog) == []
