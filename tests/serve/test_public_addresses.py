"""Pages that say where they are served: the address is put in when they are sent.

Kind: everything that describes a body (length, entity tag, coding, 304) describes the one that is
sent, and nothing that a request says of its address means more than an address.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from reconciler.model import BASE_URL_PLACEHOLDER, Digest
from tests.serve.team import application
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published

PAGE = "/team/one"
BODY = f'{{"tarball": "{BASE_URL_PLACEHOLDER}dl/one-1.0.tgz"}}'.encode()
HOST = ("Host", "packages.example.org:8443")
SAID = "http://packages.example.org:8443/team/"
GZIP = ("Accept-Encoding", "gzip")
FORWARDED = (
    ("Host", "10.0.0.7:8000"),
    ("X-Forwarded-Host", "evil.example, public.example.org"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/packages/"),
)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(folder=tmp_path)
    served = published.mount("team")
    published.page(served, "one", BODY, "application/json", addressed=True)
    published.page(served, "plain", BODY, "application/json")
    return published


def ask(
    published: Published,
    *headers: tuple[str, str],
    path: str = PAGE,
    method: str = "GET",
    root_path: str = "",
    trusted: tuple[str, ...] = (),
) -> AsgiResponse:
    client = Client(application(published, trusted=trusted), root_path=root_path)
    return asyncio.run(client.get(path, method=method, headers=headers))


def tarball(answer: AsgiResponse) -> str:
    assert answer.status == 200
    url: str = json.loads(answer.body)["tarball"]
    return url.removesuffix("dl/one-1.0.tgz")


def test_a_page_says_the_host_that_was_asked_and_is_described_as_sent(
    published: Published,
) -> None:
    answer = ask(published, HOST)
    assert tarball(answer) == SAID
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "host" in answer.headers["vary"].lower()
    assert "last-modified" not in answer.headers, "one date would stand for several bodies"
    head = ask(published, HOST, method="HEAD")
    assert (head.headers, head.body) == (answer.headers, b"")
    packed = ask(published, HOST, GZIP)
    assert gzip.decompress(packed.body) == answer.body
    assert packed.headers["content-length"] == str(len(packed.body))
    part = ask(published, HOST, ("Range", "bytes=0-3"))
    assert (part.status, part.body) == (200, answer.body)


def test_each_address_and_coding_has_an_entity_tag_of_its_own(published: Published) -> None:
    other = ("Host", "other.example.org")
    answers = [ask(published, host, *more) for host in (HOST, other) for more in ((), (GZIP,))]
    tags = [answer.headers["etag"] for answer in answers]
    assert len({*tags, f'"{Digest.of(BODY).hex}"'}) == 5
    same = ask(published, HOST, ("If-None-Match", tags[0]))
    assert (same.status, same.headers["vary"]) == (304, answers[0].headers["vary"])
    assert ask(published, other, ("If-None-Match", tags[0])).status == 200
    date = ("If-Modified-Since", "Sat, 21 Nov 2099 12:00:00 GMT")
    assert ask(published, HOST, date).status == 200


def test_a_declared_address_counts_whatever_a_request_says(tmp_path: Path) -> None:
    published = Published(folder=tmp_path)
    served = published.mount("team", base_url="https://packages.example.org/x/")
    published.page(served, "one", BODY, "application/json", addressed=True)
    answer = ask(published, *FORWARDED, trusted=("127.0.0.0/8",))
    assert tarball(answer) == "https://packages.example.org/x/"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert tarball(ask(published)) == "https://packages.example.org/x/"


@pytest.mark.parametrize(
    ("trusted", "said"),
    [
        ((), "http://10.0.0.7:8000/team/"),
        (("10.0.0.0/8", "::1"), "http://10.0.0.7:8000/team/"),
        (("10.0.0.0/8", "127.0.0.1"), "https://public.example.org/packages/team/"),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    trusted: tuple[str, ...], said: str, published: Published
) -> None:
    """And of it what the nearest one said last."""
    answer = ask(published, *FORWARDED, trusted=trusted)
    assert tarball(answer) == said
    assert ("X-Forwarded-Host" in answer.headers["vary"]) == bool(trusted)


def test_the_prefix_of_the_server_is_part_of_the_address(published: Published) -> None:
    assert tarball(ask(published, HOST, root_path="/packages")) == (
        "http://packages.example.org:8443/packages/team/"
    )


@pytest.mark.parametrize(
    "host",
    [
        "",
        'a"b',
        "a<script>",
        "a/b",
        "a b",
        "a@b",
        "a?b",
        "a#b",
        "a%2fb",
        "a\\b",
        "a:0",
        "a:99999",
        "a:",
        "a:80:80",
        "[::1",
        "a..b",
        "b\xfccher.example",
        "a" * 300,
    ],
)
def test_a_host_that_is_none_is_refused(host: str, published: Published) -> None:
    """In pages that say it; what says nothing of it is served as ever."""
    answer = ask(published, ("Host", host))
    assert (answer.status, host in answer.text and bool(host)) == (400, False)
    assert ask(published, ("Host", host), path="/team/plain").body == BODY


def test_no_host_and_two_hosts_are_refused(published: Published) -> None:
    assert [ask(published, *hosts).status for hosts in ((), (HOST, HOST))] == [400, 400]


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"])
def test_a_trusted_proxy_cannot_put_in_more_than_an_address(
    header: str, published: Published
) -> None:
    for text in ('a"b', "../..", "java script:", "<b>"):
        answer = ask(published, HOST, (header, text), trusted=("127.0.0.1",))
        assert answer.status == 400


@pytest.mark.parametrize("host", ["example.org", "a-b.c_d:1", "[2001:db8::1]:8080", "127.0.0.1"])
def test_a_host_that_is_one_is_said(host: str, published: Published) -> None:
    assert tarball(ask(published, ("Host", host))) == f"http://{host}/team/"


def test_a_page_that_says_no_address_costs_and_varies_nothing(published: Published) -> None:
    answers = [ask(published, *headers, path="/team/plain") for headers in ((), (HOST,))]
    assert answers[0] == answers[1]
    assert answers[0].body == BODY, "only what was marked at rendering is looked at"
    assert answers[0].headers["vary"] == "Accept-Encoding"
