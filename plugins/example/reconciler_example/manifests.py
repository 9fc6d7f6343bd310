"""`PULP_MANIFEST` files: lines of `name,sha256,size`; `#` begins a comment.

Names are relative to the folder of the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from reconciler.plugin import Malformed, Page

MANIFEST: Final = "PULP_MANIFEST"

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_SIZE = re.compile(r"[0-9]{1,15}")
_BLANKS: Final = " \t\r\v\f"


class Listed(NamedTuple):
    """Line of a manifest. `name`: unchecked, it may be anything; `size`: in bytes."""

    name: str
    sha256: str
    size: int


def read_manifest(page: Page) -> Iterator[Listed]:
    """Yield every file of a manifest.

    Raises Malformed for a line that is not an entry: the manifest may have been cut short there.
    """
    # What is not UTF-8 becomes characters that no safe path has, so that such a file is refused and
    # not the whole manifest.
    text = page.body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip(_BLANKS) and not line.lstrip(_BLANKS).startswith("#"):
            entry = _entry(line)
            if entry is None:
                raise Malformed(
                    f"{page.url}: line {number} is not `name,sha256,size`",
                    hint="nothing of this source is changed",
                )
            yield entry


def manifest_line(name: str, sha256: str, size: int) -> str:
    """Return the line that `read_manifest` reads back."""
    return f"{name},{sha256},{size}\n"


def unlistable(path: str) -> str:
    """Return why no manifest can list a file with this path, or an empty text."""
    if path == MANIFEST:
        return f"`{MANIFEST}` is the name of the publication's own list"
    if path.startswith("#") or path != path.strip():
        return (
            f"its name begins with `#`, or begins or ends with a blank: no `{MANIFEST}` can list it"
        )
    return ""


def _entry(line: str) -> Listed | None:
    """Parse a line, or return None; the name is everything before the last two commas."""
    parts = [part.strip(_BLANKS) for part in line.rsplit(",", 2)]
    if (
        len(parts) != 3
        or not parts[0]
        or not _SHA256.fullmatch(parts[1])
        or not _SIZE.fullmatch(parts[2])
    ):
        return None
    return Listed(parts[0], parts[1].lower(), int(parts[2]))
