"""Files that are sent to a publication: forms as clients send them, and who takes them in."""

from __future__ import annotations

import base64
import hmac
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import Malformed, ReconcilerError
from reconciler.model import Digest, Grant
from reconciler.serve import ArrivedRequest, ReceivedFile, UploadAnswer, UploadReceipt
from tests.support.published import Published

BOUNDARY = "a-line-that-no-file-holds"
FORM = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
ADA = ("Authorization", "Basic " + base64.b64encode(b"ada:lovelace").decode())


def text_part(name: str, text: str | bytes) -> bytes:
    return part(f'form-data; name="{name}"', text if isinstance(text, bytes) else text.encode())


def file_part(
    filename: str | bytes, data: bytes, *, name: str = "file", headers: str = ""
) -> bytes:
    called = filename if isinstance(filename, bytes) else filename.encode()
    return part(
        b'form-data; name="' + name.encode() + b'"; filename="' + called + b'"',
        data,
        headers=headers,
    )


def part(disposition: str | bytes, data: bytes, *, headers: str = "") -> bytes:
    shown = disposition if isinstance(disposition, bytes) else disposition.encode()
    return (
        b"--"
        + BOUNDARY.encode()
        + b"\r\nContent-Disposition: "
        + shown
        + b"\r\n"
        + headers.encode()
        + b"\r\n"
        + data
        + b"\r\n"
    )


END = b"--" + BOUNDARY.encode() + b"--\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + END


@dataclass(frozen=True)
class Taken:
    """What was received. `data`: of its first file."""

    publication: str
    request: ArrivedRequest
    data: bytes

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def fields(self) -> Mapping[str, str]:
        return self.request.fields

    @property
    def file(self) -> ReceivedFile:
        return self.request.files[0]

    @property
    def uploader(self) -> str:
        return self.request.grant.principal


@dataclass
class FakeReceiver:
    """Implements `UploadReceiver`: knows one uploader, serves each file below `files/`.

    `fault`, `stranger`: raised instead. `folder`: files are moved there and not read, for those
    that are too large for a test's memory. `methods`: of every path; True where only forms are
    taken. `answer`: of every request, `told`: of every error.
    """

    published: Published
    fault: Exception | None = None
    stranger: ReconcilerError | None = None
    folder: Path | None = None
    methods: Mapping[str, bool] = field(default_factory=lambda: {"POST": True})
    answer: UploadAnswer | None = None
    told: UploadAnswer | None = None
    taken: list[Taken] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def endpoints(self, publication: str, path: str) -> Mapping[str, bool]:
        return self.methods

    def authenticate(self, publication: str, authorization: str | None, path: str) -> Grant | None:
        if self.stranger is not None:
            raise self.stranger
        proven = hmac.compare_digest((authorization or "").encode(), ADA[1].encode())
        return Grant("ada") if proven else None

    async def error_answer(
        self, publication: str, request: ArrivedRequest, status: int, *, error: ReconcilerError
    ) -> UploadAnswer | None:
        return self.told

    async def receive(self, publication: str, request: ArrivedRequest) -> UploadReceipt:
        if self.fault is not None:
            raise self.fault
        if not request.files:
            if self.methods[request.method]:
                raise Malformed("the form holds no file")
            self.taken.append(Taken(publication, request, b""))
            return UploadReceipt("no file", 1, answer=self.answer)
        file = request.files[0]
        if self.folder is not None:
            os.replace(file.path, self.folder / file.name)
            return UploadReceipt(f"{file.name} {file.size} {file.sha256}", 1)
        data = file.path.read_bytes()
        assert (len(data), Digest.of(data).hex) == (file.size, file.sha256)
        self.taken.append(Taken(publication, request, data))
        (served,) = (one for one in self.published.mounted.values() if one.name == publication)
        moved = self.published.mount(
            served.path, id=served.publication_id, number=served.number + 1
        )
        for (id_, number, _), entries in list(self.published.table.items()):
            if (id_, number) == (served.publication_id, served.number):
                for entry in entries:
                    self.published.table.setdefault((id_, moved.number, entry.path), []).append(
                        entry
                    )
        self.published.file(moved, f"files/{file.name}", data)
        return UploadReceipt(
            f"`{file.name}` is in version {moved.number}",
            moved.number,
            answer=self.answer,
        )
