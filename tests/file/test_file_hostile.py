"""Hostile lists: a broken list fails as a whole, or loses its broken lines by name."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import identify
from reconciler.plugin import Gone, Group, Malformed, Page, Unchanged
from reconciler_file import folders, listing
from reconciler_file.file_importer import FileImporter
from reconciler_file.listing import group_of
from reconciler_file.options import SourceOptions
from tests.support.conduits import FakeConduit, page

URLS = {
    "manifest": "https://files.example.org/pool/PULP_MANIFEST",
    "urls": "https://files.example.org/pool/all.urls",
    "folder": "https://files.example.org/pool/",
}
SHA = "a" * 64


def read(format: str, body: bytes) -> tuple[list[str], dict[str, str]]:
    """Keys of the units, each of which the core would take, and what was refused."""
    answer = page(body, "text/html" if format == "folder" else "text/plain", url=URLS[format])
    conduit = FakeConduit(
        {"": answer}, SourceOptions.model_validate({"format": format}), url=URLS[format]
    )
    keys = []
    for group in asyncio.run(_declared(conduit)):
        for unit in asyncio.run(FileImporter().read(conduit, group)):
            assert not unit.metadata
            [file] = unit.artifacts
            assert file.url.startswith(("https://", "http://"))
            if file.sha256:
                identify(unit, group.name)
            keys.append(unit.key)
    assert len(set(keys)) == len(keys)
    assert all(key.isprintable() and key for key in conduit.refused), "the plan shows them"
    return sorted(keys), conduit.refused


async def _declared(conduit: FakeConduit) -> list[Group]:
    return [
        group async for group in FileImporter().declare(conduit) if not isinstance(group, Unchanged)
    ]


UNSAFE = [
    b"../x",
    b"a/../../x",
    b"/etc/x",
    b"a\\b",
    b"a\x00b",
    b"a//b",
    b"a/./b",
    b"./../a",
    b"a/.",
    b"a\rb",
    b"a\tb",
    b"\xff\xfe",
    b"caf\xe9",
    "right\u202eleft".encode(),
    b"\x1b[31mred",
    b"n" * 1025,
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_an_unsafe_name_is_refused_and_the_others_go_in(name: bytes) -> None:
    keys, refused = read("manifest", b"ok,%s,1\n%s,%s,1\n" % (SHA.encode(), name, SHA.encode()))
    assert keys == ["ok"]
    [reason] = refused.values()
    assert reason.startswith("not a relative path")


@pytest.mark.parametrize("name", [b"./a", b"././a", b".//a"], ids=ascii)
def test_a_name_in_a_manifest_may_begin_with_the_folder_itself(name: bytes) -> None:
    """`find . -type f` writes names so, and Pulp reads them."""
    keys, refused = read("manifest", b"%s,%s,1\n" % (name, SHA.encode()))
    assert (keys, refused) == (["a"], {})


@pytest.mark.parametrize(
    ("format", "body"),
    [
        ("manifest", b"../x,%s,1\n/y,%s,1\n" % (SHA.encode(), SHA.encode())),
        ("urls", b"ftp://a.example.org/x\nfile:///etc/passwd\n"),
        ("folder", b"Index of <a href='%00'>x</a><a href='a%5Cb'>y</a>"),
    ],
)
def test_a_list_none_of_whose_entries_can_be_used_is_a_failure(format: str, body: bytes) -> None:
    """It is no absence: exit 1, and what was taken in stays."""
    with pytest.raises(Malformed, match="none of its"):
        read(format, body)


@pytest.mark.parametrize(
    "name",
    ["%2e%2e", "%00", "a%5Cb", "%FF", "%1b[31m", ".", "%2e%2e%2fx", "/x%2f%2e%2e%2f%2e%2e%2fy"],
)
def test_an_unsafe_name_in_a_url_is_refused(name: str) -> None:
    keys, refused = read(
        "urls", f"https://a.example.org/ok\nhttps://a.example.org/b/{name}\n".encode()
    )
    assert (keys, len(refused)) == (["ok"], 1)


@pytest.mark.parametrize(
    "href", ["%2e%2e%2fx", "%00", "a%5Cb", "%FF", "%2e%2e/", "a%2f%2e%2e%2f%2e%2e%2fb", "%1b[31m"]
)
def test_an_unsafe_link_in_a_listing_is_refused_and_not_followed(href: str) -> None:
    keys, refused = read("folder", f'<a href="ok">ok</a><a href="{href}">x</a>'.encode())
    assert (keys, len(refused)) == (["ok"], 1)


@pytest.mark.parametrize(
    "href",
    [
        "/elsewhere",
        "../x",
        "//evil.example.org/pool/x",
        "javascript:alert(1)",
        "?C=N",
        "#top",
        "",
        "x?y=1",
        "http://[::1",
        "mailto:a@b.example.org",
    ],
)
def test_a_link_that_does_not_lead_below_the_folder_is_passed_over(href: str) -> None:
    assert read("folder", f'<a href="ok">ok</a><a href="{href}">x</a>'.encode()) == (["ok"], {})


BROKEN = {
    "negative size": b"a,%s,-1" % SHA.encode(),
    "size with a sign": b"a,%s,+1" % SHA.encode(),
    "size without end": b"a,%s,%s" % (SHA.encode(), b"9" * 4301),
    "size in other digits": f"a,{SHA},\u0663".encode(),
    "no size": b"a,%s," % SHA.encode(),
    "short digest": b"a,%s,1" % SHA[1:].encode(),
    "digest of other letters": b"a,%s,1" % (b"g" * 64),
    "another kind of digest": b"a,md5:%s,1" % (b"a" * 32),
    "no name": b",%s,1" % SHA.encode(),
    "two columns": b"a,%s" % SHA.encode(),
    "an error page": b"<html><body>502 Bad Gateway</body></html>",
    "another encoding": f"a,{SHA},1\n".encode("utf-16"),
    "a line without end": b"x" * 200_000_000,
    "a name without end": b"x" * 20_000 + b",%s,1" % SHA.encode(),
    "compressed": b"\x1f\x8b\x08\x00garbage",
    "json": b'[{"name": "a"}]',
    "only commas": b"," * 10_000,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_line_that_is_no_entry_fails_the_whole_manifest(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        read("manifest", b"ok,%s,1\n%s\n" % (SHA.encode(), body))
    assert "line 2: " in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("charset", ["no-such-charset", "utf-8"])
def test_a_listing_that_cannot_be_read_is_a_failure(charset: str) -> None:
    answer = Page(URLS["folder"], b"<![foo[", "v1", "text/html", charset)
    conduit = FakeConduit({"": answer}, SourceOptions(), url=URLS["folder"])
    with pytest.raises(Malformed):
        asyncio.run(_declared(conduit))


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode-escape"])
def test_an_encoding_that_no_page_has_is_a_failure(charset: str) -> None:
    answer = Page(URLS["folder"], b'<a href="ok">ok</a>', "v1", "text/html", charset)
    conduit = FakeConduit({"": answer}, SourceOptions(), url=URLS["folder"])
    with pytest.raises(Malformed):
        asyncio.run(_declared(conduit))


@pytest.mark.parametrize(
    "body",
    [
        b"<b>" * 200_000 + b"</i>" * 200_000,
        b"<div>" * 200_000 + b"</p>" * 200_000,
        b"<div>" * 200_000 + b"<body>" * 200_000,
        b"".join(b"<font a%d>" % number for number in range(20_000)) + b"<p>x" * 20_000,
    ],
)
def test_elements_without_end_are_a_failure_at_once(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(Malformed, match="nested more than 256 deep"):
        read("folder", b'<a href="ok">ok</a>' + body)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "body",
    [
        b'<a href="' * 100_000,
        b"<a =" * 100_000,
        b"<!--" * 200_000,
        b"<a " + b" ".join(b"x%d=1" % number for number in range(50_000)) + b">",
        b"<script>" * 100_000,
        b"<" * 500_000,
        b"<td><a>" * 50_000,
    ],
)
def test_time_does_not_grow_faster_than_the_page(body: bytes) -> None:
    start = time.process_time()
    keys, _ = read("folder", b'<a href="ok">ok</a>' + body)
    assert "ok" in keys
    assert time.process_time() - start < 5


def test_a_name_that_is_listed_twice_counts_once() -> None:
    assert read("manifest", f"a,{SHA},1\na,{SHA.upper()},1\n".encode()) == (["a"], {})
    keys, refused = read("manifest", f"a,{SHA},1\na,{'b' * 64},1\na,{SHA},2\n".encode())
    assert (keys, refused) == (["a"], {"a": "listed again, with other content; the first counts"})


ALPHABET = st.text(st.sampled_from("a/.,#%\\ \t\r\n\x00\ufeff\"'é<>=:?&0"), max_size=12)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            ALPHABET,
            st.sampled_from([SHA, "b" * 64, "", "x"]),
            st.sampled_from(["1", "-1", "", "2 "]),
        ),
        max_size=4,
    )
)
def test_whatever_a_manifest_holds_units_are_sound_or_it_fails_as_a_whole(
    rows: list[tuple[str, str, str]],
) -> None:
    body = "\n".join(",".join(row) for row in rows).encode()
    try:
        read("manifest", body)
    except Malformed:
        return


@settings(deadline=None)
@given(st.sampled_from(["urls", "folder", "manifest"]), st.binary(max_size=60))
def test_whatever_bytes_come_they_are_read_or_malformed(format: str, body: bytes) -> None:
    try:
        read(format, b'<a href="' + body + b'">index of' if format == "folder" else body)
    except (Malformed, Gone):  # a folder below is not there
        return


class EndlessFolders(dict[str, Page | Exception]):
    """A server whose every folder lists 500 more."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def get(self, url: str, default: object = None) -> Page:
        self.asked += 1
        folders = "".join(f"<a href='{number}/'>x</a>" for number in range(500))
        return page(folders, "text/html", url=url or URLS["folder"])


