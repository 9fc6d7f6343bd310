"""Files that are sent to a publication, through raw ASGI."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from reconciler.serve import Application, Catalogue, Uploads
from reconciler.serve.upload_form import MAX_FIELD, MAX_FIELDS
from tests.support.asgi import Answer, Client, live
from tests.support.published import Published
from tests.support.uploading import (
    ADA,
    BOUNDARY,
    END,
    FORM,
    FakeReceiver,
    file_part,
    form,
    part,
    text_part,
)

WHEEL = bytes(range(256)) * 3000
PLACE = "/team/upload/"


class Desk:
    """An application that takes files, its receiver, and the folder in which they come in."""

    def __init__(self, tmp_path: Path, **limits: Any) -> None:
        self.published = Published()
        self.published.page(self.published.mount("team"), "simple/", b"projects")
        self.receiver = FakeReceiver(self.published)
        self.folder = tmp_path / "work" / "incoming"
        uploads = Uploads(self.receiver, self.folder, **limits)
        self.application = Application(
            Catalogue(self.published, self.published, check_every=1000), uploads=uploads
        )
        self.client = Client(self.application)

    def post(
        self,
        *pieces: bytes | BaseException,
        path: str = PLACE,
        headers: Sequence[tuple[str, str]] = (ADA, FORM),
    ) -> Answer:
        return asyncio.run(self.client.post(path, pieces, headers=headers))

    def left(self) -> list[str]:
        return os.listdir(self.folder) if self.folder.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_file_is_taken_and_served_at_once(desk: Desk) -> None:
    async def write_and_read() -> None:
        assert (await desk.client.get("/team/files/alpha-1.whl")).status == 404
        body = form(
            text_part(":action", "file_upload"), file_part("alpha-1.whl", WHEEL, name="content")
        )
        answer = await desk.client.post(PLACE, [body], headers=[ADA, FORM])
        assert (answer.status, answer.text) == (201, "`alpha-1.whl` is in version 2\n")
        assert answer.headers["location"] == "/team/files/alpha-1.whl"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await desk.client.get("/team/files/alpha-1.whl")).body == WHEEL

    asyncio.run(write_and_read())
    (taken,) = desk.receiver.taken
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
    assert taken.file.path.parent == desk.folder
    assert desk.left() == []


@pytest.mark.parametrize(
    ("path", "within"),
    [("/team", ""), ("/team/", ""), ("/team/legacy/", "legacy/"), ("/team/a/b", "a/b")],
)
def test_the_path_within_the_publication_is_the_receivers(
    desk: Desk, path: str, within: str
) -> None:
    assert desk.post(form(file_part("a", b"")), path=path).status == 201
    assert desk.receiver.taken[0].path == within


def test_fields_of_one_name_are_lines(desk: Desk) -> None:
    parts = [
        text_part("classifiers", "A"),
        file_part("a", b"x"),
        text_part("classifiers", "Ä :: B"),
        text_part("empty", ""),
    ]
    assert desk.post(form(*parts)).status == 201
    assert desk.receiver.taken[0].fields == {"classifiers": "A\nÄ :: B", "empty": ""}


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
def test_only_the_last_segment_of_a_name_counts(desk: Desk, sent: str, name: str) -> None:
    assert desk.post(form(file_part(sent, b"x"))).status == 201
    assert desk.receiver.taken[0].file.name == name


@pytest.mark.parametrize(
    "sent", ["", "folder/", "..", ".", "a\x07b", "a\u202eb", "a\0", "x" * 256, "ü" * 128, b"\xff"]
)
def test_names_that_cannot_be_files_are_400(desk: Desk, sent: str | bytes) -> None:
    answer = desk.post(form(file_part(sent, b"x")))
    assert (answer.status, desk.receiver.taken, desk.left()) == (400, [], [])
    assert "name" in answer.text or "called" in answer.text


class TestWhoMay:
    def test_a_stranger_is_challenged_before_the_body_is_read(self, desk: Desk) -> None:
        read: list[str] = []

        async def ask() -> list[Any]:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                read.append("after the answer" if len(sent) == 2 else "before")
                return {"type": "http.request", "body": b"x", "more_body": False}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            await desk.application.refresh()
            await desk.application(desk.client.scope(PLACE, "POST", headers=[FORM]), receive, send)
            return sent

        start, _ = asyncio.run(ask())
        assert start["status"] == 401
        assert (b"www-authenticate", b'Basic realm="publication-1", charset="UTF-8"') in start[
            "headers"
        ]
        assert read == ["after the answer"], (
            "what is sent anyway is read off, so that the answer can be read"
        )

    def test_who_waits_to_be_told_to_send_is_not(self, desk: Desk) -> None:
        answer = desk.post(
            AssertionError("nothing may be read"), headers=[FORM, ("Expect", "100-continue")]
        )
        assert answer.status == 401

    def test_wrong_passwords_are_401(self, desk: Desk) -> None:
        assert (
            desk.post(
                form(file_part("a", b"x")), headers=[FORM, ("Authorization", "Basic eDp5")]
            ).status
            == 401
        )
        assert desk.receiver.taken == []

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (Refused("`ada` may not"), 403),
            (Gone("takes no files"), 404),
            (StateFault("locked"), 500),
        ],
    )
    def test_the_receiver_may_say_more(
        self, desk: Desk, error: ReconcilerError, status: int
    ) -> None:
        desk.receiver.stranger = error
        answer = desk.post(form(file_part("a", b"x")))
        assert (answer.status, answer.text) == (status, f"{error}\n")

    def test_outside_of_publications_is_404(self, desk: Desk) -> None:
        assert desk.post(form(file_part("a", b"x")), path="/other/upload/").status == 404
        assert desk.post(form(file_part("a", b"x")), path="/team/../other/").status == 404


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
    desk: Desk, error: ReconcilerError, status: int, retry: str | None
) -> None:
    desk.receiver.fault = error
    answer = desk.post(form(file_part("a", b"x")))
    assert (answer.status, answer.headers.get("retry-after")) == (status, retry)
    assert answer.text == (f"{error}\nhint: {error.hint}\n" if error.hint else f"{error}\n")
    assert desk.left() == []


def test_a_bug_is_told_to_the_log_and_not_to_the_client(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.receiver.fault = RuntimeError("the password is swordfish")
    answer = desk.post(form(file_part("a", b"x")))
    assert answer.status == 500
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text
    assert desk.left() == []


class TestForms:
    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/mixed; boundary=x",
            "",
        ],
    )
    def test_another_type_is_415(self, desk: Desk, kind: str) -> None:
        assert desk.post(b"x", headers=[ADA, ("Content-Type", kind)]).status == 415
        assert desk.post(b"x", headers=[ADA]).status == 415

    @pytest.mark.parametrize(
        "kind",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            f"multipart/form-data; boundary={'x' * 5000}",
        ],
    )
    def test_a_boundary_that_cannot_be_one_is_400(self, desk: Desk, kind: str) -> None:
        assert (
            desk.post(form(file_part("a", b"x")), headers=[ADA, ("Content-Type", kind)]).status
            == 400
        )

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "before its last boundary"),
            (b"nonsense", "cannot be read"),
            (END, "no file"),
            (form(text_part("a", "b")), "no file"),
            (file_part("a", WHEEL), "before its last boundary"),
            (form(file_part("a", WHEEL))[:-7], "before its last boundary"),
            (form(file_part("a", b"x"), file_part("b", b"y")), "more than one file"),
            (form(part("form-data", b"x")), "has no name"),
            (form(part('attachment; name="a"; filename="b"', b"x")), "has no name"),
            (form(b"--" + BOUNDARY.encode() + b"\r\n\r\nx\r\n"), "has no name"),
            (
                form(file_part("a", b"eA==", headers="Content-Transfer-Encoding: base64\r\n")),
                "is encoded",
            ),
            (form(text_part("a", b"\xff"), file_part("a", b"x")), "the field `a` is not UTF-8"),
            (form(file_part("a", b"x", headers=f"X: {'y' * 20_000}\r\n")), "header size"),
            (
                form(file_part("a", b"x", headers="".join(f"X-{n}: y\r\n" for n in range(3000)))),
                "header count",
            ),
            (
                form(*[text_part("a", "b")] * (MAX_FIELDS + 1), file_part("a", b"x")),
                "more than 1,000 fields",
            ),
            (
                form(text_part("a", "b" * (MAX_FIELD + 1)), file_part("a", b"x")),
                "1,048,576 bytes each",
            ),
            (
                form(*[text_part("a", "b" * MAX_FIELD)] * 5, file_part("a", b"x")),
                "4,194,304 together",
            ),
        ],
    )
    def test_a_broken_form_is_400_and_says_why(self, desk: Desk, body: bytes, why: str) -> None:
        answer = desk.post(body)
        assert answer.status == 400
        assert why in answer.text
        assert (desk.receiver.taken, desk.left()) == ([], [])

    def test_as_many_fields_as_are_taken(self, desk: Desk) -> None:
        parts = [text_part(f"f{number}", "x") for number in range(MAX_FIELDS - 1)]
        assert (
            desk.post(form(*parts, text_part("long", "b" * MAX_FIELD), file_part("a", b"x"))).status
            == 201
        )
        assert len(desk.receiver.taken[0].fields) == MAX_FIELDS

    @pytest.mark.parametrize("name", ["sha256", "sha256_digest"])
    def test_a_declared_digest_must_be_right(self, desk: Desk, name: str) -> None:
        right = Digest.of(WHEEL).hex
        for order in (1, -1):
            wrong = form(*[text_part(name, "0" * 64), file_part("a", WHEEL)][::order])
            assert desk.post(wrong).status == 400
        assert desk.receiver.taken == []
        assert (
            desk.post(
                form(text_part(name, right), text_part(name, "0" * 64), file_part("a", WHEEL))
            ).status
            == 400
        )
        assert (
            desk.post(form(text_part(name, f" {right.upper()}\n"), file_part("a", WHEEL))).status
            == 201
        )
        assert desk.post(form(text_part(name, ""), file_part("a", WHEEL))).status == 201

    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
    )
    @given(
        data=st.one_of(
            st.binary(max_size=300),
            st.sampled_from([b"\r\n--" + BOUNDARY.encode()[:9], b"\r\n--\r\n", b"\r" * 40]),
        ),
        draw=st.data(),
    )
    def test_where_a_body_is_cut_does_not_matter(
        self, tmp_path: Path, data: bytes, draw: st.DataObject
    ) -> None:
        desk = Desk(tmp_path)
        body = form(text_part("field", data.hex()), file_part("a", data), text_part("last", "x"))
        cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        pieces = [
            body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)
        ]
        assert desk.post(*pieces).status == 201
        (taken,) = desk.receiver.taken
        assert (taken.data, taken.fields) == (data, {"field": data.hex(), "last": "x"})

    def test_a_form_in_single_bytes(self, desk: Desk) -> None:
        body = form(text_part("a", "b"), file_part("a", WHEEL[:3000]))
        assert desk.post(*(body[at : at + 1] for at in range(len(body)))).status == 201
        assert desk.receiver.taken[0].data == WHEEL[:3000]


class TestLimits:
    def test_a_declared_length_is_judged_before_anything_is_read(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, max_upload=1000)
        headers = [ADA, FORM, ("Content-Length", "1001"), ("Expect", "100-continue")]
        answer = desk.post(AssertionError("nothing may be read"), headers=headers)
        assert (answer.status, answer.text) == (413, "more than 1,000 bytes are not taken\n")

    def test_as_much_as_is_allowed_may_be_declared(self, tmp_path: Path) -> None:
        body = form(file_part("a", b"x"))
        desk = Desk(tmp_path, max_upload=len(body))
        headers = [ADA, FORM, ("Content-Length", str(len(body)))]
        assert desk.post(body, headers=headers).status == 201

    def test_a_length_that_is_not_declared_is_counted(self, tmp_path: Path) -> None:
        body = form(file_part("a", WHEEL))
        for limit, status in ((len(body), 201), (len(body) - 1, 413)):
            desk = Desk(tmp_path, max_upload=limit)
            assert (
                desk.post(*(body[at : at + 9999] for at in range(0, len(body), 9999))).status
                == status
            )
            assert desk.left() == []

    def test_a_client_that_leaves_leaves_nothing(self, desk: Desk) -> None:
        body = form(file_part("a", WHEEL))
        assert (
            desk.post(body[: len(WHEEL) // 2], body[len(WHEEL) // 2 : -300_000], EOFError()).status
            == 400
        )
        assert (desk.receiver.taken, desk.left()) == ([], [])

    def test_a_client_that_falls_silent_is_not_waited_for(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, silence=0.01)

        async def silent() -> list[Any]:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return await asyncio.Future()

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            await desk.application(
                desk.client.scope(PLACE, "POST", headers=[ADA, FORM]), receive, send
            )
            return sent

        assert asyncio.run(silent())[0]["status"] == 408
        assert desk.left() == []

    def test_a_request_that_is_given_up_leaves_nothing(self, desk: Desk) -> None:
        arrived = threading.Event()

        async def given_up() -> None:
            pieces = iter([file_part("a", WHEEL)])

            async def receive() -> dict[str, Any]:
                if piece := next(pieces, None):
                    return {"type": "http.request", "body": piece, "more_body": True}
                arrived.set()
                return await asyncio.Future()

            async def send(message: dict[str, Any]) -> None:
                raise AssertionError(message)

            request = asyncio.ensure_future(
                desk.application(
                    desk.client.scope(PLACE, "POST", headers=[ADA, FORM]), receive, send
                )
            )
            await asyncio.to_thread(arrived.wait, 10)
            assert len(desk.left()) == 1
            request.cancel()
            await asyncio.wait([request])
            assert request.cancelled()

        asyncio.run(given_up())
        assert desk.left() == []

    def test_a_folder_that_cannot_be_written_is_500(self, desk: Desk) -> None:
        desk.folder.parent.parent.joinpath("work").write_text("a file where a folder should be")
        answer = desk.post(form(file_part("a", b"x")))
        assert answer.status == 500
        assert "cannot write to" in answer.text

    def test_many_at_once(self, desk: Desk) -> None:
        async def together() -> list[Answer]:
            bodies = [
                form(file_part(f"{number}.whl", WHEEL + bytes([number]))) for number in range(50)
            ]
            return await asyncio.gather(
                *(
                    desk.client.post(PLACE, [body[:99], body[99:]], headers=[ADA, FORM])
                    for body in bodies
                )
            )

        assert {answer.status for answer in asyncio.run(together())} == {201}
        assert {taken.file.name: taken.data[-1] for taken in desk.receiver.taken} == {
            f"{number}.whl": number for number in range(50)
        }
        assert desk.left() == []


def test_what_was_received_and_what_was_refused_is_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "reconciler.serve")
    desk.post(form(file_part("alpha-1.whl", b"12345")))
    desk.post(form(file_part("a", b"x")), headers=[FORM])
    assert [record.getMessage() for record in caplog.records] == [
        "`publication-1` received `alpha-1.whl`, 5 bytes, from `ada`",
        "upload to `publication-1` refused with status 401",
    ]


class TestServer:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_methods_that_are_possible(self, desk: Desk, method: str) -> None:
        answer = asyncio.run(desk.client.get(PLACE, method=method))
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")

    def test_what_a_killed_server_left_is_removed(self, desk: Desk) -> None:
        desk.folder.mkdir(parents=True)
        (
            desk.folder / f"{os.uname().nodename}~{os.getpid()}~0000~1"
        ).touch()  # an earlier process of our own pid
        (desk.folder / "a-file-of-another-program").touch()
        asyncio.run(live(desk.application, "lifespan.startup", "lifespan.shutdown"))
        assert desk.left() == ["a-file-of-another-program"]

    def test_what_was_taken_was_taken_though_it_cannot_be_seen_yet(self, desk: Desk) -> None:
        async def unseen() -> Answer:
            await desk.application.refresh()
            desk.published.broken = True
            return await desk.client.post(PLACE, [form(file_part("a", b"x"))], headers=[ADA, FORM])

        assert asyncio.run(unseen()).status == 201

    def test_a_publication_with_a_difficult_name_has_a_challenge(self, desk: Desk) -> None:
        desk.published.mounted["team"] = desk.published.mounted["team"].__class__(
            1, 'a"b\\ü', "team", 1
        )
        assert (
            desk.post(b"", headers=[FORM]).headers["www-authenticate"]
            == 'Basic realm="a?b??", charset="UTF-8"'
        )
