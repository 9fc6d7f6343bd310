"""Views: what publishers answer when it is asked for, and what clients may see of it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.model import Grant
from reconciler.serve import (
    Application,
    Catalogue,
    MatchedView,
    Reading,
    UploadAnswer,
    ViewContent,
)
from tests.serve.team import JSON, JSON_PAGE, team
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published

Answering = Callable[[ViewContent, str], UploadAnswer | None]


class FakeViews:
    """`shown/...` reads the path behind it; `simple/alpha/` in JSON is replaced by its serials."""

    def __init__(self) -> None:
        self.calls = 0

    def find(self, path: str, replaces: str = "") -> MatchedView | None:
        if path.startswith("shown/") and not replaces:
            return MatchedView("", path.endswith("?"), self._shown)
        if path == "simple/alpha/" and replaces == JSON:
            return MatchedView(JSON, False, self._serials)
        return None

    def _shown(
        self, content: ViewContent, path: str, query: Mapping[str, Sequence[str]]
    ) -> UploadAnswer | None:
        self.calls += 1
        if path == "shown/broken":
            raise TimeoutError("of its own")
        body = content.read(path.removeprefix("shown/"))
        if body is None:
            return None
        said = f"{content.base_url} {content.serial_of(path.removeprefix('shown/'))} {dict(query)}"
        return UploadAnswer(200, body, "text/plain", {"X-Said": said})

    def _serials(
        self, content: ViewContent, path: str, query: Mapping[str, Sequence[str]]
    ) -> UploadAnswer:
        self.calls += 1
        serials = dict(content.serials("simple/", JSON))
        return UploadAnswer(200, f"{content.serial} {serials}".encode(), JSON, {})


class FakeReaders:
    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        return {"all": Grant("all"), "none": Grant("some", ("other",))}.get(authorization or "")


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return team(tmp_path)


def answers(
    published: Published, views: FakeViews, *requests: tuple[str, dict[str, str]]
) -> list[AsgiResponse]:
    async def ask() -> list[AsgiResponse]:
        catalogue = Catalogue(published, published, check_every=0)
        application = Application(catalogue, reading=Reading(FakeReaders(), {"": views}))
        client = Client(application)
        answers = []
        for target, headers in requests:
            path, _, query = target.partition("?")
            answers.append(
                await client.get(
                    path,
                    query=query,
                    method=headers.pop("method", "GET"),
                    headers=[("Host", "index.example.org"), *headers.items()],
                )
            )
        return answers

    return asyncio.run(ask())


def test_a_view_says_what_is_published_and_where_the_client_sees_it(published: Published) -> None:
    [answer] = answers(published, FakeViews(), ("/team/shown/files/alpha-1.whl?a=b", {}))
    assert answer.status == 200
    assert answer.headers["x-said"] == "http://index.example.org/team/ 1795262400 {}"
    assert answer.headers["vary"] == "Accept-Encoding, Host"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_answer_is_made_once_and_has_an_entity_tag(published: Published) -> None:
    views = FakeViews()
    path = "/team/shown/files/alpha-1.whl"
    first, packed, head = answers(
        published,
        views,
        (path, {}),
        (path, {"Accept-Encoding": "gzip"}),
        (path, {"method": "HEAD"}),
    )
    assert gzip.decompress(packed.body) == first.body
    assert packed.headers["etag"] != first.headers["etag"]
    assert head.body == b""
    assert head.headers["content-length"] == str(len(first.body))
    [again] = answers(published, views, (path, {"If-None-Match": first.headers["etag"]}))
    assert (again.status, again.body) == (304, b"")
    assert views.calls == 2  # once for each server


def test_an_answer_follows_the_publication(published: Published) -> None:
    async def ask() -> tuple[AsgiResponse, AsgiResponse]:
        catalogue = Catalogue(published, published, check_every=0)
        client = Client(Application(catalogue, reading=Reading(views={"": FakeViews()})))
        headers = [("Host", "h")]
        before = await client.get("/team/shown/new", headers=headers)
        served = published.mount("team", number=2)
        published.page(served, "new", b"now")
        return before, await client.get("/team/shown/new", headers=headers)

    before, after = asyncio.run(ask())
    assert (before.status, after.status, after.body) == (404, 200, b"now")


def test_what_is_published_comes_first_but_for_the_representation_that_is_replaced(
    published: Published,
) -> None:
    html, json = answers(
        published,
        FakeViews(),
        ("/team/simple/alpha/", {"Accept": "text/html"}),
        ("/team/simple/alpha/", {"Accept": JSON}),
    )
    assert b"<title>" in html.body
    assert json.body == b"1795262400 {'simple/alpha/': 1795262400}"
    assert "Accept" in json.headers["vary"]


def test_a_view_shows_no_client_what_the_client_may_not_see(published: Published) -> None:
    """Kind: a second way to content that forgets the rule of the first one."""
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    path = "/team/shown/simple/alpha/"
    requests = [
        (path, {}),
        (path, {"Authorization": "all"}),  # kept, and not for the next client
        (path, {"Authorization": "none"}),
        ("/team/simple/alpha/", {"Accept": JSON, "Authorization": "none"}),
        (path, {}),
    ]
    without, all_of_it, some, replaced, again = answers(published, FakeViews(), *requests)
    assert [without.status, again.status] == [401, 401]
    assert all_of_it.status == 200
    assert all_of_it.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in all_of_it.headers["vary"]
    assert some.status == replaced.status == 404
    assert JSON_PAGE not in some.body + replaced.body


def test_a_publisher_that_fails_ends_its_request_alone(published: Published) -> None:
    broken, fine = answers(
        published, FakeViews(), ("/team/shown/broken", {}), ("/team/shown/simple/alpha/", {})
    )
    assert broken.status == 503
    assert fine.status == 200


def test_a_host_that_is_none_gets_into_no_answer(published: Published) -> None:
    [answer] = answers(published, FakeViews(), ("/team/shown/simple/alpha/", {"Host": "a b"}))
    assert answer.status == 400
