"""HTML documents of the simple API (PEP 503), read into the records of `documents`.

lxml's event parser tokenises as browsers do and reads a page once, whatever it contains. It builds
no tree: a tree of ten thousand nested elements takes some parsers minutes.

Parsers repair what they read, so a truncated page looks like a complete one. HTTP tells that a body
was not whole; here an element of our own behind the page shows that it ends within a tag, a comment
or a text such as a script. `</html>` proves nothing: valid pages leave it out.
"""

from __future__ import annotations

import codecs
import re
import secrets
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin

from lxml import etree  # type: ignore[import-untyped]

from reconciler.plugin import Malformed, Page
from reconciler_python.reading.documents import (
    ListedFile,
    ListedProject,
    ProjectDocument,
    check_amount,
    check_api_version,
    marked_encoding,
)
from reconciler_python.reading.filenames import project_name, stem_and_type
from reconciler_python.reading.urls import absolute_url, shown_url, without_blanks

_WRITTEN_ELEMENT = re.compile(r"<[a-zA-Z]")
_DEEPEST: Final = 256  # elements within each other: the parser's time grows with every one
_AT_ONCE: Final = (
    32 * 1024
)  # characters: the parser notices at the end of each piece that it is told to stop
_LONGEST_BASE: Final = 16_000  # characters of `<base>`: every link of a page is joined to it
_TITLES: Final = frozenset({"title", "h1", "h2", "h3", "h4", "h5", "h6"})
_MOST_TITLES: Final = 20  # that are looked at
_LONGEST_TITLE: Final = 400  # characters that are looked at
_UNSEEN: Final = frozenset({"script", "style", "title", "textarea"})
_INDEX_TITLE = re.compile(
    r"\blinks (?:for|to)\b|\bsimple (?:package |repository )?index\b|\bindex of\b|\bdirectory"
    r" listing\b",
    re.IGNORECASE,
)
_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,200}?charset\s*+=\s*+[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE
)
# Text encodings that no page has, and some of which take quadratic time.
_NOT_OF_PAGES: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"}
)
_SHORTENED: Final = ("..>", "...", "\N{HORIZONTAL ELLIPSIS}")


class Anchor(NamedTuple):
    """One link: its attributes (names in lower case), and its text in parts."""

    attributes: dict[str, str]
    parts: list[str]

    @property
    def text(self) -> str:
        return "".join(self.parts).strip()

    @property
    def segment(self) -> str:
        """The last part of the path that the link leads to."""
        path = re.split(r"[?#]", self.attributes.get("href", ""))[0]
        return unquote(path.strip().rstrip("/").rpartition("/")[2])


class _TooDeepError(ValueError):
    """Raised to stop the parser."""


class _Markup:
    """Collects what matters of a page: the target of lxml's events.

    `base`: of relative links; `meta`: the index's own `<meta>` elements; `titles`: headings, too;
    `interactive`: it has a script or a password field; `worded`: it shows text outside its title.
    """

    def __init__(self, text: str) -> None:
        self.anchors: list[Anchor] = []
        self.base = ""
        self.meta: dict[str, str] = {}
        self.titles: list[list[str]] = []
        self.interactive = self.worded = self.complete = False
        self._open: list[str] | None = None  # where the text of a link or a title goes
        self._depth = self._unseen = 0
        self._end = f"end-{secrets.token_hex(8)}"  # no page can know it
        parser = etree.HTMLParser(target=self, huge_tree=True)
        for start in range(0, len(text), _AT_ONCE):
            parser.feed(text[start : start + _AT_ONCE])
        parser.feed(f"<{self._end}>")
        parser.close()
        if parser.error_log.filter_from_fatals():
            self.complete = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooDeepError(f"its elements are nested more than {_DEEPEST} deep")
        if name == "a":
            anchor = Anchor(dict(attributes), [])
            self.anchors.append(anchor)
            self._open = anchor.parts
        elif name in _TITLES and len(self.titles) < _MOST_TITLES:
            self._open = []
            self.titles.append(self._open)
        elif name == "base":
            self.base = self.base or attributes.get("href", "").strip()
        elif name == "meta":
            if attributes.get("name", "").startswith("pypi:"):
                self.meta.setdefault(attributes["name"], attributes.get("content", ""))
        elif name == "script" or (
            name == "input" and attributes.get("type", "").lower() == "password"
        ):
            self.interactive = True
        elif name == self._end:
            self.complete = True
        if name in _UNSEEN:
            self._unseen += 1

    def end(self, name: str) -> None:
        self._depth -= 1
        if name == "a" or name in _TITLES:
            self._open = None
        if name in _UNSEEN:
            self._unseen -= 1

    def data(self, text: str) -> None:
        if self._open is not None:
            self._open.append(text)
        if not self.worded and not self._unseen and text.strip():
            self.worded = True

    def close(self) -> None:
        """Called by the parser at the end of the page."""

    @property
    def is_index(self) -> bool:
        """True if a page without links says that it is one of an index, or says nothing at all.

        Generators of indexes and servers of folders do one of both.
        """
        titles = ("".join(parts)[:_LONGEST_TITLE] for parts in self.titles)
        return not self.worded or any(map(_INDEX_TITLE.search, titles))


