"""HTML documents of the simple API (PEP 503), read into the records of `documents`."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import unquote, urljoin

from reconciler.plugin import Malformed, Page
from reconciler_python.documents import ListedFile, ListedProject, ProjectDocument, check_api_version
from reconciler_python.filenames import stem_and_type


class Anchor(NamedTuple):
    """One link: its attributes (names in lower case) and its text."""

    attributes: dict[str, str | None]
    text: str


class _Reader(HTMLParser):
    """Collects what matters of a page: anchors, the base of relative links, the index's own `<meta>`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[Anchor] = []
        self.base: str | None = None
        self.meta: dict[str, str] = {}
        self._attributes: dict[str, str | None] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.finish_anchor()
            self._attributes = dict(attrs)
        elif tag == "base" and self.base is None:
            self.base = dict(attrs).get("href")
        elif tag == "meta":
            found = dict(attrs)
            name = found.get("name") or ""
            if name.startswith("pypi:"):
                self.meta.setdefault(name, found.get("content") or "")

    def handle_data(self, data: str) -> None:
        if self._attributes is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.finish_anchor()

    def finish_anchor(self) -> None:
        if self._attributes is not None:
            self.anchors.append(Anchor(self._attributes, "".join(self._text).strip()))
        self._attributes, self._text = None, []


def read_project_html(page: Page) -> ProjectDocument:
    """Links to anything but distributions (parent folders, signatures, home pages) are passed over. Raises Malformed."""
    reader = _read(page)
    base = _base(page, reader)
    files = [file for anchor in reader.anchors if (file := _file(anchor, base)) is not None]
    reason = reader.meta.get("pypi:project-status-reason")
    return ProjectDocument(files, [], reader.meta.get("pypi:project-status") or "active", reason or None)


def read_list_html(page: Page) -> list[ListedProject]:
    """The text of every link; whoever asks judges whether it is a name. Raises Malformed."""
    return [ListedProject(anchor.text.rstrip("/")) for anchor in _read(page).anchors]


def _read(page: Page) -> _Reader:
    reader = _Reader()
    try:
        reader.feed(page.body.decode(page.charset, errors="replace"))
        reader.close()
    except (LookupError, AssertionError) as error:  # an unknown charset; what html.parser says of some broken declarations
        raise Malformed(f"{page.url}: the HTML cannot be read: {error}") from None
    reader.finish_anchor()
    check_api_version(page, reader.meta.get("pypi:repository-version") or "1.0")
    return reader


def _base(page: Page, reader: _Reader) -> str:
    try:
        return urljoin(page.url, reader.base) if reader.base else page.url
    except ValueError:
        raise Malformed(f"{page.url}: its `<base>` is no URL") from None


def _file(anchor: Anchor, base: str) -> ListedFile | None:
    """As pip does, the filename is the last segment of the URL; the text of the link counts where that is none."""
    attributes = anchor.attributes
    href = (attributes.get("href") or "").strip()
    try:
        url = urljoin(base, href)
    except ValueError:
        return None
    location, _, fragment = url.partition("#")
    filename = unquote(location.partition("?")[0].rpartition("/")[2])
    if stem_and_type(filename) is None:
        filename = anchor.text
        if stem_and_type(filename) is None:
            return None
    size = attributes.get("data-size") or ""
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
    return {name: value for name, _, value in (part.partition("=") for part in fragment.split("&")) if value}


def _core_metadata(attributes: dict[str, str | None]) -> bool | dict[str, str] | None:
    for name in ("data-core-metadata", "data-dist-info-metadata"):
        if name in attributes:
            return _hashes(attributes[name] or "") or True
    return None
