"""Hostile upstreams: the rendered pages hold nothing but their usual markup."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.model import check_unit, identify, stored_unit
from reconciler.plugin import Malformed, PluginCallConfiguration, StoredArtifact, StoredUnit, Unit
from reconciler_python.publishing.rendering import list_pages, project_pages
from reconciler_python.publishing.simple_publisher import PublicationOptions, PythonPublisher
from reconciler_python.reading.documents import (
    FILE_KEYS,
    PAGE_KEYS,
    ExtendedFile,
    ListedFile,
    read_project_json,
)
from reconciler_python.reading.media_types import read_list, read_project
from reconciler_python.reading.units import project_units
from tests.support.conduits import BASE, FakePublishConduit, page
from tests.support.drawn import (
    Drawn,
    assert_agreement,
    assert_only_what_is_expected,
)

JSON = "application/vnd.pypi.simple.v1+json"
URL = f"{BASE}foo/"
SHA = "a" * 64
MARKUP = '"><script>alert(1)</script>'


def units_of(document: Any) -> list[StoredUnit]:
    """Take a page through the importer and the core into what a publisher is given."""
    read = read_project_json(page(json.dumps(document), JSON, url=URL))
    return [
        stored_unit(identify(unit, "foo").body)
        for unit in project_units("foo", read, URL, refuse=lambda key, reason: None)
    ]


def file(**keys: Any) -> dict[str, Any]:
    return {
        "filename": "foo-1.0-py3-none-any.whl",
        "url": "https://files.example.org/foo-1.0-py3-none-any.whl",
        "hashes": {"sha256": SHA},
        **keys,
    }


def document(*files: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"meta": {"api-version": "1.4"}, "name": "foo", "files": list(files), **keys}


def pages(units: list[StoredUnit]) -> tuple[Drawn, Any]:
    conduit = FakePublishConduit({"foo": units}, options=PublicationOptions())
    PythonPublisher().publish(conduit, PluginCallConfiguration({}, {}, {}))
    found = conduit.merged.pages
    return Drawn(found["simple/foo/", "text/html"]), json.loads(found["simple/foo/", JSON])


TEXT = st.sampled_from(
    [
        MARKUP,
        "' onload='x",
        "<!--",
        "]]>",
        "&lt;b&gt;",
        "</a><img src=x>",
        "",
        "\x00\r\n\t",
        "2026-01-02T03:04:05Z",
    ]
) | st.text(max_size=12)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["sha256", "", "x"]) | TEXT, inner, max_size=2)
    ),
    max_leaves=4,
)
KEY = st.sampled_from(sorted({*FILE_KEYS, *PAGE_KEYS, "", "extra", "_own", MARKUP, "new-key"}))
NAMES = st.sampled_from(
    [
        "foo-1.0-py3-none-any.whl",
        "foo-2.0.tar.gz",
        'foo-1.0-py3-none-"><b>.whl',
        "foo-3.0-py3-none-a&amp;'.whl",
        f"foo-{MARKUP}.zip",
    ]
)
WELL_TYPED = st.fixed_dictionaries(
    {},
    optional={
        "requires-python": TEXT,
        "upload-time": TEXT,
        "yanked": st.booleans() | TEXT,
        "core-metadata": st.just({"sha256": SHA}) | st.dictionaries(st.just("sha256"), TEXT),
        "size": st.integers(-5, 2**63),
        "provenance": TEXT,
        "new-key": VALUE,
    },
)
FILES = st.builds(
    lambda name, keys, hostile: {**file(**keys), "filename": name, **hostile},
    NAMES,
    WELL_TYPED,
    st.dictionaries(
        KEY.filter(lambda key: key not in ("filename", "url", "hashes")), VALUE, max_size=2
    ),
)
PAGE = st.fixed_dictionaries(
    {},
    optional={
        "project-status": st.fixed_dictionaries({"status": TEXT}, optional={"reason": TEXT}),
        "": VALUE,
        "extra": VALUE,
        MARKUP: VALUE,
    },
)

FRAGMENT = (
    st.sampled_from(
        [
            "<a ",
            "href=",
            "'",
            '"',
            ">",
            "<",
            "/",
            "</a>",
            "<!--",
            "-->",
            "<base ",
            "<meta ",
            "name=",
            "content=",
            "&#",
            "&amp;",
            ";",
            "=",
            " ",
        ]
    )
    | st.sampled_from(
        [
            "<html>",
            "</html>",
            "<script>",
            "</script>",
            "foo-1.0.tar.gz",
            "#sha256=",
            SHA,
            "pypi:repository-version",
            "1.0",
            "\x00",
            "9" * 5000,
        ]
    )
    | st.text(max_size=8)
)


@given(st.lists(FILES, max_size=4), PAGE)
@example(
    [
        file(
            **{
                "": {
                    "upload-time": MARKUP,
                    "core-metadata": {"sha256": MARKUP},
                    "size": MARKUP,
                    "yanked": False,
                }
            }
        )
    ],
    {},
)
@example([file(**{"": {"requires-python": 5, "filename": 5, "hashes": 5}})], {})
@example(
    [file(**{"requires-python": MARKUP, "yanked": MARKUP, "upload-time": MARKUP})],
    {"project-status": {"status": MARKUP, "reason": MARKUP}},
)
def test_no_page_of_upstream_speaks_through_ours(
    files: list[dict[str, Any]], keys: dict[str, Any]
) -> None:
    try:
        units = units_of(document(*files, **keys))
    except Malformed:  # none of its files can be read: nothing of the page is shown
        return
    if any(unit.type == "python.distribution" for unit in units):
        drawn, answer = pages(units)
        assert_only_what_is_expected(drawn)
        assert_agreement(drawn, answer)


EXTRA = st.dictionaries(KEY, VALUE, max_size=5)


@given(EXTRA, EXTRA)
@example(
    {"requires-python": 5, "core-metadata": 5, "yanked": MARKUP}, {"tracks": [MARKUP], "files": 5}
)
def test_known_keys_among_the_further_ones_of_a_stored_unit_are_not_believed(
    of_file: dict[str, Any], of_page: dict[str, Any]
) -> None:
    metadata = {"name": "foo", "version": "1.0", "packageType": "sdist", "extra": of_file}
    unit = StoredUnit(
        artifacts=[StoredArtifact("foo-1.0.tar.gz", SHA, None)],
        group="foo",
        key="foo-1.0.tar.gz",
        metadata=metadata,
        type="python.distribution",
    )
    status = StoredUnit(
        artifacts=[],
        group="foo",
        key="foo",
        metadata={"status": "archived", "extra": of_page},
        type="python.project",
    )
    drawn, answer = pages([unit, status])
    assert_only_what_is_expected(drawn)
    assert_agreement(drawn, answer)
    [entry] = answer["files"]
    assert entry.keys() & {*FILE_KEYS, "_own"} == {"filename", "url", "hashes"}
    assert answer.keys() & {*PAGE_KEYS, "_own"} == {
        "meta",
        "name",
        "versions",
        "files",
        "project-status",
    }


@pytest.mark.parametrize("key", ["", "extra"])
def test_no_key_of_upstream_fills_what_we_collect_ourselves(key: str) -> None:
    [one] = read_project_json(
        page(json.dumps(document(file(**{key: {"yanked": True}}))), JSON, url=URL)
    ).files
    assert isinstance(one, ExtendedFile)
    assert one.extra == {key: {"yanked": True}}


def test_an_ordinary_page_carries_no_further_keys() -> None:
    [one] = read_project_json(page(json.dumps(document(file(yanked=True))), JSON, url=URL)).files
    assert type(one) is ListedFile


def test_names_are_escaped_wherever_they_stand() -> None:
    """Names are normalised before they get here; the pages do not rely on it."""
    listed = Drawn(list_pages([MARKUP, "foo"])[0])
    assert listed.anchors == [({"href": f"{MARKUP}/"}, MARKUP), ({"href": "foo/"}, "foo")]
    metadata = {"name": MARKUP, "version": "1.0", "packageType": "sdist"}
    unit = StoredUnit(
        artifacts=[StoredArtifact("foo-1.0.tar.gz", SHA)],
        group=MARKUP,
        key="foo-1.0.tar.gz",
        metadata=metadata,
        type="python.distribution",
    )
    drawn = Drawn(project_pages(MARKUP, [unit], None)[0])
    assert_only_what_is_expected(drawn)
    assert [text for tag, _, text in drawn.elements if tag in ("title", "h1")] == [
        f"Links for {MARKUP}"
    ] * 2


class TestDocumentsWithoutSense:
    """Arbitrary bytes give valid units, refusals or Malformed, in linear time."""

    @staticmethod
    def read(body: bytes, media_type: str, charset: str = "utf-8", **keys: Any) -> list[Unit]:
        try:
            document = read_project(page(body, media_type, url=URL, charset=charset))
            read_list(page(body, media_type, url=URL, charset=charset))
        except Malformed:
            return []
        refused: dict[str, str] = {}
        found = project_units("foo", document, URL, refuse=refused.__setitem__, **keys)
        for unit in found:
            check_unit(unit)
        assert all(name.isprintable() for name in refused)
        return found

    @given(
        st.recursive(VALUE, lambda inner: st.dictionaries(KEY, inner, max_size=4), max_leaves=8),
        st.booleans(),
    )
    def test_json_of_any_shape(self, value: Any, lenient: bool) -> None:
        for document in (
            value,
            {"files": value},
            {"files": [value]},
            {"files": [file(), value], "meta": value},
            {"files": [], "project-status": value},
        ):
            self.read(json.dumps(document).encode(), JSON, legacy=lenient, unhashed=lenient)

    @given(st.lists(FILES, max_size=3), st.data())
    def test_json_that_was_cut_or_stirred(
        self, files: list[dict[str, Any]], data: st.DataObject
    ) -> None:
        body = bytearray(json.dumps(document(*files)).encode())
        place = data.draw(st.integers(0, len(body) - 1))
        self.read(bytes(body[:place]), JSON)
        body[place] = data.draw(st.integers(0, 255))
        self.read(bytes(body), JSON)

    @given(st.lists(FRAGMENT, max_size=20), st.booleans())
    def test_html_of_any_shape(self, fragments: list[str], lenient: bool) -> None:
        self.read(
            "".join(fragments).encode(errors="surrogatepass"),
            "text/html",
            legacy=lenient,
            unhashed=lenient,
        )

    @given(
        st.binary(max_size=80),
        st.sampled_from(
            ["", JSON, "text/html", "text/plain", "application/octet-stream", "application/json"]
        ),
    )
    def test_bytes_under_any_media_type(self, body: bytes, media_type: str) -> None:
        for charset in ("utf-8", "latin-1", "utf-16", "utf-7", "punycode", "no-such"):
            self.read(body, media_type, charset)

    @pytest.mark.parametrize("lenient", [False, True])
    @pytest.mark.parametrize(
        "filename",
        [
            "foo-" + "-" * 100_000 + ".whl",
            "foo-1!" + "9" * 200 + ".tar.gz",
            "foo-" + "9" * 100_000 + ".tar.gz",
            "foo-" + ".".join(["1"] * 100) + ".tar.gz",
            "foo-" + "1a" * 100 + ".tar.gz",
            "foo-\u0661.0.tar.gz",
            "foo-1.0+\u212a.tar.gz",
            "foo-1.0\u202egz.tar.gz",
            "foo-1.0\ud800.tar.gz",
            "foo-\u200b1.0.tar.gz",
            "foo" + "-_." * 60 + "1.0.zip",
            "foo-.linux" * 20 + ".tar.gz",
            "..\\foo-1.0.zip",
            "foo-1.0.tar.gz\x00.exe",
        ],
    )
    def test_names_that_want_to_be_long_or_wide(self, filename: str, lenient: bool) -> None:
        body = json.dumps(document({**file(), "filename": filename})).encode()
        for unit in self.read(body, JSON, legacy=lenient):
            assert unit.key.isprintable()
            assert len(unit.key.encode()) < 255
            assert unit.metadata["version"].isascii() or lenient

    @pytest.mark.parametrize(
        "unit",
        [
            "<a ",
            "<!--",
            "<a href='",
            '<a href="',
            "</",
            "<![CDATA[",
            "<a>",
            "<",
            "&",
            "<script>",
            "<a x=y ",
            "<a>< ",
            "<a =' =\"",
        ],
    )
    def test_many_of_what_is_never_closed(self, unit: str) -> None:
        """Linear: a scanner that looks ahead from each of them would take a quarter of an hour."""
        for around in ("{}", "<html><body>{}</body></html>", "<a href='x'>{}</a>"):
            self.read(around.format(unit * 30_000).encode(), "text/html")

    @pytest.mark.parametrize(
        "body",
        [
            b"<b>" * 200_000 + b"</i>" * 200_000,
            b"<div>" * 200_000 + b"</p>" * 200_000,
            b"<div>" * 200_000 + b"<body>" * 200_000,
            b"".join(b"<font a%d>" % number for number in range(20_000)) + b"<p>x" * 20_000,
            b"<a " + b" ".join(b"x%d=1" % number for number in range(50_000)) + b">",
            b"<td><a href=x>y" * 50_000,
        ],
    )
    def test_time_does_not_grow_faster_than_the_page(self, body: bytes) -> None:
        """Parsers that build a tree need minutes for one of these, or gigabytes."""
        start = time.process_time()
        self.read(body, "text/html")
        assert time.process_time() - start < 5

    @given(st.data())
    def test_no_beginning_of_a_page_gives_other_files(self, data: st.DataObject) -> None:
        """HTTP tells that a body is whole; end tags are optional, so they cannot."""
        whole = (
            "<!DOCTYPE html><html><head><title>Links for foo</title><style>a{}</style></head><body>"
            "<!-- a > comment --><a href='foo-1.0.tar.gz'>foo &amp; bar</a><br><script>x</script>"
            '<a href="foo-2.0.tar.gz" data-x=1>foo</a></body></html>'
        )
        end = data.draw(st.integers(1, len(whole) - 1))
        files = read_project(page(whole, "text/html")).files
        within = whole.rfind("<", 0, end - 1) > whole.rfind(">", 0, end)  # a last `<` is text
        try:
            begun = read_project(page(whole[:end], "text/html")).files
        except Malformed:
            return
        assert begun == files[: len(begun)]
        assert not within

    @pytest.mark.parametrize(
        "cut", ["<a href='x", "<a", "</a", "<!-- a", "<script> x", "<title>Links", "<textarea>x"]
    )
    def test_a_page_without_html_must_not_end_within_something(self, cut: str) -> None:
        whole = "<a href='foo-1.0.tar.gz'>foo</a>"
        assert len(read_project(page(whole, "text/html")).files) == 1
        with pytest.raises(Malformed, match="it ends within a tag, a comment or an element"):
            read_project(page(whole + cut, "text/html"))

    def test_no_secret_of_a_url_is_recorded_or_told(self) -> None:
        secret = "pa55word"
        entry = file(
            url=f"https://user:{secret}@files.example.org/foo.whl?x=1",
            provenance=f"https://user:{secret}@files.example.org/p",
        )
        where = f"https://user:{secret}@index.example.org/simple/foo/?sign={secret}"
        for body in (
            json.dumps(document(entry)),
            json.dumps(document({**entry, "url": "foo.whl"})),
        ):
            read = read_project(page(body, JSON, url=where))
            units = project_units("foo", read, where, refuse=lambda key, reason: None)
            assert len(units) == 1
            assert secret not in repr(units).replace(f"sign={secret}", "")
        with pytest.raises(Malformed) as raised:
            read_project(page("[]", JSON, url=where))
        assert secret not in str(raised.value)
