"""Pages: conditional requests, serials, offline, and a cache that need not be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.errors import Malformed, NotCached, Stale, Unreachable
from reconciler.model import Digest, Page
from reconciler.remote import PageCache, PageReader, Response, StreamedResponse, Trust
from tests.support.remotes import VirtualTime

URL = "http://example.org/simple/foo/"
BODY = b"a page " * 400


class Upstream:
    """A fetcher that gives prepared answers and remembers the headers it was asked with."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        self.asked.append(dict(headers))
        if not self.answers:
            raise Unreachable("nothing more")
        return self.answers.pop(0)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        raise AssertionError("pages are not streamed")

    async def close(self) -> None:
        pass


def page(body: bytes = BODY, status: int = 200, url: str = URL, **headers: str) -> Response:
    """An answer; header names with `_` for `-`."""
    return Response(
        status, url, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


def unchanged(**headers: str) -> Response:
    return page(b"", 304, **headers)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "pages"


def read(
    root: Path,
    upstream: Upstream | None,
    url: str = URL,
    *,
    accept: str = "*/*",
    at_least: int | None = None,
    time: VirtualTime | None = None,
) -> Page:
    """One page through a reader of its own, so that only the folder remembers."""
    reader = PageReader(
        upstream,
        PageCache(root),
        offline=upstream is None,
        retry=(time or VirtualTime()).policy(3),
    )
    return asyncio.run(reader.get(url, accept=accept, at_least=at_least))


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_page_says_what_it_is(root: Path) -> None:
    answer = page(
        url="http://example.org/simple/foo/index.html",
        content_type='Text/HTML; charset="ISO-8859-1"',
        etag='"1"',
        x_pypi_last_serial="7",
    )
    got = read(root, Upstream(answer))
    assert (got.url, got.body, got.media_type, got.charset) == (
        "http://example.org/simple/foo/index.html",
        BODY,
        "text/html",
        "iso8859-1",
    )
    assert got.headers["x-pypi-last-serial"] == "7"


@pytest.mark.parametrize(
    "value",
    ["text/html", "text/html; charset=klingon", "text/html; charset", "text/html; charset=a\0b"],
)
def test_an_unknown_charset_is_utf_8(root: Path, value: str) -> None:
    got = read(root, Upstream(page(content_type=value)))
    assert (got.media_type, got.charset) == ("text/html", "utf-8")


NEL = "\x85"  # a control character that a header may hold


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": '"1"', "last_modified": "then"}, 'etag:"1"'),
        ({"etag": 'W/"1"'}, 'etag:W/"1"'),
        ({"etag": "e" * 8_000}, f"etag:{Digest.of(b'e' * 8_000)}"),
        ({"etag": NEL}, f"etag:{Digest.of(NEL.encode())}"),
        ({"last_modified": "then"}, "last-modified:then"),
        ({}, str(Digest.of(BODY))),
    ],
)
def test_the_validator_is_the_best_there_is(
    root: Path, headers: dict[str, Any], validator: str
) -> None:
    assert read(root, Upstream(page(**headers))).validator == validator


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"etag": 'W/"1"', "last_modified": "then"}, {"If-None-Match": 'W/"1"'}),
        ({"last_modified": "then"}, {"If-Modified-Since": "then"}),
        ({}, {}),
    ],
)
def test_a_known_page_is_asked_for_conditionally(
    root: Path, headers: dict[str, Any], condition: dict[str, str]
) -> None:
    upstream = Upstream(page(**headers), page(b"new"))
    read(root, upstream)
    assert read(root, upstream).body == b"new"
    assert upstream.asked == [{"Accept": "*/*"}, {"Accept": "*/*", **condition}]


def test_not_modified_gives_the_cached_page(root: Path) -> None:
    first = read(root, Upstream(page(etag='"1"', content_type="text/html", url=URL + "index.html")))
    assert read(root, Upstream(unchanged(etag='"1"'))) == first


def test_a_confirmed_page_bears_the_serial_of_the_confirmation(root: Path) -> None:
    read(root, Upstream(page(etag='"1"', x_pypi_last_serial="7")))
    assert (
        read(root, Upstream(unchanged(x_pypi_last_serial="8")), at_least=8).headers[
            "x-pypi-last-serial"
        ]
        == "8"
    )


def test_pages_are_kept_apart_by_what_was_accepted(root: Path) -> None:
    read(root, Upstream(page(b"html", etag='"1"')), accept="text/html")
    assert (
        read(root, Upstream(page(b"json", etag='"2"')), accept="application/json").body == b"json"
    )
    assert read(root, None, accept="text/html").body == b"html"


def test_not_modified_without_a_question_is_malformed(root: Path) -> None:
    with pytest.raises(Malformed, match="304"):
        read(root, Upstream(unchanged()))


def test_a_failure_leaves_the_cached_page(root: Path) -> None:
    first = read(root, Upstream(page(etag='"1"')))
    with pytest.raises(Unreachable):
        read(root, Upstream())
    assert read(root, None) == first


# Serials


def test_an_older_answer_is_asked_for_again_past_caches(root: Path) -> None:
    time = VirtualTime()
    upstream = Upstream(
        page(b"old", etag='"1"', x_pypi_last_serial="6"),
        unchanged(x_pypi_last_serial="6"),
        page(b"new", x_pypi_last_serial="8"),
    )
    assert read(root, upstream, at_least=7, time=time).body == b"new"
    assert (
        upstream.asked[1:]
        == [{"Accept": "*/*", "If-None-Match": '"1"', "Cache-Control": "no-cache"}] * 2
    )
    assert len(time.slept) == 2


