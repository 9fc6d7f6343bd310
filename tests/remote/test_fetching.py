"""The whole chain of a fetcher against a server that stumbles."""

from __future__ import annotations

from functools import partial

import pytest

from reconciler.errors import Permanent, Temporary
from reconciler.remote import Fetcher
from reconciler.retrying import RetryPolicy
from tests.support import faulty
from tests.support.exchange import LIMIT, drain, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote


def test_temporary_failures_are_tried_again_and_permanent_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = partial(RetryPolicy, first_delay=0.0)
    monkeypatch.setattr("reconciler.remote.fetcher_factory.RetryPolicy", at_once)

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.status(503), faulty.truncated(b"fine"), faulty.body(b"fine"))
        upstream.on("/y", faulty.status(403))
        assert (await fetcher.get(upstream.url("/x"), headers={}, limit=LIMIT)).body == b"fine"
        assert len(upstream.asked("/x")) == 3
        with pytest.raises(Permanent):
            await fetcher.get(upstream.url("/y"), headers={}, limit=LIMIT)
        assert len(upstream.asked("/y")) == 1
        upstream.on("/z", faulty.status(503))
        with pytest.raises(Temporary):
            await drain(fetcher, upstream.url("/z"))
        assert len(upstream.asked("/z")) == 4

    meet(talk, remote(retries=3))
