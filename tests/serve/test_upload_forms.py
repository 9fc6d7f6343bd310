"""Upload forms, and the limits of what is received."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import Digest
from reconciler.serve.upload_form import MAX_FIELD, MAX_FIELDS, MAX_FILES
from tests.serve.uploads_site import PLACE, WHEEL, UploadSite
from tests.support.asgi import AsgiResponse
from tests.support.uploading import (
    ADA,
    BOUNDARY,
    END,
    FORM,
    file_part,
    form,
    part,
    text_part,
)


@pytest.fixture
def site(tmp_path: Path) -> UploadSite:
    return UploadSite(tmp_path)


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
    def test_another_type_is_415(self, site: UploadSite, kind: str) -> None:
        assert site.post(b"x", headers=[ADA, ("Content-Type", kind)]).status == 415
        assert site.post(b"x", headers=[ADA]).status == 415

    @pytest.mark.parametrize(
        "kind",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            f"multipart/form-data; boundary={'x' * 5000}",
        ],
    )
    def test_a_boundary_that_cannot_be_one_is_400(self, site: UploadSite, kind: str) -> None:
        assert (
            site.post(form(file_part("a", b"x")), headers=[ADA, ("Content-Type", kind)]).status
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
            (form(*[file_part("a", b"x")] * (MAX_FILES + 1)), "more than 100 files"),
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
                "more than 10,000 fields",
            ),
            (
                form(text_part("a", "b" * (MAX_FIELD + 1)), file_part("a", b"x")),
                "1,048,576 bytes each",
            ),
            (
                form(*[text_part("a", "b" * MAX_FIELD)] * 5, file_part("a", b"x")),
                "4,194,304 together",
            ),
            (
                form(*[text_part("a" * 1_000, "")] * 4_200, file_part("a", b"x")),
                "4,194,304 together",
            ),
            (
                form(file_part("a", b"x", headers="".join([f"X: {'y' * 3_000}\r\n"] * 6))),
                "exceed 16,384 bytes",
            ),
        ],
    )
    def test_a_broken_form_is_400_and_says_why(
        self, site: UploadSite, body: bytes, why: str
    ) -> None:
        answer = site.post(body)
        assert answer.status == 400
        assert why in answer.text
        assert (site.receiver.taken, site.left()) == ([], [])

    def test_as_many_fields_as_are_taken(self, site: UploadSite) -> None:
        parts = [text_part(f"f{number}", "x") for number in range(MAX_FIELDS - 1)]
        assert (
            site.post(form(*parts, text_part("long", "b" * MAX_FIELD), file_part("a", b"x"))).status
            == 201
        )
        assert len(site.receiver.taken[0].fields) == MAX_FIELDS

    @pytest.mark.parametrize("name", ["sha256", "sha256_digest"])
    def test_a_declared_digest_must_be_right(self, site: UploadSite, name: str) -> None:
        right = Digest.of(WHEEL).hex
        for order in (1, -1):
            wrong = form(*[text_part(name, "0" * 64), file_part("a", WHEEL)][::order])
            assert site.post(wrong).status == 400
        assert site.receiver.taken == []
        assert (
            site.post(
                form(text_part(name, right), text_part(name, "0" * 64), file_part("a", WHEEL))
            ).status
            == 400
        )
        assert (
            site.post(form(text_part(name, f" {right.upper()}\n"), file_part("a", WHEEL))).status
            == 201
        )
        assert site.post(form(text_part(name, ""), file_part("a", WHEEL))).status == 201

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
        site = UploadSite(tmp_path)
        body = form(text_part("field", data.hex()), file_part("a", data), text_part("last", "x"))
        cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
        pieces = [
            body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)
        ]
        assert site.post(*pieces).status == 201
        (taken,) = site.receiver.taken
        assert (taken.data, taken.fields) == (data, {"field": data.hex(), "last": "x"})

    def test_a_form_in_single_bytes(self, site: UploadSite) -> None:
        body = form(text_part("a", "b"), file_part("a", WHEEL[:3000]))
        assert site.post(*(body[at : at + 1] for at in range(len(body)))).status == 201
        assert site.receiver.taken[0].data == WHEEL[:3000]


class TestLimits:
    def test_a_declared_length_is_judged_before_anything_is_read(self, tmp_path: Path) -> None:
        site = UploadSite(tmp_path, max_upload=1000)
        headers = [ADA, FORM, ("Content-Length", "1001"), ("Expect", "100-continue")]
        answer = site.post(AssertionError("nothing may be read"), headers=headers)
        assert (answer.status, answer.text) == (413, "more than 1,000 bytes are not taken\n")

    def test_as_much_as_is_allowed_may_be_declared(self, tmp_path: Path) -> None:
        body = form(file_part("a", b"x"))
        site = UploadSite(tmp_path, max_upload=len(body))
        headers = [ADA, FORM, ("Content-Length", str(len(body)))]
        assert site.post(body, headers=headers).status == 201

    def test_a_length_that_is_not_declared_is_counted(self, tmp_path: Path) -> None:
        body = form(file_part("a", WHEEL))
        for limit, status in ((len(body), 201), (len(body) - 1, 413)):
            site = UploadSite(tmp_path, max_upload=limit)
            assert (
                site.post(*(body[at : at + 9999] for at in range(0, len(body), 9999))).status
                == status
            )
            assert site.left() == []

    def test_a_client_that_leaves_leaves_nothing(self, site: UploadSite) -> None:
        body = form(file_part("a", WHEEL))
        assert (
            site.post(body[: len(WHEEL) // 2], body[len(WHEEL) // 2 : -300_000], EOFError()).status
            == 400
        )
        assert (site.receiver.taken, site.left()) == ([], [])

    def test_a_client_that_falls_silent_is_not_waited_for(self, tmp_path: Path) -> None:
        site = UploadSite(tmp_path, silence=0.01)

        async def silent() -> list[Any]:
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return await asyncio.Future()

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            await site.application(
                site.client.scope(PLACE, "POST", headers=[ADA, FORM]), receive, send
            )
            return sent

        assert asyncio.run(silent())[0]["status"] == 408
        assert site.left() == []

    def test_a_request_that_is_given_up_leaves_nothing(self, site: UploadSite) -> None:
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
                site.application(
                    site.client.scope(PLACE, "POST", headers=[ADA, FORM]), receive, send
                )
            )
            await asyncio.to_thread(arrived.wait, 10)
            assert len(site.left()) == 1
            request.cancel()
            await asyncio.wait([request])
            assert request.cancelled()

        asyncio.run(given_up())
        assert site.left() == []

    def test_a_folder_that_cannot_be_written_is_500(self, site: UploadSite) -> None:
        site.folder.parent.parent.joinpath("work").write_text("a file where a folder should be")
        answer = site.post(form(file_part("a", b"x")))
        assert answer.status == 500
        assert "its log says why" in answer.text

    def test_many_at_once(self, site: UploadSite) -> None:
        async def together() -> list[AsgiResponse]:
            bodies = [
                form(file_part(f"{number}.whl", WHEEL + bytes([number]))) for number in range(50)
            ]
            return await asyncio.gather(
                *(
                    site.client.post(PLACE, [body[:99], body[99:]], headers=[ADA, FORM])
                    for body in bodies
                )
            )

        assert {answer.status for answer in asyncio.run(together())} == {201}
        assert {taken.file.name: taken.data[-1] for taken in site.receiver.taken} == {
            f"{number}.whl": number for number in range(50)
        }
        assert site.left() == []
