"""Paragraphs of control data (deb822): split an index, find a field, replace one.

An index holds tens of thousands of paragraphs, of which a run looks at few closely: they stay bytes
until one is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.plugin import Malformed

# Readers of control data disagree about these.
_AMBIGUOUS = (b"\r", b"\0", b"\n\n")
_FIELD = re.compile(r"([A-Za-z0-9][!-9;-~]*):(.*(?:\n[ \t].*)*)(?:\n|\Z)")


def split_paragraphs(body: bytes) -> Iterator[bytes]:
    """Yield the paragraphs of an index, without the blank lines between them."""
    return (part for text in body.split(b"\n\n") if (part := text.strip(b"\n")))


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
    """Return a paragraph as text. Raises Malformed where readers would not agree about it."""
    if any(character in paragraph for character in _AMBIGUOUS):
        raise Malformed("its paragraph holds control characters, or ends within")
    try:
        return paragraph.decode()
    except UnicodeDecodeError:
        raise Malformed("its paragraph is not UTF-8") from None


def read_fields(text: str) -> dict[str, str]:
    """Return the fields of a paragraph, by lower-case name.

    The lines of a value of several lines keep their order, stripped, the first one included.
    Raises Malformed for a line that belongs to no field, for a field that is there twice, and for a
    line of blanks, which some readers take for the end.
    """
    fields: dict[str, str] = {}
    position, end = 0, len(text)
    while position < end:
        match = _FIELD.match(text, position)
        if match is None:
            line = text[position:].partition("\n")[0]
            raise Malformed(f"a line is no field: {line!r:.80}")
        name, value = match[1].lower(), match[2].strip(" \t")
        if name in fields:
            raise Malformed(f"the field `{name}` is there twice")
        fields[name] = _lines(value) if "\n" in value else value
        position = match.end()
    return fields


def replace_field(text: str, name: str, value: str) -> str:
    """Return a paragraph in which a field of one line has another value; everything else stays."""
    start = text.find(f"\n{name}: ")
    if start >= 0:  # as nearly all archives spell it; a field is there once
        value_start = start + len(name) + 3
        end = text.find("\n", value_start)
        return f"{text[:value_start]}{value}{text[end:] if end >= 0 else ''}"
    return re.sub(
        rf"^({re.escape(name)}):.*$",
        lambda match: f"{match[1]}: {value}",
        text,
        count=1,
        flags=re.MULTILINE | re.IGNORECASE,
    )


def _lines(value: str) -> str:
    """Return a value of several lines, each stripped."""
    first, *lines = [line.strip() for line in value.split("\n")]
    if not all(lines):
        raise Malformed("a line of its paragraph is blank")
    return "\n".join([first, *lines])
