"""Remotes on this machine: files, conditions, and a folder that nothing leads out of."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.errors import (
    ForeignOrigin,
    Gone,
    Malformed,
    ReconcilerError,
    Refused,
    Unreachable,
    UsageFault,
)
from reconciler.model import ANY_HOST, Auth, Digest, Remote, Secret
from reconciler.remote import Fetcher, Response, download, open_fetcher
from reconciler.retrying import RetryPolicy
from reconciler.store import LocalStore
from tests.support import faulty
from tests.support.exchange import LIMIT, drain
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote

T = TypeVar("T")
LARGE = bytes(range(256)) * 12_000  # some 3 MiB: several pieces, read in threads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a remote, with a secret beside it."""
    (tmp_path / "beside.txt").write_bytes(b"secret")
    home = tmp_path / "mirror"
    (home / "sub").mkdir(parents=True)
    (home / "a.bin").write_bytes(b"hello")
    (home / "sub" / "large.bin").write_bytes(LARGE)
    return home


def use(base: str, talk: Callable[[Fetcher], Awaitable[T]], settings: Remote | None = None) -> T:
    async def main() -> T:
        fetcher = open_fetcher(settings or remote(retries=0), base)
        try:
            return await talk(fetcher)
        finally:
            await fetcher.close()

    return asyncio.run(main())


def home(folder: Path) -> str:
    return f"{folder.as_uri()}/"


def get(folder: Path, url: str, *, limit: int = len(LARGE), **headers: str) -> Response:
    """The answer to GET; header names with `_` for `-`. A URL without a scheme is relative to the
    folder.
    """
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    whole = url if "://" in url else home(folder) + url
    return use(home(folder), lambda fetcher: fetcher.get(whole, headers=sent, limit=limit))


def stream(folder: Path, url: str) -> bytes:
    return use(home(folder), lambda fetcher: drain(fetcher, home(folder) + url))


ASKS = pytest.mark.parametrize("ask", [get, stream])


