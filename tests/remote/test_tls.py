"""TLS and proxies: who is trusted, who we say that we are, and by whom we go."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable
from pathlib import Path

import pytest

from reconciler.errors import Refused, Unreachable, UsageFault
from reconciler.model import Remote, Secret, Tls
from reconciler.remote import Fetcher, Response, open_fetcher
from tests.support import faulty
from tests.support.exchange import LIMIT, get, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote


def test_an_unknown_certificate_is_refused_with_a_hint() -> None:
    with pytest.raises(Refused, match="not trusted") as caught:
        get(faulty.body(b"x"), server=FaultyServer(tls=True))
    assert caught.value.hint is not None
    assert "tls.ca" in caught.value.hint


@pytest.mark.parametrize("tls", [Tls(ca=str(faulty.CERTIFICATE)), Tls(verify=False)])
def test_a_certificate_is_accepted_when_its_authority_is_named_or_nothing_is_verified(
    tls: Tls,
) -> None:
    assert (
        get(faulty.body(b"x"), remote(retries=0, tls=tls), server=FaultyServer(tls=True)).body
        == b"x"
    )


def test_a_certificate_for_another_name_is_refused() -> None:
    async def main() -> None:
        async with FaultyServer(tls=True, address="127.0.0.2") as upstream:
            url = upstream.url("/x", "127.0.0.2")
            fetcher = open_fetcher(remote(retries=0, tls=Tls(ca=str(faulty.CERTIFICATE))), url)
            try:
                with pytest.raises(Refused, match="not trusted"):
                    await fetcher.get(url, headers={}, limit=LIMIT)
            finally:
                await fetcher.close()

    asyncio.run(main())


def parts_of_the_certificate(folder: Path) -> tuple[str, str]:
    """The certificate in a file of its own, and the key's text."""
    text = faulty.CERTIFICATE.read_text()
    certificate, mark, key = text.partition("-----BEGIN PRIVATE KEY-----")
    file = folder / "client.pem"
    file.write_text(certificate)
    return str(file), mark + key


def test_a_client_certificate_is_shown_to_the_own_host_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = parts_of_the_certificate(tmp_path)
    monkeypatch.setenv("CLIENT_KEY", key)
    tls = Tls(
        ca=str(faulty.CERTIFICATE), client_cert=certificate, client_key=Secret(env="CLIENT_KEY")
    )

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(b"x"))
        assert (await fetcher.get(upstream.url("/x"), headers={}, limit=LIMIT)).body == b"x"
        with pytest.raises((Unreachable, Refused)):
            await fetcher.get(upstream.url("/x", "localhost"), headers={}, limit=LIMIT)

    meet(talk, remote(retries=0, tls=tls), FaultyServer(tls=True, client_certificates=True))


def test_certificates_that_cannot_be_used_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = parts_of_the_certificate(tmp_path)
    monkeypatch.setenv("CLIENT_KEY", "s3cret, no PEM")
    with pytest.raises(UsageFault, match=r"nowhere\.pem"):
        open_fetcher(remote(tls=Tls(ca=str(tmp_path / "nowhere.pem"))), "https://example.org/")
    with pytest.raises(UsageFault, match=r"client\.pem") as caught:
        open_fetcher(
            remote(tls=Tls(client_cert=certificate, client_key=Secret(env="CLIENT_KEY"))),
            "https://example.org/",
        )
    assert "s3cret" not in str(caught.value)


def through_proxy(upstream: FaultyServer, settings: Remote) -> Awaitable[Response]:
    async def ask() -> Response:
        upstream.on("http://example.org/x", faulty.body(b"by proxy"))
        fetcher = open_fetcher(settings, "http://example.org/")
        try:
            return await fetcher.get("http://example.org/x", headers={}, limit=LIMIT)
        finally:
            await fetcher.close()

    return ask()


def test_the_remotes_proxy_is_used_with_its_credentials() -> None:
    async def main() -> None:
        async with FaultyServer() as upstream:
            answer = await through_proxy(
                upstream, remote(retries=0, proxy=upstream.url("", "ali:pw@127.0.0.1"))
            )
            assert answer.body == b"by proxy"
            assert upstream.requests[0].host == "example.org"
            assert (
                upstream.requests[0].headers["proxy-authorization"]
                == "Basic " + b64encode(b"ali:pw").decode()
            )

    asyncio.run(main())


def test_the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with FaultyServer() as upstream:
            monkeypatch.setenv("http_proxy", upstream.url(""))
            monkeypatch.setenv("no_proxy", "host.invalid")
            assert (await through_proxy(upstream, remote(retries=0))).body == b"by proxy"
            fetcher = open_fetcher(remote(retries=0), "http://host.invalid/")
            try:
                with pytest.raises(Unreachable, match="does not resolve"):
                    await fetcher.get("http://host.invalid/x", headers={}, limit=LIMIT)
            finally:
                await fetcher.close()

    asyncio.run(main())
