"""Files that are sent to a publication, through raw ASGI."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import (
    Conflict,
    DigestMismatch,
    Gone,
    GuardRefusal,
    LeaseHeld,
    Malformed,
    PluginFault,
    ReconcilerError,
    Refused,
    StateFault,
    Unreachable,
)
from reconciler.model import Digest
from reconciler.process_identity import this_process
from reconciler.serve.responses import error_text
from tests.serve.uploads_site import PLACE, WHEEL, UploadSite
from tests.support.asgi import AsgiResponse, live
from tests.support.uploading import (
    ADA,
    FORM,
    file_part,
    form,
    text_part,
)


@pytest.fixture
def site(tmp_path: Path) -> UploadSite:
    return UploadSite(tmp_path)


def test_a_file_is_taken_and_served_at_once(site: UploadSite) -> None:
    async def write_and_read() -> None:
        assert (await site.client.get("/team/files/alpha-1.whl")).status == 404
        body = form(
            text_part(":action", "file_upload"), file_part("alpha-1.whl", WHEEL, name="content")
        )
        answer = await site.client.post(PLACE, [body], headers=[ADA, FORM])
        assert (answer.status, answer.text) == (201, "`alpha-1.whl` is in version 2\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await site.client.get("/team/files/alpha-1.whl")).body == WHEEL

    asyncio.run(write_and_read())
    (taken,) = site.receiver.taken
    assert (taken.publication, taken.path, taken.uploader, taken.data) == (
        "publication-1",
        "upload/",
        "ada",
        WHEEL,
    )
    assert (taken.file.name, taken.file.size, taken.file.sha256) == (
        "alpha-1.whl",
        len(WHEEL),
        Digest.of(WHEEL).hex,
    )
    assert taken.fields == {":action": "file_upload"}
    assert taken.file.path.parent == site.folder
    assert site.left() == []


@pytest.mark.parametrize(
    ("path", "within"),
    [("/team", ""), ("/team/", ""), ("/team/legacy/", "legacy/"), ("/team/a/b", "a/b")],
)
def test_the_path_within_the_publication_is_the_receivers(
    site: UploadSite, path: str, within: str
) -> None:
    assert site.post(form(file_part("a", b"")), path=path).status == 201
    assert site.receiver.taken[0].path == within


def test_fields_of_one_name_are_lines(site: UploadSite) -> None:
    parts = [
        text_part("classifiers", "A"),
        file_part("a", b"x"),
        text_part("classifiers", "Ä :: B"),
        text_part("empty", ""),
    ]
    assert site.post(form(*parts)).status == 201
    assert site.receiver.taken[0].fields == {"classifiers": "A\nÄ :: B", "empty": ""}


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.whl", "a.whl"),
        ("../../etc/a.whl", "a.whl"),
        ("C:\\files\\a.whl", "a.whl"),
        ("x" * 255, "x" * 255),
        ("grün.txt", "grün.txt"),
    ],
)
def test_only_the_last_segment_of_a_name_counts(site: UploadSite, sent: str, name: str) -> None:
    assert site.post(form(file_part(sent, b"x"))).status == 201
    assert site.receiver.taken[0].file.name == name


@pytest.mark.parametrize(
    "sent", ["", "folder/", "..", ".", "a\x07b", "a\u202eb", "a\0", "x" * 256, "ü" * 128, b"\xff"]
)
def test_names_that_cannot_be_files_are_400(site: UploadSite, sent: str | bytes) -> None:
    answer = site.post(form(file_part(sent, b"x")))
    assert (answer.status, site.receiver.taken, site.left()) == (400, [], [])
    assert "name" in answer.text or "called" in answer.text


class TestWhoMay:
    def test_a_stranger_is_challenged_before_the_body_is_read(self, site: UploadSite) -> None:
        read: list[str] = []

        async def ask() -> list[Any]:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                read.append("after the answer" if len(sent) == 2 else "before")
                return {"type": "http.request", "body": b"x", "more_body": False}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            await site.application.refresh()
            await site.application(site.client.scope(PLACE, "POST", headers=[FORM]), receive, send)
            return sent

        start, _ = asyncio.run(ask())
        assert start["status"] == 401
        assert (b"www-authenticate", b'Basic realm="publication-1", charset="UTF-8"') in start[
            "headers"
        ]
        assert read == ["after the answer"], (
            "what is sent anyway is read off, so that the answer can be read"
        )

    def test_who_waits_to_be_told_to_send_is_not(self, site: UploadSite) -> None:
        answer = site.post(
            AssertionError("nothing may be read"), headers=[FORM, ("Expect", "100-continue")]
        )
        assert answer.status == 401

    def test_wrong_passwords_are_401(self, site: UploadSite) -> None:
        assert (
            site.post(
                form(file_part("a", b"x")), headers=[FORM, ("Authorization", "Basic eDp5")]
            ).status
            == 401
        )
        assert site.receiver.taken == []

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (Refused("`ada` may not"), 403),
            (Gone("takes no files"), 404),
            (StateFault("locked"), 500),
        ],
    )
    def test_the_receiver_may_say_more(
        self, site: UploadSite, error: ReconcilerError, status: int
    ) -> None:
        site.receiver.stranger = error
        answer = site.post(form(file_part("a", b"x")))
        assert (answer.status, answer.text) == (status, f"{error_text(error)}\n")

    def test_outside_of_publications_is_404(self, site: UploadSite) -> None:
        assert site.post(form(file_part("a", b"x")), path="/other/upload/").status == 404
        assert site.post(form(file_part("a", b"x")), path="/team/../other/").status == 404


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Gone("`x/` takes no uploads", hint="send files to `upload/`"), 404, None),
        (Refused("not a wheel"), 400, None),
        (Malformed("no metadata"), 400, None),
        (DigestMismatch("other bytes"), 400, None),
        (Conflict("`alpha` belongs to `remote:up`"), 409, None),
        (Conflict("another upload was faster", retry_after=1.2), 503, "2"),
        (Unreachable("the database is away"), 503, "5"),
        (LeaseHeld("another run works here"), 503, "5"),
        (PluginFault("nonsense"), 500, None),
        (StateFault("bytes are missing"), 500, None),
        (GuardRefusal("too much"), 500, None),
    ],
)
def test_what_the_receiver_raises_becomes_a_status(
    site: UploadSite, error: ReconcilerError, status: int, retry: str | None
) -> None:
    site.receiver.fault = error
    answer = site.post(form(file_part("a", b"x")))
    assert (answer.status, answer.headers.get("retry-after")) == (status, retry)
    assert answer.text == f"{error_text(error)}\n"
    assert site.left() == []


def test_a_bug_is_told_to_the_log_and_not_to_the_client(
    site: UploadSite, caplog: pytest.LogCaptureFixture
) -> None:
    site.receiver.fault = RuntimeError("the password is swordfish")
    answer = site.post(form(file_part("a", b"x")))
    assert answer.status == 500
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
    assert site.left() == []


def test_what_was_received_and_what_was_refused_is_logged(
    site: UploadSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "reconciler.serve")
    site.post(form(file_part("alpha-1.whl", b"12345")))
    site.post(form(file_part("a", b"x")), headers=[FORM])
    assert [record.getMessage() for record in caplog.records] == [
        "`publication-1` received `alpha-1.whl`, 5 bytes, from `ada`",
        "upload to `publication-1` refused with status 401",
    ]


class TestServer:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_methods_that_are_possible(self, site: UploadSite, method: str) -> None:
        answer = asyncio.run(site.client.get(PLACE, method=method))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_the_front_page_takes_nothing(self, site: UploadSite, method: str) -> None:
        """Kind: a page that is there, said not to be because of the method."""
        answer = asyncio.run(site.client.get("/", method=method))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")

    def test_what_a_killed_server_left_is_removed(self, site: UploadSite) -> None:
        site.folder.mkdir(parents=True)
        earlier = this_process().start.replace("/", ",") + "0"  # that had our pid
        (site.folder / f"before~{os.getpid()}~{earlier}~random~1").touch()
        (site.folder / "a-file-of-another-program").touch()
        asyncio.run(live(site.application, "lifespan.startup", "lifespan.shutdown"))
        assert site.left() == ["a-file-of-another-program"]

    def test_what_was_taken_was_taken_though_it_cannot_be_seen_yet(self, site: UploadSite) -> None:
        async def unseen() -> AsgiResponse:
            await site.application.refresh()
            site.published.broken = True
            return await site.client.post(PLACE, [form(file_part("a", b"x"))], headers=[ADA, FORM])

        assert asyncio.run(unseen()).status == 201

    def test_a_publication_with_a_difficult_name_has_a_challenge(self, site: UploadSite) -> None:
        site.published.mounted["team"] = site.published.mounted["team"].__class__(
            1, 'a"b\\ü', "team", 1
        )
        assert (
            site.post(b"", headers=[FORM]).headers["www-authenticate"]
            == 'Basic realm="a?b??", charset="UTF-8"'
        )
