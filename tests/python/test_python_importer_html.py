"""Reading the pages of an index in HTML."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.plugin import Group, Malformed
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.html_documents import read_list_html
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import FakeConduit, page
from tests.support.importing import (
    FOO,
    NO_DIGEST,
    OTHER,
    SHA,
    declared,
    document,
    file,
    read,
    units,
)


class TestHtml:
    def test_attributes_give_the_same_units_as_json(self) -> None:
        markup = f"""<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4">
            <meta name="pypi:project-status" content="archived">
            <meta name="pypi:project-status-reason" content="a &amp; b"></head>
            <body><a href="../../files/foo-1.0-py3-none-any.whl#sha256={SHA.upper()}"
            data-requires-python="&gt;=3.8"
            data-yanked="why &quot;not&quot;"
            data-core-metadata="sha256={OTHER}" data-dist-info-metadata="true" data-provenance="https://index.example.org/p"
            data-upload-time="2026-01-02T03:04:05Z" data-size="5" data-gpg-sig="true"
            >foo-1.0-py3-none-any.whl</a><br></body></html>"""
        entry = file(
            url="https://index.example.org/files/foo-1.0-py3-none-any.whl",
            size=5,
            yanked='why "not"',
            **{
                "requires-python": ">=3.8",
                "core-metadata": {"sha256": OTHER},
                "upload-time": "2026-01-02T03:04:05Z",
            },
            provenance="https://index.example.org/p",
        )
        same = document(entry, **{"project-status": {"status": "archived", "reason": "a & b"}})
        for media_type in ("text/html", "application/vnd.pypi.simple.v1+html"):
            assert units(markup, media_type) == units(same)

    def test_a_yank_without_a_reason_is_a_yank(self) -> None:
        found, _ = units(
            f'<a href="foo-1.0.tar.gz#sha256={SHA}" data-yanked>x</a><a'
            f' href="foo-2.0.tar.gz#sha256={SHA}" data-yanked="">x</a>',
            "text/html",
        )
        assert [unit.metadata["yanked"] for unit in found] == [True, True]

    def test_base_and_redirect_decide_where_links_lead(self) -> None:
        markup = (
            '<base href="https://cdn.example.org/a/"><a'
            f' href="foo-1.0%2Bx.tar.gz#sha256={SHA}">text</a>'
        )
        [unit], _ = units(markup, "text/html")
        assert unit.key == "foo-1.0+x.tar.gz"
        assert unit.artifacts[0].url == "https://cdn.example.org/a/foo-1.0%2Bx.tar.gz"

    def test_the_text_is_the_filename_where_the_url_has_none(self) -> None:
        [unit], _ = units(
            f'<a href="/get?id=5&amp;x=1#sha256={SHA}&amp;egg=foo"> foo-1.0.tar.gz </a>',
            "text/html",
        )
        assert (unit.key, unit.artifacts[0].url) == (
            "foo-1.0.tar.gz",
            "https://index.example.org/get?id=5&x=1",
        )

    def test_other_links_are_passed_over_and_hostile_ones_refused(self) -> None:
        markup = f"""<a>no link</a><a href="../">Parent</a><a href="foo-1.0.tar.gz.asc">sig</a>
            <a href="https://[x">broken</a><a href="mailto:x">x</a>
            <a href="..%2F..%2Fetc%2Ffoo-1.0.tar.gz#sha256={SHA}">x</a>
            <a href="foo-2.0.tar.gz">no digest</a>
            <a href="foo-3.0.tar.gz#sha256={SHA}">unclosed"""
        found, refused = units(markup, "text/html")
        assert [unit.key for unit in found] == ["foo-3.0.tar.gz"]
        assert refused == {
            "../../etc/foo-1.0.tar.gz": "the filename is unsafe",
            "foo-2.0.tar.gz": NO_DIGEST,
        }

    @pytest.mark.parametrize(
        "markup",
        [
            (
                "<html><head><title>Links for foo</title></head><body><h1>Links for"
                " foo</h1></body></html>"
            ),
            (
                "<html><head><title>root/dev: links for foo</title></head><body><h1>root/dev: links"
                " for foo</h1>powered by devpi</body></html>"
            ),
            (
                '<html><head><title>Simple Index</title><meta name="api-version" value="2"'
                " /></head><body></body></html>"
            ),
            (
                '<html><head><meta name="pypi:repository-version"'
                ' content="1.0"></head><body>nothing here</body></html>'
            ),
            (
                "<html><head><title>Index of /simple/foo/</title></head><body><h1>Index of"
                " /simple/foo/</h1><hr></body></html>"
            ),
            (
                "<html><head><title>Index of /simple/foo/</title></head><body><a"
                " href='../'>../</a>nothing else</body></html>"
            ),
            "<html><head><title>foo</title></head><body>\n</body></html>",
            (
                "<!DOCTYPE html><html><!-- <b>made</b> today --><head><style>h1 { color: red"
                " }</style></head><body>\n</body></html>"
            ),
        ],
    )
    def test_a_page_of_an_index_without_links_has_no_files(self, markup: str) -> None:
        assert units(markup, "text/html") == ([], {})

    @pytest.mark.parametrize(
        "markup",
        [
            "<html>maintenance</html>",
            "<html><head><title>Sorry</title></head><body>Back <b>soon</b></body></html>",
            "<html><body><h1>503 Service Unavailable</h1></body></html>",
            "<html><body><p>We are down; the index of packages will be back.</p></body></html>",
        ],
    )
    def test_a_page_of_words_is_no_page_of_an_index(self, markup: str) -> None:
        with pytest.raises(Malformed, match="is no page of an index"):
            read(markup, "text/html")
        with pytest.raises(Malformed, match="is no page of an index"):
            declared({"": page(markup, "text/html")})

    def test_the_charset_of_the_header_is_obeyed(self) -> None:
        body = f'<a href="foo-1.0.tar.gz#sha256={SHA}" data-yanked="caf\xe9">x</a>'.encode(
            "latin-1"
        )
        conduit = FakeConduit(
            {"foo/": page(body, "text/html", url=FOO, charset="latin-1")}, SelectionOptions()
        )
        [unit] = asyncio.run(PythonImporter().read(conduit, Group("foo")))  # type: ignore[misc]
        assert unit.metadata["yanked"] == "caf\xe9"

    @pytest.mark.parametrize("charset", ["no-such-charset", "base64"])
    def test_an_unknown_charset_is_malformed(self, charset: str) -> None:
        conduit = FakeConduit(
            {"foo/": page("<a>x</a>", "text/html", url=FOO, charset=charset)}, SelectionOptions()
        )
        with pytest.raises(Malformed, match="cannot be read"):
            asyncio.run(PythonImporter().read(conduit, Group("foo")))


def test_depth_counts_open_elements_and_not_all_of_them() -> None:
    link = "<a href='foo/'>foo</a>"
    deep, wide = "<div>" * 300 + link + "</div>" * 300, f"<p>{link}</p>" * 300
    [foo, *_] = read_list_html(page(wide, "text/html"))
    assert foo.name == "foo"
    with pytest.raises(Malformed, match="nested more than 256 deep"):
        read_list_html(page(deep, "text/html"))
