"""The audit log of requests: one line for each upload, and for each denial."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.audit import AuditLog
from reconciler.errors import (
    Conflict,
    Denied,
    Gone,
    OutOfScope,
    QuotaExceeded,
    ReconcilerError,
    StateFault,
    Unreachable,
)
from reconciler.model import Grant
from reconciler.serve import Application, AuditTrail, Catalogue, Reading, TrustedProxies
from tests.serve.team import FILE, PAGE, team
from tests.serve.uploads_site import UploadSite
from tests.support.asgi import Client
from tests.support.uploading import ADA, FORM, file_part, form

WRONG = ("Authorization", "Basic YWRhOm15LXBhc3N3b3Jk")


def trail(folder: Path, *proxies: str) -> AuditTrail:
    return AuditTrail(AuditLog(folder / "audit.jsonl"), TrustedProxies(proxies))


def written(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "audit.jsonl").read_text() if (folder / "audit.jsonl").exists() else ""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> UploadSite:
    return UploadSite(tmp_path, audit=trail(tmp_path), max_upload=100_000)


def test_an_upload_leaves_one_line_with_who_what_and_from_where(
    site: UploadSite, tmp_path: Path
) -> None:
    assert site.post(form(file_part("a.whl", b"x"))).status == 201
    [line] = written(tmp_path)
    assert line["files"][0]["name"] == "a.whl"
    del line["time"], line["process"], line["files"]
    assert line == {
        "event": "upload",
        "outcome": "accepted",
        "status": 201,
        "principal": "ada",
        "client": "127.0.0.1",
        "publication": "publication-1",
        "method": "POST",
        "path": "/team/upload/",
        "version": 2,
    }


@pytest.mark.parametrize(
    ("fault", "outcome", "reason", "status"),
    [
        (Denied("by a filter"), "refused", "denied-by-filter", 403),
        (OutOfScope("not yours"), "denied", "outside-scope", 403),
        (QuotaExceeded("full"), "refused", "quota-exceeded", 413),
        (Conflict("another's"), "refused", "conflict", 409),
        (Unreachable("busy"), "failed", "try-again", 503),
        (StateFault("broken"), "failed", "server-fault", 500),
        (ValueError("a bug"), "failed", "server-fault", 500),
    ],
)
def test_an_upload_that_is_not_taken_leaves_one_line_with_the_reason(
    fault: Exception, outcome: str, reason: str, status: int, *, site: UploadSite, tmp_path: Path
) -> None:
    site.receiver.fault = fault
    assert site.post(form(file_part("a.whl", b"x"))).status == status
    [line] = written(tmp_path)
    assert (line["outcome"], line["reason"], line["status"]) == (outcome, reason, status)
    assert (line["principal"], line["files"][0]["name"]) == ("ada", "a.whl")


@pytest.mark.parametrize(
    "said",
    [
        [("Origin", "https://evil.example.org")],
        [("Origin", "null")],
        [("Origin", "https://index.example.org"), ("Sec-Fetch-Site", "same-site")],
    ],
)
def test_a_page_of_another_site_changes_nothing_by_the_credentials_of_a_browser(
    said: list[tuple[str, str]], *, site: UploadSite, tmp_path: Path
) -> None:
    """Kind: requests that a browser sends with credentials that it remembers (CSRF)."""
    answer = site.post(form(file_part("a.whl", b"x")), headers=[FORM, ADA, *said])
    assert answer.status == 403
    [line] = written(tmp_path)
    assert (line["outcome"], line["reason"]) == ("denied", "cross-site")


def test_a_page_of_the_same_site_may_change_things(site: UploadSite) -> None:
    said = [("Origin", "https://index.example.org"), ("Sec-Fetch-Site", "same-origin")]
    assert site.post(form(file_part("a.whl", b"x")), headers=[FORM, ADA, *said]).status == 201


@pytest.mark.parametrize(
    ("headers", "stranger", "reason"),
    [
        ([FORM], None, "no-credentials"),
        ([FORM, WRONG], None, "wrong-credentials"),
        ([FORM, ADA], Gone("takes no files"), "not-found"),
    ],
)
def test_a_client_that_is_turned_away_leaves_one_line_without_what_it_sent(
    headers: list[tuple[str, str]],
    stranger: ReconcilerError | None,
    reason: str,
    *,
    site: UploadSite,
    tmp_path: Path,
) -> None:
    site.receiver.stranger = stranger
    site.post(form(file_part("a.whl", b"x")), headers=headers)
    [line] = written(tmp_path)
    assert line["reason"] == reason
    assert not {"principal", "files"} & line.keys()
    raw = (tmp_path / "audit.jsonl").read_text()
    assert "my-password" not in raw
    assert WRONG[1].split()[1] not in raw


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"nonsense", [ADA, FORM], "invalid-form"),
        (b"x", [ADA], "not-a-form"),
        (form(file_part("a", bytes(200_000))), [ADA, FORM], "too-large"),
    ],
)
def test_a_body_that_is_not_taken_leaves_one_line(
    body: bytes, headers: list[tuple[str, str]], reason: str, *, site: UploadSite, tmp_path: Path
) -> None:
    assert site.post(body, headers=headers).status >= 400
    [line] = written(tmp_path)
    assert (line["outcome"], line["reason"]) == ("refused", reason)


class Readers:
    """`Bearer some` sees one project."""

    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        known = authorization == "Bearer some"
        return Grant("some", ("another",)) if known else None


@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        (None, 401, "no-credentials"),
        (("Authorization", "Bearer my-password"), 401, "wrong-credentials"),
        (("Authorization", "Bearer some"), 404, "outside-scope"),
    ],
)
def test_a_denied_read_leaves_one_line(
    header: tuple[str, str] | None, status: int, reason: str, *, tmp_path: Path
) -> None:
    published = team(tmp_path)
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    application = Application(
        Catalogue(published, published), reading=Reading(Readers()), audit=trail(tmp_path)
    )
    headers = () if header is None else (header,)
    answer = asyncio.run(Client(application).get(PAGE, headers=headers))
    assert answer.status == status
    [line] = written(tmp_path)
    assert (line["event"], line["outcome"], line["reason"]) == ("read", "denied", reason)
    assert (line["path"], line["status"]) == (PAGE, status)
    assert "my-password" not in (tmp_path / "audit.jsonl").read_text()


def test_what_is_served_leaves_no_line(tmp_path: Path) -> None:
    published = team(tmp_path)
    client = Client(Application(Catalogue(published, published), audit=trail(tmp_path)))
    assert asyncio.run(client.get(FILE)).status == 200
    assert asyncio.run(client.get("/team/nothing")).status == 404
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", ["203.0.113.9"], ("192.0.2.1", "")),
        ("10.0.0.1", [], ("10.0.0.1", "")),
        ("10.0.0.1", ["203.0.113.9"], ("203.0.113.9", "10.0.0.1")),
        ("::ffff:10.0.0.1", ["198.51.100.7, 203.0.113.9"], ("203.0.113.9", "::ffff:10.0.0.1")),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9, 10.0.0.2"], ("203.0.113.9", "10.0.0.1")),
        ("10.0.0.1", ["203.0.113.9:443"], ("203.0.113.9", "10.0.0.1")),
        ("10.0.0.1", ["[2001:db8::1]:443"], ("2001:db8::1", "10.0.0.1")),
        ("10.0.0.1", ['<script>", 203.0.113.9, unknown'], ("10.0.0.1", "")),
    ],
)
def test_an_address_is_forwarded_by_trusted_proxies_alone(
    peer: str, forwarded: list[str], expected: tuple[str, str]
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"client": (peer, 1), "headers": headers}
    assert tuple(TrustedProxies(["10.0.0.0/8"]).client_of(scope)) == expected
