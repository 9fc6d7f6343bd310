"""Pages for people: what they show, what they escape, and whom they tell of private content."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from msgspec.structs import replace

from reconciler.audit import AuditLog
from reconciler.errors import StateFault
from reconciler.model import Grant
from reconciler.serve import Application, AuditTrail, Catalogue, Reading, TrustedProxies
from reconciler.serve.pages.rendering import size
from tests.serve.team import team
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>javascript:alert(1)"
HERE = "/-/publications/publication-1/"
MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    title: str
    text: str


class FakeBrowser:
    """Every text of it is `text`; its groups are `names`."""

    def __init__(self, text: str = "plain", names: Sequence[str] = ("alpha", "beta")) -> None:
        self.text = text
        self.names = names
        self.broken = False

    def publication(self, name: str) -> Mapping[str, Any] | None:
        if self.broken:
            raise StateFault("the database is away")
        return {
            "name": name,
            "version": 3,
            "publishedAt": MOMENT,
            "counts": [self.text],
            "withheld": 1,
            "noun": ("project", "projects"),
        }

    def instructions(
        self, name: str, base_url: str, *, group: str = "", private: bool = False
    ) -> list[Said]:
        return [Said(self.text, f"{base_url} {self.text} {group} {private}")]

    def groups(
        self, name: str, query: str, *, start: int, limit: int, grant: Grant
    ) -> Mapping[str, Any]:
        names = [each for each in self.names if grant.covers(each)]
        matching = [each for each in names if query in each]
        listed = [
            {"name": each, "units": 2, "withheld": 1, "size": 2048, "changedAt": MOMENT}
            for each in matching[start : start + limit]
        ]
        return {"matching": len(matching), "total": len(names), "groups": listed}

    def group(self, name: str, group: str) -> Mapping[str, Any] | None:
        if group not in self.names:
            return None
        artifacts = [
            {"path": self.text, "sha256": "0" * 64, "size": 10, "at": f"files/{self.text}"},
            {"path": f"{self.text}.metadata", "sha256": "1" * 64, "size": None, "at": ""},
        ]
        unit = {
            "key": self.text,
            "label": self.text,
            "marks": [self.text],
            "facts": {self.text: self.text},
            "withheld": self.text,
            "artifacts": artifacts,
        }
        releases = [{"version": self.text, "units": [unit]}]
        return {"name": group, "notes": [{"marks": [self.text]}], "releases": releases}

    def history(self, name: str) -> list[Mapping[str, Any]]:
        provenance = {"principal": f"{self.text} <ada@example.org>", "commit": self.text}
        version = {"number": 3, "digest": self.text, "createdAt": "2026-11-21T12:00:00Z"}
        return [{**version, "added": 1, "removed": 2, "changed": 3, "provenance": provenance}]

    def difference(self, name: str, a: str, b: str) -> Mapping[str, Any] | None:
        if not (a.isdecimal() and b.isdecimal()):
            return None
        entry = {"group": self.text, "key": self.text, "version": self.text, "reason": self.text}
        return {"added": [entry], "removed": [entry], "changed": [entry], "more": 2}

    def why(self, name: str, subject: str) -> Mapping[str, Any]:
        unit = {"key": self.text, "accepted": False, "reason": self.text, "reconsiderAt": self.text}
        group = {
            "name": self.text,
            "result": self.text,
            "message": self.text,
            "chain": [{"text": f"{self.text}!"}],
            "units": [{**unit, "chain": [{"passed": False, "text": self.text}]}],
        }
        source = {"source": self.text, "result": self.text, "message": self.text, "groups": [group]}
        return {"held": [{"key": self.text, "source": self.text}], "sources": [source]}


class FakeReaders:
    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        if authorization == "one":
            return Grant("one") if publication == "publication-1" else None
        return {"all": Grant("all"), "some": Grant("some", ("al*",))}.get(authorization or "")


class Elements(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @property
    def links(self) -> list[str]:
        return [attributes["href"] or "" for _, attributes in self.elements if "href" in attributes]


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return team(tmp_path)


def get(
    published: Published,
    browser: FakeBrowser,
    *paths: str,
    audit: AuditTrail | None = None,
    **headers: str,
) -> list[AsgiResponse]:
    async def ask() -> list[AsgiResponse]:
        catalogue = Catalogue(published, published, check_every=0)
        reading = Reading(FakeReaders(), browser=browser)
        client = Client(Application(catalogue, reading=reading, audit=audit))
        sent = [("Host", "index.example.org"), *headers.items()]
        answers = []
        for target in paths:
            path, _, query = target.partition("?")
            answers.append(await client.get(path, query=query, headers=sent))
        return answers

    return asyncio.run(ask())


PAGES = (
    "/",
    "/-/",
    HERE,
    f"{HERE}?q=zzz",
    f"{HERE}content/alpha",
    f"{HERE}history",
    f"{HERE}compare?from=1&to=2",
    f"{HERE}why?q=%3Cscript%3E",
    f"{HERE}why",
)


def test_whatever_a_page_shows_is_text_and_nothing_more(published: Published) -> None:
    """Kind: names, versions, reasons and queries of strangers that become markup."""
    browser = FakeBrowser(EVIL, ("alpha", EVIL))
    for answer in get(published, browser, *PAGES, f"{HERE}?q={EVIL}"):
        assert answer.status == 200
        elements = Elements(answer.text).elements
        assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in elements}
        assert not [
            name for _, attributes in elements for name in attributes if name.startswith("on")
        ]
        assert not [link for link in Elements(answer.text).links if link.startswith("javascript")]


def test_a_page_may_load_its_style_sheet_and_nothing_else(published: Published) -> None:
    *pages, style = get(published, FakeBrowser(), *PAGES, "/-/nothing", "/-/style.css")
    for answer in pages:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in policy
        assert 'style="' not in answer.text
        assert "://" not in answer.text.replace("http://index.example.org/team/", "")
    assert style.headers["content-type"].startswith("text/css")
    assert b"url(" not in style.body
    assert b"@import" not in style.body


def test_all_links_lead_to_pages_also_behind_a_prefix(published: Published) -> None:
    """Kind: links that begin with `/`, which a front end under a prefix does not serve."""
    browser = FakeBrowser()
    for path, answer in zip(PAGES, get(published, browser, *PAGES), strict=True):
        links = Elements(answer.text).links
        assert not [link for link in links if link.startswith("/")]
        wanted = [urljoin(path, link) for link in links if not link.startswith("#")]
        ours = [link for link in wanted if link.startswith("/-/") and "sign-in" not in link]
        plain = {link for link in ours if "content/plain" not in link}
        assert {each.status for each in get(published, browser, *plain)} == {200}
        assert any(link == "/-/style.css" for link in ours)


def test_groups_are_searched_and_paged_without_a_script(published: Published) -> None:
    browser = FakeBrowser(names=[f"name-{number:05}" for number in range(20_000)])
    first, last, beyond, searched = get(
        published, browser, HERE, f"{HERE}?page=200", f"{HERE}?page=999999999", f"{HERE}?q=-19999"
    )
    assert "Page 1 of 200" in first.text
    assert "?page=2" in Elements(first.text).links
    assert "name-19999" in last.text
    assert beyond.status == 200
    assert "1 of 20,000 match" in searched.text
    assert len(first.body) < 100_000


def test_a_private_publication_is_as_one_that_does_not_exist(published: Published) -> None:
    public_front, unknown = get(published, FakeBrowser(), "/", "/-/publications/unknown/")
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    front, *about = get(published, FakeBrowser(), "/", *PAGES[2:])
    assert "publication-1" in public_front.text
    assert "publication-1" not in front.text
    for answer in about:
        assert answer.status == 404
        assert answer.body == unknown.body.replace(b"../../../", answer_root(answer))


def answer_root(answer: AsgiResponse) -> bytes:
    """The reference to `/` in a page: before `-/style.css`."""
    return answer.body.partition(b"-/style.css")[0].rpartition(b'"')[2]


def test_readers_sign_in_and_see_what_they_may(published: Published) -> None:
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    [asked] = get(published, FakeBrowser(), "/-/sign-in")
    assert asked.status == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    browser = FakeBrowser()
    entered, listed, page = get(
        published, browser, "/-/sign-in?to=publication-1", "/-/", HERE, Authorization="all"
    )
    assert (entered.status, entered.headers["location"]) == (303, "publications/publication-1/")
    assert "publication-1" in listed.text
    assert page.headers["cache-control"] == "private, no-cache"
    [elsewhere] = get(published, browser, "/-/sign-in?to=//evil", Authorization="all")
    assert elsewhere.headers["location"] == "./"


def test_who_signs_in_hears_of_no_other_publication(published: Published) -> None:
    """Kind: a redirect that tells whether something exists."""
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    other = published.mount("other")
    published.mounted["other"] = replace(other, name="other", private=True)
    paths = (f"/-/sign-in?to={name}" for name in ("publication-1", "other", "unknown"))
    answers = get(published, FakeBrowser(), *paths, Authorization="one")
    assert [answer.headers["location"] for answer in answers] == [
        "publications/publication-1/",
        "./",
        "./",
    ]


@pytest.mark.parametrize(("path", "status"), [("/-/sign-in", 401), ("/-/", 200), (HERE, 404)])
def test_guesses_of_credentials_are_in_the_audit_log(
    path: str, status: int, *, published: Published, tmp_path: Path
) -> None:
    """Kind: a place to try passwords of which no log knows."""
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    log = tmp_path / "audit.jsonl"
    trail = AuditTrail(AuditLog(log), TrustedProxies())
    [answer] = get(published, FakeBrowser(), path, audit=trail, Authorization="guess")
    [line] = map(json.loads, log.read_text().splitlines())
    assert (answer.status, line["status"], line["path"]) == (status, status, path)
    assert (line["event"], line["reason"]) == ("read", "wrong-credentials")
    get(published, FakeBrowser(), path, audit=trail, Authorization="some")
    assert len(log.read_text().splitlines()) == 1


def test_readers_of_some_names_see_those_alone(published: Published) -> None:
    """Kind: a page that tells of more than the index does."""
    published.mounted["team"] = replace(published.mounted["team"], private=True)
    page, alpha, beta, *others = get(
        published,
        FakeBrowser(),
        *(HERE, f"{HERE}content/alpha", f"{HERE}content/beta"),
        *(f"{HERE}history", f"{HERE}compare?from=1&to=2", f"{HERE}why?q=beta"),
        Authorization="some",
    )
    assert "alpha" in page.text
    assert "beta" not in page.text
    assert "Search 1 projects" in page.text
    assert [answer.status for answer in (page, alpha, beta)] == [200, 200, 404]
    assert {answer.status for answer in others} == {404}


def test_history_names_no_machine_and_no_address(published: Published) -> None:
    [answer] = get(published, FakeBrowser("Ada"), f"{HERE}history")
    assert "Ada" in answer.text
    assert "example.org&gt;" not in answer.text


def test_what_is_away_is_told_without_details(published: Published) -> None:
    browser = FakeBrowser()
    browser.broken = True
    [answer] = get(published, browser, HERE)
    assert answer.status == 503
    assert "the database is away" not in answer.text


def test_a_page_is_asked_for_again_with_its_tag(published: Published) -> None:
    [first] = get(published, FakeBrowser(), HERE)
    tag = {"If-None-Match": first.headers["etag"]}
    [again] = get(published, FakeBrowser(), HERE, audit=None, **tag)
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB")])
def test_sizes_are_written_for_people(number: int, text: str) -> None:
    assert size(number) == text
