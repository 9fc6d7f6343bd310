"""The documents that people read, and the code blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from docs.build import PAGES, own_pages
from tests.support.source import ROOT

DOCUMENTS = [*PAGES, *(f"docs/{name}" for name in own_pages())]
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block: its document, the line after its fence, its language and its text."""

    document: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(document: str) -> Iterator[Block]:
    """Yield the code blocks of a document that are not indented."""
    page = (ROOT / document).read_text(encoding="utf-8")
    for match in _BLOCK.finditer(page):
        line = page.count("\n", 0, match.start()) + 2
        yield Block(document, line, match["language"], match["text"])


def commands(block: Block) -> list[str]:
    """Return the command lines of a block: all lines after `$ `, else those of a `sh` block."""
    lines = block.text.splitlines()
    shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return shown or (lines if block.language == "sh" else [])
