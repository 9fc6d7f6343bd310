"""Private publications: each client sees what it may see, and nothing tells of the rest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.database.records import Entry, ServedContent, ServedPublication
from reconciler.errors import Unreachable
from reconciler.model import Digest, Grant
from reconciler.serve import Application, Catalogue, Reading
from reconciler.serve.private_content import PrivateContent, is_visible
from reconciler.serve.representation import Resource
from tests.serve.team import BIG, FILE, PAGE, team
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import MODIFIED, Published

ALL = ("Authorization", "Bearer all")
SOME = ("Authorization", "Bearer some")
OTHER = ("Authorization", "Bearer other")


class FakeReaders:
    """`all` sees all, `some` the group `group`, which everything is about that has one."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        self.asked += 1
        if self.broken:
            raise Unreachable("the secret is away")
        grants = {
            ALL[1]: Grant("all"),
            SOME[1]: Grant("some", ("gr*",)),
            OTHER[1]: Grant("other", ("another",)),
        }
        return grants.get(authorization or "")


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = team(tmp_path)
    served = published.mounted["team"]
    published.mounted["team"] = replace(served, private=True)
    published.page(served, "simple/", b"the list")
    [entry] = published.table[1, 1, "simple/"]
    published.table[1, 1, "simple/"] = [replace(entry, group=None)]
    digest = Digest.of(b"kept")
    published.file(served, f"files/{digest.hex}/a.whl", b"kept")
    return published


def answers(
    published: Published, readers: FakeReaders | None, *requests: tuple[str, tuple[str, str] | None]
) -> list[AsgiResponse]:
    async def ask() -> list[AsgiResponse]:
        application = Application(
            Catalogue(published, published, check_every=0), reading=Reading(readers)
        )
        client = Client(application)
        return [
            await client.get(path, headers=() if header is None else (header,))
            for path, header in requests
        ]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "path", [PAGE, FILE, BIG, "/team/", "/team", "/team/nothing", "/team/simple"]
)
def test_without_the_right_credentials_every_path_is_401(path: str, published: Published) -> None:
    wrong = ("Authorization", "Bearer wrong")
    for answer in answers(published, FakeReaders(), (path, None), (path, wrong)):
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert "etag" not in answer.headers


def test_a_server_that_asks_no_one_shows_nothing(published: Published) -> None:
    [answer] = answers(published, None, (PAGE, ALL))
    assert answer.status == 401


def test_a_reader_of_all_sees_all_and_shared_caches_keep_none_of_it(published: Published) -> None:
    kept = f"/team/files/{Digest.of(b'kept').hex}/a.whl"
    page, listed, file = answers(
        published, FakeReaders(), (PAGE, ALL), ("/team/simple/", ALL), (kept, ALL)
    )
    assert [each.status for each in (page, listed, file)] == [200, 200, 200]
    assert page.headers["cache-control"] == "private, no-cache"
    assert file.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in page.headers["vary"]


def test_a_reader_of_some_names_sees_them_and_404_for_the_rest(published: Published) -> None:
    paths = (PAGE, FILE, "/team/simple/alpha", "/team/simple/", "/team/", "/team/files/")
    seen = answers(published, FakeReaders(), *((path, SOME) for path in paths))
    assert [each.status for each in seen] == [200, 200, 301, 404, 404, 404]
    unseen = answers(published, FakeReaders(), *((path, OTHER) for path in paths))
    assert {each.status for each in unseen} == {404}
    [nothing] = answers(published, FakeReaders(), ("/team/simple/nothing/", OTHER))
    [hidden] = answers(published, FakeReaders(), (PAGE, OTHER))
    assert hidden.body.replace(b"alpha", b"nothing") == nothing.body


def test_a_public_publication_asks_for_nothing(tmp_path: Path) -> None:
    readers = FakeReaders()
    [answer] = answers(team(tmp_path), readers, (PAGE, None))
    assert (answer.status, readers.asked) == (200, 0)
    assert answer.headers["cache-control"] == "no-cache"


def test_a_grant_is_asked_for_once_in_a_while(published: Published) -> None:
    readers = FakeReaders()
    answers(published, readers, *[(PAGE, ALL)] * 5, *[(FILE, SOME)] * 5)
    assert readers.asked == 2


def test_a_kept_grant_ends_with_its_rule() -> None:
    readers = FakeReaders()
    now = datetime(2026, 12, 1, tzinfo=UTC)
    until = now + timedelta(seconds=1)
    grants = [Grant("all", expires=until), None]
    moments = iter([now, until])
    readers.read_grant = lambda *_: grants.pop(0)  # type: ignore[method-assign]
    private = PrivateContent(readers, lambda: 1, lambda: next(moments))
    served = ServedPublication(1, "team", "team", 1, private=True)

    async def ask() -> list[Grant | None]:
        return [await private.grant(served, "x") for _ in range(3)]

    assert asyncio.run(ask()) == [Grant("all", expires=until)] * 2 + [None]


@pytest.mark.parametrize(
    ("group", "visible"), [("a", True), ("", False), ("\x01a", False), (None, False)]
)
def test_a_page_about_several_names_is_for_readers_of_all(group: str | None, visible: bool) -> None:
    entry = Entry("simple/", "text/html", group, True, Digest.of(b""), 0)
    resource = Resource(ServedContent([entry], MODIFIED))
    assert is_visible(resource, Grant("some", ("*",))) is visible
    assert is_visible(resource, Grant("all"))
    assert is_visible(resource, None)


def test_where_rules_cannot_be_read_the_server_says_so_and_shows_nothing(
    published: Published,
) -> None:
    readers = FakeReaders()
    readers.broken = True
    [answer] = answers(published, readers, (PAGE, ALL))
    assert (answer.status, b"cannot be read now" in answer.body) == (503, True)


def test_the_front_page_does_not_tell_of_them(published: Published) -> None:
    published.mount("open", id=2)
    [front] = answers(published, FakeReaders(), ("/", None))
    assert b"open/" in front.body
    assert b"team" not in front.body
