"""The HTTP surface of uploads under requests that no client sends: paths, headers, lengths, forms.

Whatever comes, the answer is the client's fault or the file is taken; the server makes no mistake,
and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.serve import upload_form
from tests.serve.uploads_site import PLACE, UploadSite
from tests.support.uploading import ADA, BOUNDARY, FORM, file_part, form, part, text_part

LINE = b"--" + BOUNDARY.encode()
MAX_UPLOAD = 64 * 1024
SEGMENTS = ("team", "upload", "legacy", "..", ".", "", "a\0b", "x" * 300, "%2e%2e", "ä", "\ufffd")

paths = st.lists(st.sampled_from(SEGMENTS), max_size=6).map(lambda parts: "/" + "/".join(parts))
places = st.one_of(st.just(PLACE), st.just("/team/a/b"), paths)
methods = st.sampled_from(("POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"))
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
lengths = st.one_of(
    st.integers(-5, 10 * MAX_UPLOAD).map(str),
    st.sampled_from(("", "abc", "1_000", "+7", "0x10", "9" * 400, "7, 7", "\xb2")),
)
types = st.one_of(
    st.just(FORM[1]),
    st.sampled_from(
        (
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "x" * 400,
            f"multipart/form-data; boundary={BOUNDARY}; boundary=b",
            'multipart/form-data; boundary="',
            "multipart/form-data; boundary*=utf-8''%ff",
            "application/octet-stream",
        )
    ),
    latin,
)
authorizations = st.one_of(st.just(ADA[1]), st.just(ADA[1]), latin)
headers = st.fixed_dictionaries(
    {"Content-Type": types, "Authorization": authorizations},
    optional={"Content-Length": lengths, "Accept": latin, "Expect": latin, "X-Long": latin},
).map(lambda chosen: list(chosen.items()))

names = st.one_of(
    st.binary(max_size=30).filter(lambda data: not set(data) & set(b'"\r\n\\')),
    st.sampled_from((b"a.whl", b"../a.whl", b"a\0", b"", b"x" * 300, b"<b>.whl", b"a;b=c")),
)
bodies_of_parts = st.binary(max_size=200)
parts = st.one_of(
    st.builds(file_part, names, bodies_of_parts),
    st.builds(lambda name, text: text_part(name.decode("latin-1"), text), names, bodies_of_parts),
    st.builds(part, st.binary(max_size=60), bodies_of_parts),
    st.builds(
        lambda line: part('form-data; name="a"', b"", headers=f"{line}\r\n"),
        st.text(st.characters(max_codepoint=126), max_size=60),
    ),
)
forms = st.lists(parts, max_size=6).map(lambda chosen: form(*chosen))
cut = st.builds(lambda body, at: body[: at % (len(body) + 1)], forms, st.integers(0, 5_000))
bodies = st.one_of(forms, forms, cut, st.binary(max_size=300), st.just(LINE + b"--"))
many_fields = form(*[text_part("f", "x") for _ in range(upload_form.MAX_FIELDS + 1)])
many_files = form(*[file_part("f", b"x") for _ in range(upload_form.MAX_FILES + 1)])


def in_pieces(body: bytes, size: int, leaves: bool) -> list[bytes | BaseException]:
    pieces: list[bytes | BaseException] = [
        body[start : start + size] for start in range(0, len(body), size)
    ]
    return [*pieces[: len(pieces) // 2], EOFError()] if leaves else pieces


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> UploadSite:
    return UploadSite(tmp_path_factory.mktemp("fuzz"), max_upload=MAX_UPLOAD)


class Mistakes(logging.Handler):
    """Errors that were logged: mistakes of the server, which no client may cause."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def mistakes() -> Iterator[Mistakes]:
    handler = Mistakes()
    logger = logging.getLogger("reconciler")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


class TestAnything:
    @pytest.fixture(autouse=True)
    def _within(self, site: UploadSite, mistakes: Mistakes) -> None:
        self.site, self.mistakes = site, mistakes

    @given(places, methods, headers, bodies, st.integers(1, 400), st.booleans())
    @example(PLACE, "POST", [ADA, FORM, ("Content-Length", "abc")], form(), 9, False)
    @example(PLACE, "POST", [ADA, FORM, ("Content-Length", "-1")], form(), 9, False)
    @example(PLACE, "POST", [ADA, FORM], many_fields, 5_000, False)
    @example(PLACE, "POST", [ADA, FORM], many_files, 5_000, False)
    @example(PLACE, "POST", [ADA, FORM], bytes(2 * MAX_UPLOAD), 5_000, False)
    @example("/team/" + "x" * 100_000, "POST", [ADA, FORM], form(file_part("a", b"")), 99, False)
    def test_is_answered_and_leaves_nothing(
        self,
        place: str,
        method: str,
        headers: list[tuple[str, str]],
        body: bytes,
        size: int,
        leaves: bool,
    ) -> None:
        self.check(place, in_pieces(body, size, leaves), method=method, headers=headers)

    def check(self, place: str, pieces: list[Any], **more: Any) -> None:
        site, before = self.site, len(self.site.receiver.taken)
        answer = asyncio.run(site.client.post(place, pieces, **more))
        taken = len(site.receiver.taken) - before
        assert 200 <= answer.status < 500, answer.text
        assert taken == (answer.status < 300), (answer.status, answer.text)
        assert not self.mistakes.records
        assert site.left() == []
        assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
        assert "text/html" not in answer.headers.get("content-type", "")


def test_slow_bodies_end(tmp_path: Path) -> None:
    """Kind: a client that sends a byte from time to time is never silent, and never done."""
    site = UploadSite(tmp_path, silence=0.05, slowest=1_000_000)
    body = iter(form(file_part("a", bytes(1_000))))

    async def send_slowly() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.002)
            return {"type": "http.request", "body": bytes([next(body)]), "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = site.client.scope(PLACE, "POST", headers=[ADA, FORM])
        with contextlib.suppress(RuntimeError):  # the body has ended
            await site.application(scope, receive, send)
        return sent

    assert asyncio.run(send_slowly())[0]["status"] == 408
    assert (site.receiver.taken, site.left()) == ([], [])
