"""The form of an upload (`multipart/form-data`, RFC 7578): some texts, and files.

Parsed piece by piece in a worker thread: texts stay in memory, within limits; a file is hashed
while it is written to a temporary folder. The parser is python-multipart, as below Starlette's
`Request.form`, which is not used: it writes files of more than 1 MiB to an unnamed spool, so that
they would have to be copied and hashed afterwards (200 MiB: 1.3 s of CPU instead of 0.5), does not
bound all texts together, and decodes names that are not UTF-8 instead of refusing them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from reconciler.errors import DigestMismatch, Malformed, StateFault
from reconciler.serve.ports import ReceivedFile
from reconciler.store.temporary import TemporaryFolder, write_all

MAX_FIELDS = 10_000  # of a package with many requirements: a field each
MAX_FIELD = 1024 * 1024  # bytes of one text
MAX_TEXT = 4 * MAX_FIELD  # bytes of all texts of a form, and of their names
MAX_HEADERS = 16 * 1024  # bytes of the headers of a part
MAX_FILES = 100
MAX_NAME = 255  # bytes of a file's name: what file systems take
DECLARED = ("sha256", "sha256_digest")  # fields that say which digest the file should have
PLAIN = (b"", b"7bit", b"8bit", b"binary")  # transfer encodings that leave bytes as they are


class UploadForm:
    """Parser of a form: `write` the body, then `finish`; `discard` in any case.

    Threads may take turns.
    """

    def __init__(self, boundary: bytes, folder: TemporaryFolder) -> None:
        """Raise Malformed for a boundary that cannot be one."""
        if not boundary:
            raise Malformed("the form's `Content-Type` names no boundary")
        self._folder = folder
        self._complete = False
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._header_bytes = 0
        self._texts: list[tuple[str, bytes]] = []
        self._text: bytearray | None = None  # of the part that comes in, unless it is the file
        self._text_name = ""
        self._text_bytes = 0
        self._file: ArrivingFile | None = None  # that comes in
        self._files: list[ArrivingFile] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_header_name,
                    "on_header_value": self._add_to_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise Malformed(f"the form cannot be read: {error}") from None

    def write(self, data: bytes) -> None:
        """Parse the next piece of the body.

        Raises Malformed, and StateFault for a folder that cannot be written.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Malformed(f"the form cannot be read: {error}") from None

    def finish(self) -> tuple[Mapping[str, str], list[ReceivedFile]]:
        """Return the texts by name (several of one name: a line each), and the files.

        Raises Malformed, and DigestMismatch where a field declares another sha256 of the one file.
        """
        if not self._complete:
            raise Malformed("the form ends before its last boundary")
        texts: dict[str, list[str]] = {}
        for name, data in self._texts:
            texts.setdefault(name, []).append(_decoded(data, f"the field `{name}`"))
        fields = {name: "\n".join(values) for name, values in texts.items()}
        files = [file.received() for file in self._files]
        if len(files) == 1:
            _check_digest(files[0], fields)
        return fields, files

    def discard(self) -> None:
        """Remove the files that are still where they were written. May be called twice."""
        for file in self._files:
            file.discard()

    # What the parser calls

    def _begin_part(self) -> None:
        self._headers = {}
        self._header_bytes = 0

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > MAX_HEADERS:
            raise Malformed(f"the headers of a part of the form exceed {MAX_HEADERS:,} bytes")

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise Malformed(
                "a part of the form has no name: its `Content-Disposition` must be `form-data;"
                " name=...`"
            )
        if self._headers.get(b"content-transfer-encoding", b"").strip().lower() not in PLAIN:
            raise Malformed(
                "a part of the form is encoded: `Content-Transfer-Encoding` must be `binary`"
            )
        name = _decoded(options[b"name"], "the name of a part")
        if b"filename" in options:
            self._begin_file(options[b"filename"], name)
        else:
            self._begin_text(name)

    def _begin_file(self, filename: bytes, field: str) -> None:
        if len(self._files) == MAX_FILES:
            raise Malformed(f"the form holds more than {MAX_FILES} files", hint="send some of them")
        self._text = None
        self._file = ArrivingFile(self._folder, file_name(filename), field)
        self._files.append(self._file)

    def _begin_text(self, name: str) -> None:
        if len(self._texts) == MAX_FIELDS:
            raise Malformed(f"the form holds more than {MAX_FIELDS:,} fields")
        self._text = bytearray()
        self._text_name = name
        self._count_text(len(name))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._text is None:
            assert self._file is not None
            self._file.write(piece)
            return
        self._text += piece
        self._count_text(len(piece))

    def _count_text(self, length: int) -> None:
        self._text_bytes += length
        if len(self._text or b"") > MAX_FIELD or self._text_bytes > MAX_TEXT:
            raise Malformed(
                f"the fields of the form hold more than {MAX_FIELD:,} bytes each, or {MAX_TEXT:,}"
                " together"
            )

    def _end_part(self) -> None:
        if self._text is None:
            assert self._file is not None
            self._file.close()
        else:
            self._texts.append((self._text_name, bytes(self._text)))

    def _end(self) -> None:
        self._complete = True


