"""Protocols of publishers end to end: what they bring, change and remove is decided as any upload.

The kind: a publisher that could take one form with one file, and say nothing in its own words.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine.uploads.plugin_results import answer_problem
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.errors import StateFault
from reconciler.plugin import Answer, ReceiveConduit, Received, ReceivedRequest, StoredUnit
from tests.support.asgi import AsgiResponse, Client
from tests.support.line_protocol import LineProtocol
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, rules
from tests.support.uploading import FORM, file_part, form, text_part

TOKEN = "s3cret-token-of-the-team"  # of this test
BEARER = ("Authorization", f"Bearer {TOKEN}")
ACCESS = "access: {upload: [{token: {env: T_TOKEN}}]}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_TOKEN", TOKEN)
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"))
        site.declare(
            site.remote(),
            rules("deny: [evil]"),
            repository("team", "remote: {name: up}", "upload: {}"),
            publication(more=ACCESS),
        )
        site.applied()
        site.script.replaceable = True
        yield site


def asked(site: Rehearsal, *requests: tuple[str, str, bytes]) -> list[AsgiResponse]:
    """Send requests, one after the other."""

    async def talk(client: Client) -> list[AsgiResponse]:
        return [
            await client.post(f"/team/{path}", [body] if body else [], headers=[BEARER], method=how)
            for how, path, body in requests
        ]

    answers: list[AsgiResponse] = site.served(talk)
    return answers


def left(site: Rehearsal) -> list[str]:
    folder = site.folder / "home" / "arriving"
    return [file.name for file in folder.iterdir()] if folder.exists() else []


def test_a_raw_file_comes_in_and_is_served_before_the_answer(site: Rehearsal) -> None:
    put, again, other = asked(
        site,
        ("PUT", "boxes/b/two", b"two"),
        ("PUT", "boxes/b/two", b"two"),
        ("PUT", "boxes/b/three", b"three"),
    )
    assert [answer.status for answer in (put, again, other)] == [200, 200, 200]
    assert json.loads(put.body) == {"told": "taken"}
    assert site.held() == ["a/one", "b/three", "b/two"]
    assert site.number() == 3, "the same again is no version"
    [file] = site.get("/team/b/two")
    assert file.body == b"two"
    assert left(site) == []


def test_metadata_is_changed_without_the_bytes(site: Rehearsal) -> None:
    asked(site, ("PUT", "boxes/b/two", b"two"), ("PATCH", "boxes/b/two?note=yanked", b""))
    [unit] = [unit for unit in site.units() if unit.key == "two"]
    assert unit.metadata["note"] == "yanked"
    [file] = site.get("/team/b/two")
    assert file.body == b"two"


def test_what_was_uploaded_is_removed_and_nothing_else(site: Rehearsal) -> None:
    _, gone, absent, synced = asked(
        site,
        ("PUT", "boxes/b/two", b"two"),
        ("DELETE", "boxes/b/two", b""),
        ("DELETE", "boxes/b/two", b""),
        ("DELETE", "boxes/a/one", b""),
    )
    assert (gone.status, absent.status, synced.status) == (204, 404, 400)
    assert json.loads(absent.body) == {"told": "no `two` in `b`"}
    assert "was not uploaded" in json.loads(synced.body)["told"]
    assert site.held() == ["a/one"]


def test_files_within_a_body_become_files(site: Rehearsal) -> None:
    files = {name: base64.b64encode(name.encode()).decode() for name in ("two", "three")}
    body = json.dumps(files).encode()
    [answer] = asked(site, ("POST", "json/b/c", body))
    assert answer.status == 201
    assert site.held() == ["a/one", "b/c/three", "b/c/two"]
    assert left(site) == []


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (("PUT", "boxes/b/evil", b"x"), 403, "rules.deny"),
        (("PUT", "boxes/a/one", b"x"), 409, "belongs to remote:up"),
        (("POST", "json/b", b"{"), 400, "no JSON"),
        (("PATCH", "boxes/b/nothing?note=x", b""), 404, "no `nothing`"),
    ],
)
def test_refusals_of_the_core_are_told_in_the_words_of_the_protocol(
    site: Rehearsal, request_: tuple[str, str, bytes], status: int, words: str
) -> None:
    method, path, body = request_
    [answer] = asked(site, (method, path, body))
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert words in json.loads(answer.body)["told"]
    assert site.held() == ["a/one"]
    assert left(site) == []


def test_a_client_hears_nothing_of_names_that_are_not_for_it(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither whether they are there, nor what is: each answer is the same 403."""
    monkeypatch.setenv("T_OTHER", "a token for some")
    some = "access: {upload: [{token: {env: T_TOKEN}}, {token: {env: T_OTHER}, projects: [mine]}]}"
    site.declare(
        site.remote(),
        repository("team", "remote: {name: up}", "upload: {}"),
        publication(more=some),
    )
    site.applied()
    asked(site, ("PUT", "boxes/b/two", b"two"))

    async def talk(client: Client) -> list[AsgiResponse]:
        other = ("Authorization", "Bearer a token for some")
        return [
            await client.post(f"/team/{path}", [body] if body else [], headers=[other], method=how)
            for how, path, body in (
                ("DELETE", "boxes/b/two", b""),
                ("DELETE", "boxes/b/absent", b""),
                ("PATCH", "boxes/a/one?note=x", b""),
                ("PUT", "boxes/c/new", b"new"),
                ("PUT", "boxes/mine/new", b"new"),
            )
        ]

    answers: list[AsgiResponse] = site.served(talk)
    assert [answer.status for answer in answers] == [403, 403, 403, 403, 200]
    assert "two" not in answers[0].text