def test_an_answer_that_stays_old_is_stale(root: Path) -> None:
    upstream = Upstream(*(page(x_pypi_last_serial="6") for _ in range(9)))
    with pytest.raises(Stale, match="serial 6, but the index announced 7"):
        read(root, upstream, at_least=7)
    assert len(upstream.asked) == 4


@pytest.mark.parametrize(
    "headers", [{}, {"x_pypi_last_serial": "soon"}, {"x_pypi_last_serial": "7"}]
)
def test_an_answer_without_a_serial_or_with_the_right_one_is_taken(
    root: Path, headers: dict[str, Any]
) -> None:
    assert read(root, Upstream(page(**headers)), at_least=7).body == BODY


# Offline


def test_offline_takes_what_is_cached_and_names_what_is_not(root: Path) -> None:
    with pytest.raises(NotCached, match="simple/foo"):
        read(root, None)
    assert not root.exists()
    read(root, Upstream(page()))
    assert read(root, None).body == BODY


def test_a_reader_without_a_fetcher_must_be_offline(root: Path) -> None:
    with pytest.raises(ValueError, match="offline"):
        PageReader(None, PageCache(root))


# The cache


def test_nothing_is_created_before_a_page_is_kept(root: Path) -> None:
    with pytest.raises(Unreachable):
        read(root, Upstream())
    assert not root.exists()


def test_a_page_that_is_the_same_is_not_written_again(root: Path) -> None:
    read(root, Upstream(page()))
    (file,) = files(root)
    before = file.stat()
    read(root, Upstream(page()))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_changed_page_takes_the_place_of_the_old_one(root: Path) -> None:
    read(root, Upstream(page(b"old")))
    read(root, Upstream(page(b"new")))
    assert len(files(root)) == 1
    assert read(root, None).body == b"new"


def test_any_damage_makes_a_page_absent_and_the_next_request_unconditional(root: Path) -> None:
    read(root, Upstream(page(etag='"1"')))
    (file,) = files(root)
    whole = file.read_bytes()
    damaged = [b"", b"something else", whole[:-1], whole[:20], whole + b"x"]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for place in range(0, len(whole), 7)
    ]
    for data in damaged:
        file.write_bytes(data)
        upstream = Upstream(page(etag='"1"'))
        assert read(root, upstream).body == BODY
        assert upstream.asked == [{"Accept": "*/*"}]
        assert file.read_bytes() == whole


def test_a_page_under_a_foreign_name_is_absent(root: Path) -> None:
    cache = PageCache(root)
    read(root, Upstream(page(b"mine")))
    (mine,) = files(root)
    read(root, Upstream(page(b"theirs")), "http://example.org/other")
    (theirs,) = set(files(root)) - {mine}
    mine.write_bytes(theirs.read_bytes())
    assert cache.load(URL, "*/*") is None


def test_not_modified_for_a_page_that_cannot_be_unpacked_is_asked_again_unconditionally(
    root: Path,
) -> None:
    cache = PageCache(root)
    read(root, Upstream(page(etag='"1"')))
    known = cache.load(URL, "*/*")
    assert known is not None
    cache.store(msgspec.structs.replace(known.head, size=3), BODY)
    upstream = Upstream(unchanged(), page(etag='"1"'))
    assert read(root, upstream).body == BODY
    assert upstream.asked == [{"Accept": "*/*", "If-None-Match": '"1"'}, {"Accept": "*/*"}]
    assert read(root, None).body == BODY


def test_a_large_page_is_packed_and_comes_back_whole(root: Path) -> None:
    large = b"0123456789abcdef" * 100_000
    read(root, Upstream(page(large, etag='"1"')))
    (file,) = files(root)
    assert file.stat().st_size < len(large) / 10
    assert read(root, Upstream(unchanged())).body == large


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    root = tmp_path / "pages"
    root.write_text("a file where a folder should be")
    assert read(root, Upstream(page())).body == BODY
    assert root.is_file()


def test_pages_are_one_remotes_own(root: Path) -> None:
    """Under one URL, a remote with other credentials may get something else."""
    cache = PageCache(root)

    def get(whose: str, *answers: Response) -> bytes:
        upstream = Upstream(*answers) if answers else None
        return asyncio.run(
            PageReader(upstream, cache.for_remote(whose), offline=not answers).get(URL)
        ).body

    assert get("one", page(b"one")) == b"one"
    with pytest.raises(NotCached):
        get("two")
    assert get("two", page(b"two")) == b"two"
    assert [get("one"), get("two")] == [b"one", b"two"]
    cache.for_remote("one").drop(URL, "*/*")
    assert get("two") == b"two"


def test_a_cached_page_that_has_reached_the_serial_is_current(root: Path) -> None:
    first = read(root, Upstream(page(etag='"1"', x_pypi_last_serial="7")))
    for at_least in (6, 7):
        upstream = Upstream()
        assert read(root, upstream, at_least=at_least) == first
        assert upstream.asked == []
    upstream = Upstream(unchanged(x_pypi_last_serial="8"))
    read(root, upstream, at_least=8)
    assert len(upstream.asked) == 1
