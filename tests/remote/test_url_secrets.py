"""Queries and user info of URLs are not stored, in whatever page they stand.

Kind of fault: a secret that is not taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import NotCached
from reconciler.model import Page
from reconciler.remote import Fetcher, PageCache, PageReader, storable_url
from reconciler.remote.url_secrets import storable_body, storable_link
from tests.support import faulty
from tests.support.exchange import meet
from tests.support.faulty import FaultyServer

TOKEN = "swordfish"
QUERIES = [
    f"X-Signature={TOKEN}&X-Expires=9",
    f"a=1&b={TOKEN}",
    f"sig={TOKEN}/{TOKEN}+x==&y='{TOKEN}'",
    f"redirect=https://other.example/?t={TOKEN}",
]
USER = f"robot:{TOKEN}@"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        (f"https://a.example/f?{QUERIES[0]}", "https://a.example/f"),
        (f"https://{USER}a.example/f", "https://a.example/f"),
        (f"HTTPS://{USER}a.example:8443/f?x", "HTTPS://a.example:8443/f"),
        ("https://a.example/f@2", "https://a.example/f@2"),
        ("file:///srv/a?b@c", "file:///srv/a?b@c"),
    ],
)
def test_what_is_stored_of_a_url(url: str, bare: str) -> None:
    assert storable_url(url) == (bare, bare != url)


def html(url: str, quote: str) -> bytes:
    """A page that links to a URL, as generators write it."""
    href = escape(url, quote=False).replace("'", "&#39;" if quote == "'" else "'")
    return f"<!DOCTYPE html><a href={quote}{href}#sha256=0{quote}>a-1.0.tar.gz</a>\n".encode()


def documents(url: str) -> dict[str, bytes]:
    slashed = json.dumps({"files": [{"filename": "a", "url": url}]}).replace("/", "\\/")
    return {
        "html": html(url, '"'),
        "html, apostrophes": html(url, "'"),
        "html, another attribute": f'<a data-provenance="{escape(url)}" href="x">a</a>'.encode(),
        "json": json.dumps({"files": [{"url": url, "hashes": {"sha256": "0"}}]}).encode(),
        "json, escaped slashes": slashed.encode(),
        "json, escaped ampersands": json.dumps({"url": url}).replace("&", "\\u0026").encode(),
        "html, references": html(url.replace("?", "&#63;").replace("@", "&#x40;"), '"').replace(
            b"&amp;#", b"&#"
        ),
        "html, names": html(url, '"').replace(b"?", b"&quest;").replace(b"@", b"&commat;"),
        "json, all escaped": json.dumps({"url": url})
        .replace("/", "\\u002f")
        .replace("?", "\\u003F")
        .replace("@", "\\u0040")
        .encode(),
        "json, list": json.dumps([url]).encode() if "://" in url else b"[]",
        "digests": f"{'0' * 64}  {url}\n".encode(),
        "text": f"# files\n{url} sha256=0 size=1\n".encode(),
    }


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("base", ["https://a.example/f/a-1.0.tar.gz", "../f/a-1.0.tar.gz", "f"])
def test_no_page_is_stored_with_a_query(base: str, query: str) -> None:
    for name, body in documents(f"{base}?{query}").items():
        kept = storable_body(body)
        assert TOKEN.encode() not in kept, (name, kept)
        if name != "json, list":
            assert b"f" in kept
    kept = json.loads(storable_body(documents(f"{base}?{query}")["json"]))
    assert kept["files"] == [{"url": base, "hashes": {"sha256": "0"}}]
    assert storable_body(html(f"{base}?a=1", '"')) == html(base, '"')


def test_user_info_is_cut_as_well() -> None:
    for name, body in documents(f"https://{USER}a.example/f").items():
        assert TOKEN.encode() not in storable_body(body), name
    link = storable_link(f'<https://{USER}a.example/x?t={TOKEN}>; rel="next", <y?t={TOKEN}>')
    assert link == '<https://a.example/x>; rel="next", <y>'


@given(st.binary() | st.text("ab?@=/:'\"<>\\#&\n hrefhttps", max_size=80).map(str.encode))
def test_whatever_a_page_holds_is_cut_once_and_for_all(body: bytes) -> None:
    kept = storable_body(body)
    assert len(kept) <= len(body)
    assert any(mark in body for mark in (b"?", b"@", b"&", b"\\u")) or kept == body


def test_text_that_is_no_url_stays() -> None:
    page = json.dumps({"yanked": "broken? use 2.0", "email": "someone@a.example"}).encode()
    assert storable_body(page) == page


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_page_whose_urls_cannot_be_found_is_not_stored(tmp_path: Path, encoding: str) -> None:
    """Kind: an encoding in which no pattern of bytes finds the query."""
    charset = f"; charset={encoding}" if encoding != "utf-16" else ""
    body = SIGNED.decode().encode(encoding)

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> bytes:
        upstream.on("/x", faulty.body(body, content_type=f"application/json{charset}"))
        return (await PageReader(fetcher, PageCache(tmp_path)).get(upstream.url("/x"))).body

    assert meet(talk) == body
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


SIGNED = json.dumps({"files": [{"url": f"https://a.example/f?token={TOKEN}"}]}).encode()
PLAIN = b'{"files": []}'


def tagged(data: bytes) -> faulty.Answer:
    return faulty.body(data, content_type="application/json", headers={"ETag": '"1"'})


def talked(
    folder: Path, pages: Mapping[str, bytes], *asked: str, again: bool = False
) -> list[tuple[bytes, bool]]:
    """Bodies of the pages that are asked for in turn, and if each was asked conditionally."""

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> list[tuple[bytes, bool]]:
        for path, data in pages.items():
            upstream.on(path, tagged(data))
        reader = PageReader(fetcher, PageCache(folder), again=again)
        bodies = [(await reader.get(upstream.url(path))).body for path in asked]
        conditional = ["if-none-match" in request.headers for request in upstream.requests]
        return list(zip(bodies, conditional, strict=True))

    return meet(talk)


def test_a_page_with_signed_urls_is_stored_without_and_read_whole(tmp_path: Path) -> None:
    """Also where its validator says that it is unchanged: what it names could not be fetched."""
    assert talked(tmp_path, {"/x": SIGNED}, "/x", "/x") == [(SIGNED, False), (SIGNED, False)]
    assert all(
        TOKEN.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_page_without_is_confirmed_by_its_validator_unless_it_is_read_again(
    tmp_path: Path,
) -> None:
    assert [asked for _, asked in talked(tmp_path, {"/x": PLAIN}, "/x", "/x")] == [False, True]
    again = talked(tmp_path, {"/x": PLAIN}, "/x", "/x", again=True)
    assert [asked for _, asked in again] == [False, False]


def test_offline_a_page_is_shown_without_its_queries(tmp_path: Path) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> Page:
        upstream.on("/x?key=" + TOKEN, tagged(SIGNED))
        url = upstream.url("/x?key=" + TOKEN)
        await PageReader(fetcher, PageCache(tmp_path)).get(url)
        offline = PageReader(None, PageCache(tmp_path), offline=True)
        with pytest.raises(NotCached):
            await offline.get(upstream.url("/x?key=another"))
        return await offline.get(url)

    page = meet(talk)
    assert json.loads(page.body) == {"files": [{"url": "https://a.example/f"}]}
    assert page.url.endswith("/x")
