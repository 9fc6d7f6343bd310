"""Which representation a client gets (RFC 9110, 12)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.database.records import Entry, ServedContent
from reconciler.model import Digest
from reconciler.serve.negotiation import accepts_gzip, choose
from reconciler.serve.representation import Resource

HTML, V1_HTML, LATEST_HTML = (
    "text/html",
    "application/vnd.pypi.simple.v1+html",
    "application/vnd.pypi.simple.latest+html",
)
JSON, LATEST_JSON = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json"
OFFERS = [(HTML, V1_HTML, LATEST_HTML), (JSON, LATEST_JSON)]
NAMES = ["html", "json"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "html"),
        ("*/*", "html"),
        ("text/html", "html"),
        (JSON, "json"),
        (LATEST_JSON, "json"),
        (V1_HTML, "html"),
        (f"{JSON}, {V1_HTML}; q=0.1, text/html; q=0.01", "json"),
        (f"{JSON};q=0.1, {V1_HTML};q=0.2, text/html;q=0.01", "html"),
        (f"{JSON};q=0.5, */*;q=0.1", "json"),
        (f"{JSON}, */*", "json"),
        (f"*/*, {JSON};q=0.9", "html"),
        ("application/*", "json"),
        ("application/*;q=0.5, text/*;q=0.6", "html"),
        ("text/html;q=0, */*", "json"),
        (f"{JSON};q=0, */*;q=0.1", "html"),
        ("application/*;q=0.9, text/*;q=0.9", "html"),
        ("text/html, " + JSON, "html"),
        ("TEXT/HTML;Q=0.5, " + JSON.upper() + ";Q=0.6", "json"),
        ("text/html;level=1, " + JSON + ";q=0.5", "json"),
        ("text/html;charset=utf-8", "html"),
        (JSON + "; charset=utf-8;q=0.9, text/html;q=0.8", "json"),
        ("image/png", "html"),
        (f"{JSON};q=0", "html"),
        (f"{JSON};q=nonsense, text/html;q=0.1", "html"),
        (f"{JSON};q=-1, text/html;q=0.1", "html"),
        ("*/json", "html"),
        (";;;,,,=", "html"),
        ("text/html;q=0.000, " + JSON + ";q=0.001", "json"),
        ("text/html;q=1.000, " + JSON + ";q=0.999", "html"),
    ],
)
def test_the_preferred_offer_wins(accept: str, expected: str) -> None:
    assert NAMES[choose(accept, OFFERS)] == expected


@given(
    st.lists(
        st.tuples(st.sampled_from([HTML, JSON, "*/*", "text/*", "image/png"]), st.integers(0, 1000))
    )
)
def test_the_order_of_ranges_does_not_matter(ranges: list[tuple[str, int]]) -> None:
    texts = [f"{name};q={weight / 1000}" for name, weight in ranges]
    assert choose(",".join(texts), OFFERS) == choose(",".join(reversed(texts)), OFFERS)


@given(st.text(max_size=200))
def test_no_header_is_an_error(accept: str) -> None:
    assert choose(accept, OFFERS) in (0, 1)
    accepts_gzip(accept)


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("gzip, deflate, br", True),
        ("gzip;q=0", False),
        ("br, *;q=0.1", True),
        ("*;q=0", False),
        ("identity", False),
        ("gzip;q=0.5, identity;q=0.4", True),
        ("gzip;q=0.4, identity;q=0.5", False),
        ("*;q=0.5, gzip;q=0", False),
        ("gzip;q=0.1, *;q=0.9", False),
        ("x-gzip", True),
        ("deflate, br", False),
        ("gzip;q=broken", False),
    ],
)
def test_gzip_goes_to_who_asks_for_it(accept_encoding: str, expected: bool) -> None:
    assert accepts_gzip(accept_encoding) is expected


def resource() -> Resource:
    entries = [
        Entry("x", media_type, "x", True, Digest.of(media_type.encode()), 1, position=position)
        for position, media_type in enumerate((HTML, JSON))
    ]
    return Resource(ServedContent(entries, datetime(2026, 11, 1, tzinfo=UTC)))


@pytest.mark.parametrize("padding", [b",", b";", b"a/b;q=0.1,", b";x"])
def test_headers_longer_than_any_client_sends_are_not_weighed(padding: bytes) -> None:
    """Kind: a parser that a stranger feeds beside every other request, without a limit."""
    wanted, served = JSON.encode() + b",", resource()
    assert served.choose(wanted + padding * 20, b"gzip").entry.media_type == JSON
    for longer in ((wanted + padding * 6_000, b""), (wanted, padding * 6_000)):
        representation = served.choose(*longer)
        assert (representation.entry.media_type, representation.gzip) == (HTML, False)
