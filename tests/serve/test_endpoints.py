"""Requests in the protocols of publishers: methods, raw bodies, several files, their answers.

The kind: a protocol that only knew one form with one file.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reconciler.errors import Conflict, StateFault, Unreachable
from reconciler.serve import UploadAnswer
from reconciler.serve.responses import STATE_FAULT
from tests.serve.uploads_site import UploadSite
from tests.support.asgi import AsgiResponse
from tests.support.uploading import ADA, FORM, file_part, form, text_part

ANY = dict.fromkeys(("DELETE", "PATCH", "POST", "PUT"), False)


@pytest.fixture
def site(tmp_path: Path) -> UploadSite:
    site = UploadSite(tmp_path)
    site.receiver.methods = ANY
    return site


def sent(
    site: UploadSite, method: str, path: str, *pieces: bytes, headers: tuple[str, str] = ADA
) -> AsgiResponse:
    return asyncio.run(site.client.post(path, pieces, headers=[headers], method=method))


@pytest.mark.parametrize("method", sorted(ANY))
def test_a_declared_method_is_taken_and_another_is_405(site: UploadSite, method: str) -> None:
    assert sent(site, method, "/team/a/b", b"x").status == 201
    assert site.receiver.taken[0].request.method == method
    site.receiver.methods = {name: False for name in ANY if name != method}
    answer = sent(site, method, "/team/a/b", b"x")
    assert answer.status == 405
    allowed = answer.headers["allow"].split(", ")
    assert {"GET", "HEAD"} <= set(allowed)
    assert method not in allowed
    assert len(site.receiver.taken) == 1


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_never_taken(site: UploadSite, method: str) -> None:
    assert sent(site, method, "/team/a", b"x").status == 405


def test_a_raw_body_is_one_file_called_as_the_path(site: UploadSite) -> None:
    assert sent(site, "PUT", "/team/pool/a_1.0~1.deb", b"one", b"two").status == 201
    [taken] = site.receiver.taken
    assert (taken.file.name, taken.data) == ("a_1.0~1.deb", b"onetwo")
    assert taken.path == "pool/a_1.0~1.deb"
    assert site.left() == []


def test_a_path_that_is_not_utf8_is_refused(site: UploadSite) -> None:
    """The kind: two names that become one, because a decoder replaces what it cannot read."""
    assert sent(site, "PUT", "/team/pool/\ufffd", b"x").status == 400
    assert site.receiver.taken == []


def test_an_empty_body_is_an_empty_file(site: UploadSite) -> None:
    """Plugins take `files[0]` of a request that brings something."""
    assert sent(site, "PUT", "/team/pool/nothing.txt").status == 201
    [taken] = site.receiver.taken
    assert (taken.file.name, taken.data) == ("nothing.txt", b"")


def test_a_long_name_is_cut_between_characters(site: UploadSite) -> None:
    assert sent(site, "PUT", f"/team/pool/{'ä' * 200}", b"x").status == 201
    assert site.receiver.taken[0].file.name == "ä" * 127


def test_an_empty_body_of_a_removal_is_no_file(site: UploadSite) -> None:
    assert sent(site, "DELETE", "/team/pool/a?force=1&force=2").status == 201
    [taken] = site.receiver.taken
    assert (taken.request.files, taken.request.query) == ([], {"force": ["1", "2"]})


def test_a_form_may_hold_several_files_of_different_fields(site: UploadSite) -> None:
    body = form(
        text_part("force", "yes"),
        file_part("chart.tgz", b"chart", name="chart"),
        file_part("chart.tgz.prov", b"signature", name="prov"),
    )
    assert site.post(body, headers=(ADA, FORM)).status == 201
    [taken] = site.receiver.taken
    files = [(file.field, file.name, file.size) for file in taken.request.files]
    assert files == [("chart", "chart.tgz", 5), ("prov", "chart.tgz.prov", 9)]
    assert site.left() == []


def test_credentials_are_none_of_a_publishers_business(site: UploadSite) -> None:
    sent(site, "PUT", "/team/a", b"x")
    assert "authorization" not in site.receiver.taken[0].request.headers


def test_nothing_is_read_of_a_stranger(site: UploadSite) -> None:
    assert sent(site, "PUT", "/team/a", b"x", headers=("X-Nobody", "1")).status == 401
    assert site.receiver.taken == []


def test_the_answer_is_the_publishers(site: UploadSite) -> None:
    site.receiver.answer = UploadAnswer(202, b'{"ok":1}', "application/json", {"x-notice": "hi"})
    answer = sent(site, "PUT", "/team/a", b"x")
    assert (answer.status, answer.body) == (202, b'{"ok":1}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-notice"] == "hi"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert int(answer.headers["reconciler-generation"]) >= 0


def test_errors_are_told_in_the_words_of_the_protocol(site: UploadSite) -> None:
    site.receiver.fault = Conflict("it is there already")
    assert "it is there already" in sent(site, "PUT", "/team/a", b"x").text
    site.receiver.told = UploadAnswer(403, b'{"error":"exists"}', "application/json", {})
    answer = sent(site, "PUT", "/team/a", b"x")
    assert (answer.status, answer.body) == (403, b'{"error":"exists"}')


def test_a_publisher_tells_of_errors_in_words_that_clients_may_read(site: UploadSite) -> None:
    """The kind: paths of the server in an answer that the core did not write itself."""
    for fault, words in (
        (StateFault("cannot write to `/srv/home`", hint="see `/srv/log`"), (STATE_FAULT, None)),
        (
            Conflict("`/srv/state/a` is there", hint="remove `/srv/state/a`"),
            ("a file of the server is there", "remove a file of the server"),
        ),
    ):
        site.receiver.fault = fault
        site.receiver.told = UploadAnswer(400, b"", "text/plain", {})
        assert sent(site, "PUT", "/team/a", b"x").status == 400
        assert (fault.message, fault.hint) == words


def test_when_to_come_back_is_the_servers_to_say(site: UploadSite) -> None:
    site.receiver.fault = Unreachable("the disk is away", retry_after=7)
    site.receiver.told = UploadAnswer(503, b'{"error":"later"}', "application/json", {})
    answer = sent(site, "PUT", "/team/a", b"x")
    assert (answer.status, answer.body) == (503, b'{"error":"later"}')
    assert answer.headers["retry-after"] == "7"
