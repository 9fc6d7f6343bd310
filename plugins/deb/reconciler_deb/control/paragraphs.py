"""Paragraphs of control data (deb822): split an index, find a field, replace one.

An index holds tens of thousands of paragraphs, of which a run looks at few closely: they stay bytes
until one is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.plugin import Malformed

# Readers of control data disagree about these: a line of blanks, a carriage return, a NUL.
_AMBIGUOUS = re.compile(rb"^[ \t]+$|[\r\0]|\n\n", re.MULTILINE)
_NAME = re.compile(r"[!-9;-~]+")


def split_paragraphs(body: bytes) -> Iterator[bytes]:
    """Yield the paragraphs of an index, without the blank lines between them."""
    for paragraph in body.split(b"\n\n"):
        stripped = paragraph.strip(b"\n")
        if stripped:
            yield stripped


def first_field(paragraph: bytes, name: bytes) -> bytes:
    """Return the value of a field of one line; empty where the paragraph has none.

    Upstream writes `name` first and as it is nearly always: that is looked for before all spellings
    of the name.
    """
    if paragraph.startswith(name + b": "):
        end = paragraph.find(b"\n")
        return paragraph[len(name) + 2 : end if end >= 0 else None].strip()
    match = re.search(
        rb"^" + re.escape(name) + rb":[ \t]*(.*)$", paragraph, re.MULTILINE | re.IGNORECASE
    )
    return match[1].strip() if match else b""


def paragraph_text(paragraph: bytes) -> str:
    """Return a paragraph as text.

    Raises Malformed where readers would not agree about it: not UTF-8, a line of blanks, control
    characters.
    """
    if _AMBIGUOUS.search(paragraph):
        raise Malformed("a line of its paragraph is blank, or holds control characters")
    try:
        return paragraph.decode()
    except UnicodeDecodeError:
        raise Malformed("its paragraph is not UTF-8") from None


def read_fields(text: str) -> dict[str, str]:
    """Return the fields of a paragraph, by lower-case name.

    The lines of a value of several lines keep their order, stripped, the first one included.
    Raises Malformed for a line that belongs to no field, and for a field that is there twice.
    """
    fields: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):
            if lines is None:
                raise Malformed("it begins with a continuation line")
            lines.append(line.strip())
        elif line.startswith("#"):
            continue
        else:
            name, value = _field(line)
            if name in fields:
                raise Malformed(f"the field `{name}` is there twice")
            lines = fields[name] = [value]
    return {name: "\n".join(value) for name, value in fields.items()}


def replace_field(text: str, name: str, value: str) -> str:
    """Return a paragraph in which a field of one line has another value; everything else stays."""
    return re.sub(
        rf"^({re.escape(name)}):.*$",
        lambda match: f"{match[1]}: {value}",
        text,
        count=1,
        flags=re.MULTILINE | re.IGNORECASE,
    )


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise Malformed(f"a line is no field: {line!r:.80}")
    return name.lower(), value.strip()
