"""Documents of the simple repository API as plain records.

PEP 503, 691, 700, 714, 740, 792. The JSON document of API version 1.4 is the model; an HTML
document is read into the same records.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, TypeVar

import msgspec

from reconciler.plugin import Malformed, Page, sanitize
from reconciler_python.reading.urls import shown_url

JSON_TYPE: Final = "application/vnd.pypi.simple.v1+json"
HTML_TYPE: Final = "application/vnd.pypi.simple.v1+html"
ACCEPT: Final = f"{JSON_TYPE}, {HTML_TYPE};q=0.2, text/html;q=0.01"

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
)
_SHORT_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_LARGEST_PAGE = 64 * 1024 * 1024  # bytes of a project's page; the largest honest ones have some 30
_COUNTED = 1024 * 1024  # bytes of a page that cannot hold too many values
_MOST_VALUES = 2_000_000  # JSON values, or elements, of a project's page
_MOST_LISTED = 10_000_000  # the same of a list of projects
_NAMELESS: Final = "(no name)"
_MAX_DEPTH = 16
_MAX_INTEGER = 2**63 - 1

_T = TypeVar("_T")


class ListedFile(msgspec.Struct, rename="kebab", kw_only=True, forbid_unknown_fields=True):
    """One file of a project's document, as upstream writes it.

    Upstream decides about every field, so none must be filled by others. `size` is advice: what is
    no number of bytes says nothing. `gpg_sig` is read to be left out: it promises an `.asc` file
    beside the file, which is not mirrored.
    """

    filename: str
    url: str
    hashes: dict[str, str] = {}
    requires_python: str | None = None
    size: Any = None
    upload_time: str | None = None
    yanked: bool | str | None = None
    core_metadata: bool | dict[str, str] | None = None
    dist_info_metadata: bool | dict[str, str] | None = None
    misnamed_metadata: bool | dict[str, str] | None = msgspec.field(
        default=None, name="data-dist-info-metadata"
    )
    provenance: str | None = None
    gpg_sig: Any = None

    @property
    def metadata_sha256(self) -> str | None:
        """The sha256 of the `.metadata` file beside it, if upstream declares one.

        PEP 714: the older names count only without the new one.
        """
        for declared in (self.core_metadata, self.dist_info_metadata, self.misnamed_metadata):
            if declared is not None:
                return declared.get("sha256") if isinstance(declared, dict) else None
        return None


class ExtendedFile(ListedFile, kw_only=True):
    """A file with further keys.

    `extra`: those that no specification up to 1.4 knows; never decoded, only collected entry by
    entry.
    """

    extra: dict[str, Any] = {}


class ProjectDocument(msgspec.Struct):
    """A project's files and its status (PEP 792).

    `unreadable`: (filename, reason) of what could not be read; `extra`: unknown keys of the page.
    """

    files: list[ListedFile]
    unreadable: list[tuple[str, str]] = []
    status: str = "active"
    status_reason: str | None = None
    extra: dict[str, Any] = {}


class ListedProject(msgspec.Struct, gc=False):
    """One entry of the list of projects.

    The serial is an addition of the index that many mirrors rely on.
    """

    name: str
    serial: int | None = msgspec.field(default=None, name="_last-serial")


class _Meta(msgspec.Struct, rename="kebab", frozen=True):
    api_version: str | int = "1.0"


class _ProjectList(msgspec.Struct):
    projects: list[ListedProject]
    meta: _Meta = _Meta()


class _Status(msgspec.Struct, frozen=True):
    status: str = "active"
    reason: str | None = None


class _Plain(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """A project's page with keys of the specifications only.

    Nearly every page is one, so it is decoded in one step.
    """

    files: list[ListedFile]
    name: Any = None
    meta: _Meta = _Meta()
    versions: Any = None
    project_status: _Status = _Status()
    alternate_locations: Any = None
    tracks: Any = None


class _Head(msgspec.Struct, rename="kebab"):
    """Keys of a project's page that must be valid before its files are read."""

    files: list[Any]
    meta: _Meta = _Meta()
    project_status: _Status = _Status()


_PLAIN = msgspec.json.Decoder(_Plain)
_DOCUMENT = msgspec.json.Decoder(dict[str, Any], float_hook=str)
_PROJECT_LIST = msgspec.json.Decoder(_ProjectList, float_hook=str)
FILE_KEYS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(ListedFile))
PAGE_KEYS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(_Plain))


