"""HTML documents of the simple API (PEP 503), read into the records of `documents`.

Read by a scanner of our own: `html.parser` needs minutes for a few ten thousand unclosed tags, and
for good pages several times as long. This one passes over a page once, whatever stands in it. As a
browser does, it takes the first of two attributes of one name, and quotes for quotes only behind
`=`. What ends within a tag or a comment, or opens `<html>` and never closes it, was cut off: a
failure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from html import unescape
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote, urljoin

from reconciler.plugin import Malformed, Page
from reconciler_python.reading.documents import (
    ListedFile,
    ListedProject,
    ProjectDocument,
    check_api_version,
    marked_encoding,
    place,
)
from reconciler_python.reading.filenames import project_name, stem_and_type

_TAG = re.compile(r"""<(/?[a-zA-Z][^\s/>]*+)((?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])))*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s/>=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]*+)))?+""")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_WITHIN = re.compile(r"<[^<>]*+>")
_COMMENT = re.compile(r"<!(?=--).*?-->|<[!?/][^>]*+>", re.DOTALL)
_TITLE = re.compile(r"<(?:title|h[1-6])\b[^<>]*+>([^<]{0,400}+)", re.IGNORECASE)
_TITLES: Final = 20  # that are looked at
_OF_INDEX = re.compile(
    r"\blinks (?:for|to)\b|\bsimple (?:package |repository )?index\b|\bindex of\b|\bdirectory"
    r" listing\b",
    re.IGNORECASE,
)
_RAW_TEXT: Final = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea")
}
_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,200}?charset\s*+=\s*+[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE
)
# Text encodings that no page has, and some of which take quadratic time.
_NOT_OF_PAGES: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"}
)
_SHORTENED: Final = ("..>", "...", "\N{HORIZONTAL ELLIPSIS}")


class Anchor(NamedTuple):
    """One link: its attributes (names in lower case) and its text as it is written, tags and all."""

    attributes: dict[str, str]
    written: str

    @property
    def text(self) -> str:
        return _plain_text(_WITHIN.sub("", self.written)).strip()

    @property
    def segment(self) -> str:
        """The last part of the path that the link leads to."""
        return unquote(
            re.split(r"[?#]", self.attributes.get("href", ""))[0]
            .strip()
            .rstrip("/")
            .rpartition("/")[2]
        )


class _Markup:
    """What matters of a page: anchors, the base of relative links, the index's own `<meta>`, and
    the signs of a page that is no index's.
    """

    def __init__(self, text: str) -> None:
        self.anchors: list[Anchor] = []
        self.base = ""
        self.meta: dict[str, str] = {}
        self.elements: set[str] = set()
        self.interactive = False
        self.text = text
        self._open: dict[str, str] | None = None
        self._since = 0
        end = 0
        for name, attributes, start, end in _tags(text):
            self._take(name.lower(), attributes, start, end)
        self._close(len(text))

    def _take(self, name: str, attributes: str, start: int, end: int) -> None:
        if name in ("a", "/a"):
            self._close(start)
            if name == "a":
                self._open, self._since = _attributes(attributes), end
            return
        self.elements.add(name)
        if name == "base":
            self.base = self.base or _attributes(attributes).get("href", "").strip()
        elif name == "meta":
            found = _attributes(attributes)
            if found.get("name", "").startswith("pypi:"):
                self.meta.setdefault(found["name"], found.get("content", ""))
        elif name == "script" or (
            name == "input" and _attributes(attributes).get("type", "").lower() == "password"
        ):
            self.interactive = True

    def _close(self, end: int) -> None:
        if self._open is not None:
            self.anchors.append(Anchor(self._open, self.text[self._since : end]))
            self._open = None


def read_project_html(page: Page) -> ProjectDocument:
    """Links to anything but distributions (parent folders, signatures, home pages) are passed over.
    Raises Malformed.
    """
    markup = _read(page)
    base = _base(page, markup)
    files = [file for anchor in markup.anchors if (file := _file(anchor, base)) is not None]
    if not files:
        _check_of_index(page, markup)
    reason = markup.meta.get("pypi:project-status-reason")
    return ProjectDocument(
        files, [], markup.meta.get("pypi:project-status") or "active", reason or None
    )


def read_list_html(page: Page) -> list[ListedProject]:
    """The text of every link, or where it leads where a server of folders shortened the text.
    Raises Malformed.

    Whoever asks judges whether it is a name.
    """
    markup = _read(page)
    listed = [_listed(anchor) for anchor in markup.anchors]
    if not any(project_name(item.name) for item in listed):
        _check_of_index(page, markup)
    return listed


def _listed(anchor: Anchor) -> ListedProject:
    text = anchor.text.rstrip("/")
    return ListedProject(anchor.segment if text.endswith(_SHORTENED) else text)


def _read(page: Page) -> _Markup:
    try:
        markup = _Markup(_decoded(page))
    except _CutOffError as error:
        raise Malformed(f"{place(page)}: the HTML cannot be read: {error}") from None
    if not (markup.elements or markup.anchors):
        raise Malformed(f"{place(page)}: the HTML cannot be read: there is no element in it")
    if "html" in markup.elements and "/html" not in markup.elements:
        raise Malformed(f"{place(page)}: the HTML cannot be read: it ends before `</html>`")
    check_api_version(page, markup.meta.get("pypi:repository-version") or "1.0")
    return markup


def _check_of_index(page: Page, markup: _Markup) -> None:
    """A page without a single link to the purpose may be a login that answers 200 for everything:
    that is no absence.
    """
    if markup.interactive and "pypi:repository-version" not in markup.meta:
        raise Malformed(
            f"{place(page)}: a page with scripts or a password field and without files is no page"
            " of an index",
            hint=(
                "a proxy's login, or the site around the index? check the URL and `auth` of the"
                " remote"
            ),
        )
    if not (markup.anchors or markup.meta or _is_index(markup.text)):
        raise Malformed(
            f"{place(page)}: a page of words without a link is no page of an index",
            hint=(
                "is the index down for maintenance? an empty page says what it is: `<title>Links"
                " for ...</title>`, or its version in a `<meta>`"
            ),
        )


def _is_index(text: str) -> bool:
    """Of a page without links: does it say that it is one of an index, or nothing at all? As
    generators of indexes and servers of folders do.
    """
    titles = islice(_TITLE.finditer(text), _TITLES)
    return any(_OF_INDEX.search(title[1]) for title in titles) or not any(_words(text))


def _words(text: str) -> Iterator[str]:
    """What a reader of the page sees between its tags; its title, which may be no more than a
    project's name, is not among it.
    """
    seen = 0
    for name, _, start, end in _tags(text):
        yield _COMMENT.sub("", text[seen:start]).strip()
        raw = _RAW_TEXT.get(name.lower())
        seen = _found(raw.search(text, end)) if raw is not None else end
    yield _COMMENT.sub("", text[seen:]).strip()


class _CutOffError(ValueError):
    """The text ends where no page does."""


def _tags(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Every tag: name (`/a` for an end), what stands behind it, where it begins and ends. Raises
    _CutOffError.
    """
    position = 0
    while (start := text.find("<", position)) >= 0:
        found = _TAG.match(text, start)
        if found is not None:
            name, position = found[1], found.end()
            yield name, found[2], start, position
            raw = _RAW_TEXT.get(name.lower())
            if raw is not None:
                position = _found(raw.search(text, position))
        elif text.startswith("<!--", start):
            position = _after(text, "-->", start + 2)
        elif text[start + 1 : start + 2] in ("!", "?", "/"):
            position = _after(text, ">", start)
        elif text[start + 1 : start + 2].isalpha() and text[start + 1].isascii():
            raise _CutOffError("it ends within a tag")
        else:
            position = start + 1


