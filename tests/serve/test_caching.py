"""Caching follows the name: a response promises only what the name of its path keeps.

Kind: every header that promises.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model import Digest
from tests.serve.team import application, ask
from tests.support.asgi import Client
from tests.support.published import LAST_MODIFIED, Published

BODY = b"bytes of a file"
OTHER = Digest.of(b"other bytes").hex
IMMUTABLE, REVALIDATED = "public, max-age=31536000, immutable", "no-cache"


@pytest.mark.parametrize(
    ("path", "promise"),
    [
        (f"files/{Digest.of(BODY).hex}/a.whl", IMMUTABLE),
        (f"by-hash/SHA256/{Digest.of(BODY).hex}", IMMUTABLE),
        (f"files/{OTHER}/a.whl.metadata", REVALIDATED),  # the digest of another file
        (f"files/{Digest.of(BODY).hex[:32]}/a.whl", REVALIDATED),
        ("latest.bin", REVALIDATED),
        ("dists/stable/Release", REVALIDATED),
    ],
)
@pytest.mark.parametrize("page", [False, True])
def test_only_a_path_with_the_digest_of_its_bytes_is_immutable(
    path: str, promise: str, page: bool, tmp_path: Path
) -> None:
    published = Published(folder=tmp_path)
    (published.page if page else published.file)(published.mount("team"), path, BODY)
    headers = ask(published, f"/team/{path}").headers
    assert headers["cache-control"] == promise
    assert headers["etag"] == f'"{Digest.of(BODY).hex}"'
    assert headers["last-modified"] == LAST_MODIFIED


@pytest.mark.parametrize(
    ("immutable", "addressed", "promise"),
    [
        (True, False, IMMUTABLE),
        (False, False, REVALIDATED),
        (True, True, REVALIDATED),  # it has as many bodies as addresses
    ],
)
def test_a_publisher_may_promise_it_for_one_body(
    immutable: bool, addressed: bool, promise: str, tmp_path: Path
) -> None:
    published = Published(folder=tmp_path)
    served = published.mount("team", base_url="https://example.org/")
    published.page(served, "one-1.0.json", b"{}", immutable=immutable, addressed=addressed)
    assert ask(published, "/team/one-1.0.json").headers["cache-control"] == promise


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/team", 301), ("/team/none", 404), ("/none", 404)]
)
def test_what_may_change_at_any_moment_is_revalidated(
    path: str, status: int, tmp_path: Path
) -> None:
    published = Published(folder=tmp_path)
    published.page(published.mount("team"), "", b"root")
    answer = ask(published, path)
    assert (answer.status, answer.headers["cache-control"]) == (status, REVALIDATED)


def test_a_date_is_compared_where_a_client_sends_no_entity_tag(tmp_path: Path) -> None:
    published = Published(folder=tmp_path)
    published.file(published.mount("team"), "latest.bin", BODY)
    same = ask(published, "/team/latest.bin", ("If-Modified-Since", LAST_MODIFIED))
    assert (same.status, same.body, same.headers["last-modified"]) == (304, b"", LAST_MODIFIED)
    earlier = ("If-Modified-Since", "Sat, 21 Nov 2026 11:59:59 GMT")
    assert ask(published, "/team/latest.bin", earlier).body == BODY


def test_a_date_in_the_future_is_not_said_until_it_is_there(tmp_path: Path) -> None:
    """Two publications in one second have two dates, the second of which is yet to come."""
    published = Published(folder=tmp_path, modified=datetime.now(UTC) + timedelta(hours=1))
    published.file(published.mount("team"), "latest.bin", BODY)

    async def talk() -> None:
        client = Client(application(published, check_every=1000))
        assert "last-modified" not in (await client.get("/team/latest.bin")).headers
        now = ("If-Modified-Since", LAST_MODIFIED)
        assert (await client.get("/team/latest.bin", headers=[now])).status == 200

    asyncio.run(talk())