def read_project_json(page: Page) -> ProjectDocument:
    """Read the JSON page of a project; a file that cannot be read is among `unreadable`.

    Raises Malformed when the page as a whole cannot be understood.
    """
    check_amount(page, b",[{", project=True)
    try:
        plain = _PLAIN.decode(page.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_with_care(page)
    check_api_version(page, str(plain.meta.api_version))
    return ProjectDocument(
        plain.files, [], plain.project_status.status, plain.project_status.reason
    )


def read_list_json(page: Page) -> list[ListedProject]:
    """Return the entries of a list of projects. Raises Malformed."""
    check_amount(page, b",[{")
    try:
        document = _decoded(_PROJECT_LIST, _as_utf8(page))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(
            f"{shown_url(page)}: not a project list of the simple API: {error}"
        ) from None
    check_api_version(page, str(document.meta.api_version))
    return document.projects


def check_amount(page: Page, marks: bytes, *, project: bool = False) -> None:
    """Raise Malformed for a page that would take too much memory and time to read.

    marks: characters of which each value that costs memory needs one; three bytes of a page can
    become a hundred of an object.
    """
    if project and len(page.body) > _LARGEST_PAGE:
        raise Malformed(
            f"{shown_url(page)}: a project's page of {len(page.body):,} bytes; at most"
            f" {_LARGEST_PAGE:,} are read"
        )
    most = _MOST_VALUES if project else _MOST_LISTED
    if len(page.body) > _COUNTED and sum(page.body.count(mark) for mark in marks) > most:
        raise Malformed(f"{shown_url(page)}: more than {most:,} values in one page")


def check_api_version(page: Page, version: str) -> None:
    """Raise Malformed for another major version than 1 (PEP 629).

    A newer minor version only adds.
    """
    if version.partition(".")[0] != "1":
        raise Malformed(
            f"{shown_url(page)}: speaks version {version[:20]} of the simple API, only version 1 is"
            " understood"
        )


def unknown_keys(document: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return keys that may be carried without being understood.

    Keys with a leading `_` are an index's own and mean nothing elsewhere.
    """
    unknown = document.keys() - known
    return (
        {key: document[key] for key in sorted(unknown) if not key.startswith("_")}
        if unknown
        else {}
    )


def marked_encoding(body: bytes) -> str | None:
    """Return the encoding that a byte order mark names, if there is one."""
    return next(
        (
            encoding
            for mark, encoding in (*_BYTE_ORDER_MARKS, *_SHORT_MARKS)
            if body.startswith(mark)
        ),
        None,
    )


def _as_utf8(page: Page) -> bytes:
    """Return a JSON page as UTF-8 (RFC 8259); a byte order mark decides otherwise."""
    mark = marked_encoding(page.body)
    if mark is None:
        return page.body
    try:
        return page.body.decode(mark).encode()
    except UnicodeError:
        return page.body


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Decode JSON; half of a surrogate pair becomes U+FFFD. Raises msgspec's errors.

    Such a half is no character, and invalidates no more than the text that it stands in.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], body)
        if mended == body:
            raise
        return decoder.decode(mended)


def _read_with_care(page: Page) -> ProjectDocument:
    """Read a page with keys of its own, or with something wrong, entry by entry.

    So one bad file harms no other.
    """
    try:
        document = _decoded(_DOCUMENT, _as_utf8(page))
        head = msgspec.convert(document, _Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(
            f"{shown_url(page)}: not a project page of the simple API: {error}"
        ) from None
    check_api_version(page, str(head.meta.api_version))
    read = ProjectDocument(
        [],
        [],
        head.project_status.status,
        head.project_status.reason,
        unknown_keys(document, PAGE_KEYS),
    )
    if not _plain(read.extra):
        read.extra = {}
    for entry in head.files:
        _read_file(entry, read)
    if read.unreadable and not read.files:
        name, reason = read.unreadable[0]
        raise Malformed(
            f"{shown_url(page)}: none of its files can be read: `{sanitize(name, 200)}`: {reason}"
        )
    return read


def _read_file(entry: Any, read: ProjectDocument) -> None:
    if not isinstance(entry, dict):
        kind = "null" if entry is None else type(entry).__name__
        read.unreadable.append((_NAMELESS, f"upstream's entry is no object: {kind}"))
        return
    extra = unknown_keys(entry, FILE_KEYS)
    try:
        file = msgspec.convert({key: entry[key] for key in entry.keys() & FILE_KEYS}, ExtendedFile)
    except msgspec.ValidationError as error:
        read.unreadable.append((_entry_name(entry), f"upstream's entry cannot be read: {error}"))
        return
    if extra and not _plain(extra):
        read.unreadable.append((file.filename, "upstream's entry has keys that are no plain JSON"))
        return
    file.extra = extra
    read.files.append(file)


def _entry_name(entry: dict[str, Any]) -> str:
    """Return how to call an entry that cannot be read: its filename, or what its URL ends in."""
    name, url = entry.get("filename"), entry.get("url")
    if isinstance(name, str):
        return name
    last = re.split(r"[?#]", url)[0].rpartition("/")[2] if isinstance(url, str) else ""
    return last or _NAMELESS


def _plain(value: Any, depth: int = 0) -> bool:
    """Return True if a value can be part of a unit's identity on every machine.

    It is not too deep, and its integers have 64 bits.
    """
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(_plain(item, depth + 1) for item in value.values())
    if isinstance(value, list):
        return all(_plain(item, depth + 1) for item in value)
    return not isinstance(value, int) or abs(value) <= _MAX_INTEGER