@pytest.mark.parametrize("format", ["folder", "manifest"])
def test_short_links_below_a_long_url_are_counted_by_what_they_become(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a page of 2 MiB whose links, each joined to a URL of 7 KB, take gigabytes."""
    monkeypatch.setattr(folders, "_MOST_TEXT", 1_000_000)
    monkeypatch.setattr(listing, "_MOST_TEXT_OF_GROUP", 1_000_000)
    url = f"https://files.example.org/{'b' * 7_000}/"
    lines = (f"{number}-{'x' * 5},{SHA},1" for number in range(100_000))
    many = [line for line in lines if group_of(line.partition(",")[0]) == "00"][:200]
    text = "".join(f"<a href={number}>" for number in range(200))
    answer = page(text if format == "folder" else "\n".join(many), "text/html", url=url)
    conduit = FakeConduit({"": answer}, SourceOptions.model_validate({"format": format}), url=url)

    async def read_all() -> None:
        for group in await _declared(conduit):
            await FileImporter().read(conduit, group)

    with pytest.raises(Malformed, match="1,000,000 characters"):
        asyncio.run(read_all())


def test_a_tree_that_grows_with_every_page_is_given_up_at_once() -> None:
    server = EndlessFolders()
    options = SourceOptions.model_validate({"format": "folder"})
    conduit = FakeConduit(server, options, url=URLS["folder"])
    with pytest.raises(Malformed, match="more than 10,000 folders"):
        asyncio.run(_declared(conduit))
    assert server.asked < 50  # each page is counted, not each level
