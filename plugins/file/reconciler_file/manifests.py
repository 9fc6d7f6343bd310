"""`PULP_MANIFEST`: one file a line, as `name,sha256,size`.

The format of Pulp's file plugin and its tools. The name is relative to the manifest's own folder
and is everything before the last two commas: nothing is quoted, and `./` in front, as `find` writes
it, says nothing. Blanks around the three, blank
lines and lines that begin with `#` do not count. There is no end mark, so a line that is not an
entry invalidates the whole: a truncated manifest must not delete files.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from reconciler.plugin import Malformed
from reconciler_file.listing import Entry, LineFormat, decode_name

MANIFEST: Final = "PULP_MANIFEST"

_HEX = re.compile(rb"[0-9A-Fa-f]{64}")
_HERE = re.compile(rb"\A(?:\./+)++")
_LONGEST_SIZE: Final = (
    15  # digits: a petabyte is more than any file, and less than any integer's end
)
_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/"


class ManifestLines(LineFormat):
    """Lines of a `PULP_MANIFEST`; names are relative to `folder`, a URL that ends in a slash."""

    def name(self, line: bytes) -> tuple[bytes, bool]:
        return _parts(line)[0], True

    def entry(self, line: bytes) -> Entry:
        name, sha256, size = _parts(line)
        text = decode_name(name)
        url = self.folder + (quote(name) if name.translate(None, _PLAIN) else text)
        return Entry(text, url, sha256.decode("ascii").lower(), int(size))


def manifest_line(path: str, sha256: str, size: int) -> bytes:
    """Return a line that `entry` reads again, with its line end."""
    return f"{path},{sha256},{size}\n".encode()


def unlistable(path: str) -> str:
    """Return why no manifest can name a file with this path; empty where one can."""
    if path == MANIFEST or path.startswith(f"{MANIFEST}/"):
        return f"`{MANIFEST}` is the name of the publication's own list"
    if path.startswith("#") or path != path.strip():
        return (
            f"its name begins with `#`, or begins or ends with a blank: no `{MANIFEST}` can list it"
        )
    return ""


def _parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Return name, sha256 and size.

    Parsed from the end: four times as fast as an expression that reads the name first.
    """
    parts = line.rsplit(b",", 2)
    if len(parts) == 3:
        name, sha256, size = parts[0].strip(), parts[1].strip(), parts[2].strip()
        if name.startswith(b"./"):
            name = _HERE.sub(b"", name)
        if name and _HEX.fullmatch(sha256) and size.isdigit() and len(size) <= _LONGEST_SIZE:
            return name, sha256, size
    raise Malformed("not `name,sha256,size`")