def test_the_generic_protocol_takes_several_files_as_one_version(site: Rehearsal) -> None:
    async def talk(client: Client) -> AsgiResponse:
        body = form(text_part("group", "b"), file_part("two", b"2"), file_part("three", b"3"))
        return await client.post("/team/upload/", [body], headers=[BEARER, FORM])

    answer: AsgiResponse = site.served(talk)
    assert answer.status == 201
    assert site.held() == ["a/one", "b/three", "b/two"]
    assert site.number() == 2


def test_a_method_that_no_endpoint_has_is_405(site: Rehearsal) -> None:
    [answer] = asked(site, ("PUT", "upload/", b"x"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(204, b"x"),
        Answer(205, b"x"),
        Answer(302),
        Answer(200, b"", "text/plain\r\nx: y"),
        Answer(200, headers={"x-a": "b\r\nset-cookie: a=b"}),
        Answer(200, headers={"a b": "c"}),
        Answer(200, headers={"Content-Length": "9"}),
        Answer(200, headers={"Upgrade": "h2c"}),
    ],
)
def test_an_answer_that_http_cannot_carry_is_refused(answer: Answer) -> None:
    assert answer_problem(answer)
    assert not answer_problem(Answer(200, b"x", headers={"x-a": "b"}))


@pytest.mark.parametrize("trouble", [SystemExit(3), RuntimeError("boom"), "no answer"])
def test_a_publisher_that_fails_to_tell_an_error_leaves_it_to_the_core(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch, trouble: object
) -> None:
    def told(*arguments: object) -> object:
        if isinstance(trouble, BaseException):
            raise trouble
        return trouble

    monkeypatch.setattr(LineProtocol, "error_answer", told)
    [answer] = asked(site, ("DELETE", "boxes/b/nowhere", b""))
    assert (answer.status, "no `nowhere` in `b`" in answer.text) == (404, True)


def test_units_that_leave_are_read_while_the_conduit_is_open(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive(self: object, conduit: ReceiveConduit, request: ReceivedRequest) -> Received:
        def leaving() -> Iterator[StoredUnit]:
            yield from conduit.units("b")

        return Received(removed=leaving(), answer=Answer(204))

    [put] = asked(site, ("PUT", "boxes/b/x", b"one"))
    monkeypatch.setattr(LineProtocol, "receive", receive)
    [gone] = asked(site, ("DELETE", "boxes/b/x", b""))
    assert (put.status, gone.status, gone.text) == (200, 204, "")


def test_a_full_disk_is_no_fault_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateFault, match="cannot write"):
        SentFiles([], tmp_path / "file").add("a", b"b")