class ArrivingFile:
    """A file that is hashed while it is written to a temporary folder.

    Raises StateFault where that cannot be written.
    """

    def __init__(self, folder: TemporaryFolder, name: str, field: str = "") -> None:
        self._folder = folder
        self._name = name
        self._field = field
        self._size = 0
        self._hash = hashlib.sha256()
        with self._writing():
            self._descriptor, self._path = folder.create()

    def write(self, data: bytes) -> None:
        """Write the next piece."""
        self._hash.update(data)
        with self._writing():
            write_all(self._descriptor, data)
        self._size += len(data)

    def close(self) -> None:
        """End the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def received(self) -> ReceivedFile:
        """Return the file, which is whole."""
        self.close()
        sha256 = self._hash.hexdigest()
        return ReceivedFile(self._name, Path(self._path), self._size, sha256, self._field)

    def discard(self) -> None:
        """Remove the file, if it is still where it was written. May be called twice."""
        self.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateFault(
                f"cannot write to `{self._folder.folder}`: {error.strerror or error}"
            ) from error


class RawBody:
    """A body that is no form: one file, called as the last segment of the request's path.

    optional: an empty body is no file, as of a `DELETE`; else it is an empty one.
    """

    def __init__(self, folder: TemporaryFolder, path: str, *, optional: bool = False) -> None:
        self._folder = folder
        segment = path.rstrip("/").rpartition("/")[2].encode()[:MAX_NAME]
        self._name = segment.decode(errors="ignore") or "body"
        self._optional = optional
        self._file: ArrivingFile | None = None

    def write(self, data: bytes) -> None:
        """Write the next piece of the body. Raises StateFault for an unwritable folder."""
        if self._file is None:
            self._file = ArrivingFile(self._folder, self._name)
        self._file.write(data)

    def finish(self) -> tuple[Mapping[str, str], list[ReceivedFile]]:
        """Return no texts, and the file. Raises StateFault for an unwritable folder."""
        if self._file is None and not self._optional:
            self._file = ArrivingFile(self._folder, self._name)
        return {}, [] if self._file is None else [self._file.received()]

    def discard(self) -> None:
        """Remove the file, if it is still where it was written. May be called twice."""
        if self._file is not None:
            self._file.discard()


def _check_digest(file: ReceivedFile, fields: Mapping[str, str]) -> None:
    for name in DECLARED:
        declared = fields.get(name, "").strip().lower()
        if declared and declared != file.sha256:
            raise DigestMismatch(
                f"`{file.name}` has sha256 `{file.sha256}`, and the field `{name}` says"
                f" `{declared[:64]}`"
            )


def boundary_of(content_type: str | None) -> bytes | None:
    """Return the boundary that a `Content-Type` names, empty if it names none; None for no form."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else None


def file_name(sent: bytes) -> str:
    """Return the last segment of a name that a client sent.

    Raises Malformed where that is no file name.
    """
    name = _decoded(sent, "the file's name").replace("\\", "/").rpartition("/")[2]
    if name in ("", ".", "..") or not name.isprintable() or len(name.encode()) > MAX_NAME:
        raise Malformed(f"a file cannot be called {name[:MAX_NAME]!a}")
    return name


def _decoded(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8") from None
