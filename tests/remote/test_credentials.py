"""Credentials of a remote: to its own host, and to no other."""

from __future__ import annotations

from base64 import b64encode

import msgspec
import pytest

from reconciler import __version__
from reconciler.errors import Refused, UsageFault
from reconciler.model import ANY_HOST, Auth, Remote, Secret
from reconciler.remote import Fetcher, open_fetcher
from tests.support import faulty
from tests.support.exchange import LIMIT, drain, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote


@pytest.fixture
def authorised(monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setenv("INDEX_PASSWORD", "opensesame")
    monkeypatch.setenv("INDEX_TOKEN", "t0ken")
    return remote(
        retries=0,
        auth=Auth("ali", Secret(env="INDEX_PASSWORD")),
        headers={"X-Team": "data", "X-Token": Secret(env="INDEX_TOKEN")},
    )


def test_credentials_and_headers_reach_the_own_host(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect("/b"))
        upstream.on("/b", faulty.body(b"there"))
        await fetcher.get(upstream.url("/a"), headers={"Accept": "text/html"}, limit=LIMIT)
        await drain(fetcher, upstream.url("/b"))
        for request in upstream.requests:
            assert (
                request.headers["authorization"] == "Basic " + b64encode(b"ali:opensesame").decode()
            )
            assert request.headers["x-team"] == "data"
            assert request.headers["x-token"] == "t0ken"
            assert request.headers["user-agent"] == f"reconciler/{__version__}"
        assert upstream.requests[0].headers["accept"] == "text/html"

    meet(talk, authorised)


def secretless(headers: dict[str, str]) -> bool:
    return not {"authorization", "x-team", "x-token"} & set(headers)


def test_credentials_never_follow_a_redirect_to_another_host_nor_come_back(
    authorised: Remote,
) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect(upstream.url("/b", "localhost")))
        upstream.on("/b", faulty.redirect(upstream.url("/c")))
        upstream.on("/c", faulty.body(b"there"))
        await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        await drain(fetcher, upstream.url("/a"))
        assert [request.host.split(":")[0] for request in upstream.asked("/b")] == [
            "localhost",
            "localhost",
        ]
        assert all(
            secretless(request.headers) for request in upstream.asked("/b") + upstream.asked("/c")
        )

    meet(talk, msgspec.structs.replace(authorised, redirects=ANY_HOST))


def test_credentials_stay_at_home_when_a_file_lies_on_another_host(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(b"there"))
        await drain(fetcher, upstream.url("/x", "localhost"))
        assert secretless(upstream.requests[0].headers)

    meet(talk, authorised)


def test_credentials_stay_at_home_when_only_the_port_differs(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        async with FaultyServer() as other:
            other.on("/x", faulty.body(b"there"))
            await drain(fetcher, other.url("/x"))
            assert secretless(other.requests[0].headers)

    meet(talk, authorised)


def test_messages_hold_no_credentials(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x?token=hidden", faulty.status(403))
        with pytest.raises(Refused) as caught:
            await fetcher.get(
                upstream.url("/x?token=hidden", "user:pass@127.0.0.1"), headers={}, limit=LIMIT
            )
        text = f"{caught.value!r} {caught.value} {caught.value.hint}"
        for secret in ("hidden", "pass@", "opensesame", "t0ken"):
            assert secret not in text

    meet(talk, authorised)


def test_a_missing_secret_names_the_reference_and_the_remote() -> None:
    with pytest.raises(UsageFault, match=r"remote/upstream: .*`NOT_SET_ANYWHERE`"):
        open_fetcher(
            remote(auth=Auth("ali", Secret(env="NOT_SET_ANYWHERE"))), "http://example.org/"
        )