def read_project_html(page: Page) -> ProjectDocument:
    """Read the HTML page of a project. Raises Malformed.

    Links to anything but distributions (parent folders, signatures, home pages) are passed over.
    """
    check_amount(page, b"<", project=True)
    markup = _read(page)
    base = _base(page, markup)
    files = [file for anchor in markup.anchors if (file := _file(anchor, base)) is not None]
    if not files:
        _check_index(page, markup)
    reason = markup.meta.get("pypi:project-status-reason")
    return ProjectDocument(
        files, [], markup.meta.get("pypi:project-status") or "active", reason or None
    )


def read_list_html(page: Page) -> list[ListedProject]:
    """Read an HTML list of projects: the text of every link. Raises Malformed.

    Where a server of folders shortened the text, the last part of the path. Callers check the
    names.
    """
    check_amount(page, b"<")
    markup = _read(page)
    listed = [_listed(anchor) for anchor in markup.anchors]
    if not any(project_name(item.name) for item in listed):
        _check_index(page, markup)
    return listed


def _listed(anchor: Anchor) -> ListedProject:
    text = anchor.text.rstrip("/")
    return ListedProject(anchor.segment if text.endswith(_SHORTENED) else text)


def _read(page: Page) -> _Markup:
    text = _decoded(page)
    if not _WRITTEN_ELEMENT.search(text):
        raise Malformed(f"{shown_url(page)}: the HTML cannot be read: there is no element in it")
    try:
        markup = _Markup(text)
    except (ValueError, etree.LxmlError) as error:
        raise Malformed(f"{shown_url(page)}: the HTML cannot be read: {error}") from None
    if not markup.complete:
        raise Malformed(
            f"{shown_url(page)}: the HTML cannot be read: it ends within a tag, a comment or an"
            " element"
        )
    check_api_version(page, markup.meta.get("pypi:repository-version") or "1.0")
    return markup


def _check_index(page: Page, markup: _Markup) -> None:
    """Raise Malformed for a page that has no link to the purpose and is none of an index.

    It may be a login that answers 200 for everything: that is no absence.
    """
    if markup.interactive and "pypi:repository-version" not in markup.meta:
        raise Malformed(
            f"{shown_url(page)}: a page with scripts or a password field and without files is no"
            " page of an index",
            hint=(
                "a proxy's login, or the site around the index? check the URL and `auth` of the"
                " remote"
            ),
        )
    if not (markup.anchors or markup.meta or markup.is_index):
        raise Malformed(
            f"{shown_url(page)}: a page of words without a link is no page of an index",
            hint=(
                "is the index down for maintenance? an empty page says what it is: `<title>Links"
                " for ...</title>`, or its version in a `<meta>`"
            ),
        )


def _decoded(page: Page) -> str:
    """Decode a page: by its byte order mark, the header, as UTF-8, or by its own `<meta>`.

    What is left unreadable becomes U+FFFD.
    """
    mark = marked_encoding(page.body)
    if mark is not None:
        return page.body.decode(mark, errors="replace")
    if page.charset == "utf-8":
        try:
            return page.body.decode()
        except UnicodeDecodeError:
            declared = "charset" in page.headers.get("content-type", "").lower()
            match = None if declared else _META_CHARSET.search(page.body[:4096])
            return _decoded_as(page, match[1].decode() if match else "utf-8")
    return _decoded_as(page, page.charset)


def _decoded_as(page: Page, charset: str) -> str:
    try:
        if codecs.lookup(charset).name in _NOT_OF_PAGES:
            raise LookupError(f"unknown encoding: {charset}")
        return page.body.decode(charset, errors="replace")
    except (LookupError, ValueError) as error:
        raise Malformed(f"{shown_url(page)}: the HTML cannot be read: {error}") from None


def _base(page: Page, markup: _Markup) -> str:
    try:
        base = urljoin(page.url, markup.base) if markup.base else page.url
    except ValueError:
        raise Malformed(f"{shown_url(page)}: its `<base>` is no URL") from None
    if len(base) > _LONGEST_BASE:
        raise Malformed(f"{shown_url(page)}: its `<base>` has {len(base):,} characters")
    return base if base.startswith(("https://", "http://")) else page.url


def _file(anchor: Anchor, base: str) -> ListedFile | None:
    """Return the file that a link leads to; None where it is no distribution.

    As for pip, the filename is the last segment of the URL; the text of the link counts where that
    is none.
    """
    attributes = anchor.attributes
    url = without_blanks(attributes.get("href", ""))
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        try:
            url = absolute_url(base, url)
        except ValueError:
            return None
    location, _, fragment = url.partition("#")
    filename = location.partition("?")[0].rpartition("/")[2]
    if "%" in filename:
        filename = unquote(filename)
    if stem_and_type(filename) is None:
        filename = anchor.text
        if stem_and_type(filename) is None:
            return None
    size = attributes.get("data-size", "")
    return ListedFile(
        filename=filename,
        url=location,
        hashes=_hashes(fragment),
        requires_python=attributes.get("data-requires-python"),
        size=int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None,
        upload_time=attributes.get("data-upload-time"),
        yanked=(attributes["data-yanked"] or True) if "data-yanked" in attributes else None,
        core_metadata=_core_metadata(attributes),
        provenance=attributes.get("data-provenance"),
    )


def _hashes(fragment: str) -> dict[str, str]:
    """`#sha256=...`; older indexes put further fields behind an ampersand."""
    return {
        name: value
        for name, _, value in (part.partition("=") for part in fragment.split("&"))
        if value
    }


def _core_metadata(attributes: dict[str, str]) -> bool | dict[str, str] | None:
    for name in ("data-core-metadata", "data-dist-info-metadata"):
        if name in attributes:
            return _hashes(attributes[name]) or True
    return None
