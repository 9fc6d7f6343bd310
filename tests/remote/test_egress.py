"""The rules of egress, as algebra: no network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from reconciler.errors import Malformed, Refused
from reconciler.remote.egress import MAX_REDIRECTS, CredentialScope, RedirectChain, request_url

HOSTS = st.sampled_from(["example.org", "example.org.evil.example", "evil.example"])
PORTS = st.sampled_from(["", ":80", ":443", ":8080"])
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https"]),
    HOSTS,
    PORTS,
    st.sampled_from(["/", "/simple/", "/a?b=c", "/a%2Fb"]),
)


def origin(url: str) -> tuple[str, str | None, int | None]:
    parsed = URL(url)
    return parsed.scheme, parsed.host, parsed.port


@given(base=URLS, url=URLS)
def test_credentials_go_to_the_origin_of_the_remote_only(base: str, url: str) -> None:
    inside = CredentialScope(base).includes(request_url(url), url)
    assert inside == (origin(base) == origin(url))


@given(url=URLS)
def test_a_remote_without_a_url_sends_credentials_nowhere(url: str) -> None:
    assert not CredentialScope(None).includes(request_url(url), url)


@given(url=URLS)
def test_a_user_in_a_url_is_never_sent(url: str) -> None:
    with_user = url.replace("://", "://ali:secret@")
    requested = request_url(with_user)
    assert (requested.user, requested.password) == (None, None)
    assert requested.path == request_url(url).path


def follow(start: str, *locations: str | None) -> str:
    chain, current = RedirectChain(start), request_url(start)
    for location in locations:
        current = chain.next(current, location)
    return str(current)


def test_redirects_are_relative_to_where_they_come_from() -> None:
    assert follow("http://a.example/x/y", "z", "../w#part") == "http://a.example/w"


def test_a_chain_is_followed_up_to_its_limit() -> None:
    steps = [f"/{number}" for number in range(MAX_REDIRECTS)]
    assert follow("http://a.example/", *steps) == f"http://a.example/{MAX_REDIRECTS - 1}"
    with pytest.raises(Refused, match="more than 10 times"):
        follow("http://a.example/", *steps, "/one-more")


@pytest.mark.parametrize("locations", [["/x"], ["/y", "/x"], ["/y", "/z", "/y"]])
def test_loops_are_refused(locations: list[str]) -> None:
    with pytest.raises(Refused, match="in a loop"):
        follow("http://a.example/x", *locations)


def test_a_way_out_of_tls_is_refused_wherever_it_leads() -> None:
    assert follow("http://a.example/", "https://b.example/") == "https://b.example/"
    for target in ("http://a.example/y", "http://b.example/"):
        with pytest.raises(Refused, match="from https to http"):
            follow("https://a.example/", target)
    with pytest.raises(Refused, match="from https to http"):
        follow("http://a.example/", "https://a.example/", "http://a.example/y")


def test_a_redirect_to_nowhere_is_malformed() -> None:
    for location in (None, ""):
        with pytest.raises(Malformed, match="without saying where to"):
            follow("http://a.example/", location)


def test_messages_show_no_query() -> None:
    with pytest.raises(Refused) as refusal:
        follow("https://a.example/x?key=swordfish", "http://a.example/y?key=swordfish")
    assert "swordfish" not in str(refusal.value)