def test_a_file_is_answered_with_its_bytes_and_validators(folder: Path) -> None:
    os.utime(folder / "a.bin", (0, 784_111_777))
    answer = get(folder, "a.bin")
    assert (answer.status, answer.body, answer.url) == (200, b"hello", home(folder) + "a.bin")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["last-modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert answer.headers["etag"].startswith('"')


def test_a_large_file_is_answered_whole(folder: Path) -> None:
    assert get(folder, "sub/large.bin").body == LARGE


def test_a_request_with_the_etag_gets_304(folder: Path) -> None:
    etag = get(folder, "a.bin").headers["etag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = get(folder, "a.bin", if_none_match=known)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert get(folder, "a.bin", If_None_Match='"other"').status == 200


@pytest.mark.parametrize("change", ["content", "replaced", "touched"])
def test_an_etag_changes_with_the_file(folder: Path, change: str) -> None:
    file = folder / "a.bin"
    before = get(folder, "a.bin").headers["etag"]
    times = (0, file.stat().st_mtime_ns)
    if change == "content":
        file.write_bytes(b"hello!")
        os.utime(file, ns=times)
    elif change == "replaced":
        (folder / "new").write_bytes(b"HELLO")
        os.utime(folder / "new", ns=times)
        (folder / "new").rename(file)
    else:
        os.utime(file, ns=(0, times[1] + 1))
    assert get(folder, "a.bin").headers["etag"] != before


def test_a_file_larger_than_the_limit_is_malformed(folder: Path) -> None:
    assert get(folder, "a.bin", limit=5).body == b"hello"
    with pytest.raises(Malformed, match="limit of 4 bytes"):
        get(folder, "a.bin", limit=4)


def test_a_stream_gives_pieces_under_a_mebibyte_and_its_length(folder: Path) -> None:
    async def talk(fetcher: Fetcher) -> tuple[int, int | None, list[bytes]]:
        async with fetcher.stream(home(folder) + "sub/large.bin") as opened:
            return opened.status, opened.length, [piece async for piece in opened.chunks()]

    status, length, pieces = use(home(folder), talk)
    assert (status, length, b"".join(pieces)) == (200, len(LARGE), LARGE)
    assert max(map(len, pieces)) <= 1 << 20


def test_a_stream_is_asked_conditionally_too(folder: Path) -> None:
    async def talk(fetcher: Fetcher) -> tuple[int, bytes]:
        url = home(folder) + "a.bin"
        async with fetcher.stream(url) as opened:
            etag = opened.headers["etag"]
        async with fetcher.stream(url, {"If-None-Match": etag}) as opened:
            return opened.status, b"".join([piece async for piece in opened.chunks()])

    assert use(home(folder), talk) == (304, b"")


def test_a_file_downloads_into_a_store(folder: Path, tmp_path: Path) -> None:
    store, url = LocalStore(tmp_path / "store"), home(folder) + "sub/large.bin"

    def talk(fetcher: Fetcher) -> Awaitable[int]:
        return download(
            fetcher,
            store,
            url,
            expected=Digest.of(LARGE),
            limit=len(LARGE),
            retry=RetryPolicy(attempts=1),
            progress=lambda count: None,
        )

    assert use(home(folder), talk) == len(LARGE)
    assert store.verify(Digest.of(LARGE))


@pytest.mark.parametrize("size", [2 << 20, 4 << 20])
def test_a_file_that_changes_while_it_is_read_is_unreachable(folder: Path, size: int) -> None:
    async def talk(fetcher: Fetcher) -> None:
        async with fetcher.stream(home(folder) + "sub/large.bin") as opened:
            pieces = opened.chunks()
            await anext(pieces)
            os.truncate(folder / "sub" / "large.bin", size)
            with pytest.raises(Unreachable, match="changed while it was read"):
                [piece async for piece in pieces]

    use(home(folder), talk)


@ASKS
@pytest.mark.parametrize("name", ["nowhere", "sub/nowhere/x", "a.bin/x", "a.bin/", "x" * 300])
def test_what_is_not_there_is_gone_and_named(
    folder: Path, ask: Callable[[Path, str], object], name: str
) -> None:
    with pytest.raises(Gone, match="does not exist") as caught:
        ask(folder, name)
    assert str(folder / name).rstrip("/") in str(caught.value)


@ASKS
def test_a_missing_folder_says_nothing_about_its_files(
    tmp_path: Path, ask: Callable[[Path, str], object]
) -> None:
    with pytest.raises(Refused, match=r"folder `.*unmounted` does not exist"):
        ask(tmp_path / "unmounted", "a.bin")


@ASKS
@pytest.mark.parametrize(
    "url",
    [
        "../beside.txt",
        "%2e%2e/beside.txt",
        "sub/../../beside.txt",
        "../mirror-too/x",
        "link",
        "linked/beside.txt",
        "../nowhere",
    ],
)
def test_nothing_leads_out_of_the_folder(
    folder: Path, ask: Callable[[Path, str], object], url: str
) -> None:
    (folder / "link").symlink_to(folder.parent / "beside.txt")
    (folder / "linked").symlink_to(folder.parent)
    (folder.parent / "mirror-too").mkdir()
    (folder.parent / "mirror-too" / "x").write_bytes(b"secret")
    with pytest.raises(Refused, match="outside"):
        ask(folder, url)


def test_links_within_the_folder_are_followed(folder: Path) -> None:
    (folder / "link").symlink_to("sub/large.bin")
    (folder / "there").symlink_to("sub")
    assert get(folder, "link").body == get(folder, "there/large.bin").body == LARGE


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    (folder.parent / "current").symlink_to(folder)
    assert get(folder.parent / "current", "a.bin").body == b"hello"


def test_the_base_may_name_a_file_or_a_folder_without_its_slash(folder: Path) -> None:
    for base in (
        f"{home(folder)}a.bin",
        folder.as_uri(),
        f"file://localhost{folder}",
        f"FILE:{folder}",
    ):
        assert (
            use(
                base,
                lambda fetcher: fetcher.get(
                    home(folder) + "sub/large.bin", headers={}, limit=len(LARGE)
                ),
            ).body
            == LARGE
        )
        with pytest.raises(Refused, match="outside"):
            use(
                base,
                lambda fetcher: fetcher.get(
                    f"{folder.parent.as_uri()}/beside.txt", headers={}, limit=LIMIT
                ),
            )


@ASKS
@pytest.mark.parametrize("kind", ["pipe", "loop"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    folder: Path, ask: Callable[[Path, str], object], kind: str
) -> None:
    if kind == "pipe":
        os.mkfifo(folder / "odd")
    else:
        (folder / "odd").symlink_to("odd")
    with pytest.raises(Refused, match="odd"):
        ask(folder, "odd")


def test_a_folder_cannot_be_downloaded(folder: Path) -> None:
    with pytest.raises(Refused, match="is a folder"):
        stream(folder, "sub")


@ASKS
@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, Refused), (errno.EIO, Unreachable), (errno.ESTALE, Unreachable)],
)
def test_a_disk_that_says_no_is_refused_and_one_that_fails_is_unreachable(
    folder: Path,
    ask: Callable[[Path, str], object],
    number: int,
    kind: type[ReconcilerError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("reconciler.remote.local_fetcher.os.open", failing)
    with pytest.raises(kind, match=r"a\.bin` cannot be read") as caught:
        ask(folder, "a.bin")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("file://example.org/x", Refused),
        ("ftp://example.org/x", Refused),
        ("file:///x%00y", Malformed),
        ("file:///x?y", Malformed),
    ],
)
def test_other_urls_are_not_for_files(folder: Path, url: str, kind: type[ReconcilerError]) -> None:
    with pytest.raises(kind):
        get(folder, url)
    if url.startswith("file:"):
        with pytest.raises(UsageFault, match="file"):
            open_fetcher(remote(), url)