def _after(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    if found < 0:
        raise _CutOffError("it ends within a comment")
    return found + len(mark)


def _found(match: re.Match[str] | None) -> int:
    if match is None:
        raise _CutOffError("it ends within an element")
    return match.start()


def _attributes(text: str) -> dict[str, str]:
    """By name in lower case; the first of two counts."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), _plain_text(double or single or bare))
    return found


def _plain_text(text: str) -> str:
    """Character references resolved, those that are written out with their semicolon."""
    return _REFERENCE.sub(lambda match: unescape(match[0]), text) if "&" in text else text


def _decoded(page: Page) -> str:
    """By its byte order mark, by the header, as UTF-8, by its own `<meta>`; what is left unreadable
    becomes U+FFFD.
    """
    mark = marked_encoding(page.body)
    if mark is not None:
        return page.body.decode(mark, errors="replace")
    if page.charset == "utf-8":
        try:
            return page.body.decode()
        except UnicodeDecodeError:
            declared = "charset" in page.headers.get("content-type", "").lower()
            found = None if declared else _META_CHARSET.search(page.body[:4096])
            return _decoded_as(page, found[1].decode() if found else "utf-8")
    return _decoded_as(page, page.charset)


def _decoded_as(page: Page, charset: str) -> str:
    try:
        if codecs.lookup(charset).name in _NOT_OF_PAGES:
            raise LookupError(f"unknown encoding: {charset}")
        return page.body.decode(charset, errors="replace")
    except (LookupError, ValueError) as error:
        raise Malformed(f"{place(page)}: the HTML cannot be read: {error}") from None


def _base(page: Page, markup: _Markup) -> str:
    try:
        base = urljoin(page.url, markup.base) if markup.base else page.url
    except ValueError:
        raise Malformed(f"{place(page)}: its `<base>` is no URL") from None
    return base if base.startswith(("https://", "http://")) else page.url


def _file(anchor: Anchor, base: str) -> ListedFile | None:
    """As pip does, the filename is the last segment of the URL; the text of the link counts where
    that is none.
    """
    attributes = anchor.attributes
    url = attributes.get("href", "").strip()
    if not url:
        return None
    if not url.startswith(("https://", "http://")):
        try:
            url = urljoin(base, url)
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
