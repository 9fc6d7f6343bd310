"""Pages as a browser reads them: their elements alone, and what the JSON says beside them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br"}
ELEMENTS = {"html", "head", "meta", "title", "body", "h1", "a", "br"}
ATTRIBUTES = {
    "a": {
        "href",
        "data-requires-python",
        "data-yanked",
        "data-core-metadata",
        "data-dist-info-metadata",
        "data-upload-time",
        "data-size",
    },
    "html": {"lang"},
    "meta": {"charset", "name", "content"},
}


class Drawn(HTMLParser):
    """The elements of a page, each with its attributes and its text.

    What is neither fails.
    """

    def __init__(self, markup: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.other: list[str] = []
        self.feed(markup.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("a", "h1", "title"):
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)
        elif data.strip():
            self.other.append(data)

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    @property
    def anchors(self) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for tag, attributes, text in self.elements if tag == "a"]


def assert_only_what_is_expected(drawn: Drawn) -> None:
    assert not drawn.open
    assert not drawn.other
    for tag, attributes, _ in drawn.elements:
        assert tag in ELEMENTS
        assert attributes.keys() <= ATTRIBUTES.get(tag, set())
    assert [tag for tag, _, _ in drawn.elements if tag in ("title", "h1", "body")] == [
        "title",
        "body",
        "h1",
    ]


def as_anchor(entry: dict[str, Any]) -> tuple[dict[str, str | None], str]:
    """Return the expected HTML of an entry of the JSON."""
    attributes: dict[str, str | None] = {
        "href": f"{entry['url']}#sha256={entry['hashes']['sha256']}"
    }
    if "core-metadata" in entry:
        for name in ("data-core-metadata", "data-dist-info-metadata"):
            attributes[name] = f"sha256={entry['core-metadata']['sha256']}"
    if "yanked" in entry:
        attributes["data-yanked"] = "" if entry["yanked"] is True else entry["yanked"]
    for key in ("requires-python", "upload-time", "size"):
        if key in entry:
            attributes[f"data-{key}"] = str(entry[key])
    return attributes, entry["filename"]


def assert_agreement(drawn: Drawn, answer: Any) -> None:
    assert [(attributes, text) for attributes, text in drawn.anchors] == [
        as_anchor(entry) for entry in answer["files"]
    ]
    metas = {
        attributes.get("name"): attributes.get("content")
        for tag, attributes, _ in drawn.elements
        if tag == "meta"
    }
    status = answer.get("project-status", {})
    assert metas.get("pypi:project-status") == (status.get("status") or None)
    assert metas.get("pypi:project-status-reason") == (status.get("reason") or None)