def test_names_are_decoded_and_fragments_left_out(folder: Path) -> None:
    (folder / "a b\u00e9%.txt").write_bytes(b"odd")
    answer = get(folder, "a%20b%C3%A9%25.txt#sha256=0")
    assert (answer.body, answer.url) == (b"odd", home(folder) + "a%20b%C3%A9%25.txt")


def test_messages_are_printable(folder: Path) -> None:
    with pytest.raises(Gone) as caught:
        get(folder, "a%1b%0a%ff")
    assert str(caught.value).isprintable()


def test_a_local_remote_asks_hosts_that_its_files_name_and_shows_them_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDEX_PASSWORD", "opensesame")
    settings = remote(
        retries=0, auth=Auth("ali", Secret(env="INDEX_PASSWORD")), headers={"X-Team": "data"}
    )

    async def talk(fetcher: Fetcher) -> None:
        async with FaultyServer() as server:
            server.on("/x", faulty.body(b"there"))
            assert await drain(fetcher, server.url("/x")) == b"there"
            with pytest.raises(ForeignOrigin, match="another host"):
                await fetcher.get(server.url("/x"), headers={}, limit=LIMIT)
            for request in server.requests:
                assert {"authorization", "x-team"}.isdisjoint(request.headers)

    use(home(folder), talk, settings)


def test_no_redirect_leads_to_a_file(folder: Path) -> None:
    async def talk(fetcher: Fetcher) -> None:
        async with FaultyServer() as server:
            server.on("/x", faulty.redirect(home(folder) + "a.bin"))
            with pytest.raises(Malformed):
                await fetcher.get(server.url("/x"), headers={}, limit=LIMIT)

    use(home(folder), talk, remote(retries=0, redirects=ANY_HOST))
