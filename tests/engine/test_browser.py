"""Documents for people: what is published, and nothing that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.engine.browser import Browser
from reconciler.manifest import read_recorded
from reconciler.model import Digest, Grant
from reconciler.plugin.registry import Registry
from tests.support.faulty import running
from tests.support.mirror import resource
from tests.support.mirrored_index import NEWEST, WHEELS, YANKED, MirroredIndex
from tests.support.wheels import build_wheel

PINNED = resource("Publication", "pinned", "repository: team\npath: pinned\nversion: 1")
ALL = Grant("all")
LATER = build_wheel("dep", "3")


class Site:
    def __init__(self, index: MirroredIndex) -> None:
        self.index = index
        registry = Registry()
        home = index.mirror.home
        self.reader = home.database().reader()
        self.browser = Browser(
            home,
            self.reader,
            registry,
            desired=lambda: read_recorded(self.reader.actual_state(), registry, ()).desired,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Version 2 is published at `/team/`, version 1 at `/pinned/`."""
    with running(lambda _: None) as server:
        index = MirroredIndex(tmp_path_factory.mktemp("browser"), server)
        index.more = (PINNED,)
        index.says("dep", build_wheel("dep", "2"), LATER)
        index.apply()
        yield Site(index)


def found(document: Any) -> Any:
    assert document is not None
    return document


def test_a_publication_is_told_in_the_words_of_its_type(site: Site) -> None:
    document = found(site.browser.publication("team"))
    assert (document["version"], document["path"]) == (2, "team")
    assert document["counts"] == ["8 distributions"]
    assert document["noun"] == ("project", "projects")
    assert site.browser.publication("nothing") is None


def test_groups_say_how_much_they_are_and_when_they_changed(site: Site) -> None:
    document = found(site.browser.groups("team", "", start=0, limit=2, grant=ALL))
    assert (document["total"], document["matching"]) == (3, 3)
    app, dep = document["groups"]
    assert (app["name"], app["units"], app["withheld"]) == ("app", 5, 0)
    assert app["size"] >= sum(len(wheel.content) for wheel in WHEELS.values())
    assert dep["changedAt"] > app["changedAt"]
    [other] = found(site.browser.groups("team", "PROV", start=0, limit=2, grant=ALL))["groups"]
    assert other["name"] == "proven"


def test_groups_of_others_are_neither_told_nor_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a reader of one name who makes the server read all of a publication."""
    read: list[str] = []
    extents = site.reader.group_extents

    def noted(id: int, number: int, names: Sequence[str]) -> Any:
        read.extend(names)
        return extents(id, number, names)

    monkeypatch.setattr(site.reader, "group_extents", noted)
    some = Grant("some", ("d*",))
    document = found(site.browser.groups("team", "", start=0, limit=9, grant=some))
    assert (document["total"], document["matching"]) == (1, 1)
    assert [each["name"] for each in document["groups"]] == read == ["dep"]


def test_a_group_says_of_each_file_where_it_is_and_what_to_know(site: Site) -> None:
    document = found(site.browser.group("team", "app"))
    versions = [release["version"] for release in document["releases"]]
    assert versions == ["2.0rc1", "1.11", "1.10", "1.9"]  # not as texts
    units = {unit["key"]: unit for release in document["releases"] for unit in release["units"]}
    newest, yanked = units[NEWEST], units[YANKED]
    sha256 = WHEELS[NEWEST].sha256
    assert newest["artifacts"][0]["at"] == f"files/app/{sha256}/{NEWEST}"
    assert newest["facts"] == {"Uploaded": "2026-11-02 10:20"}
    assert yanked["marks"] == ["yanked: breaks <b>all</b>"]
    assert site.browser.group("team", "unknown") is None


def test_nothing_is_told_of_versions_that_are_not_published(site: Site) -> None:
    """Kind: a pinned publication whose pages tell what comes next."""
    assert [each["number"] for each in found(site.browser.history("pinned"))] == [1]
    assert [each["number"] for each in found(site.browser.history("team"))] == [2, 1]
    assert site.browser.difference("pinned", "1", "2") is None
    assert LATER.filename not in str(site.browser.group("pinned", "dep"))
    assert LATER.filename in str(site.browser.group("team", "dep"))


@pytest.mark.parametrize("number", ["3", "-1", "latest", "9999999999", "²", ""])
def test_a_version_that_is_none_has_no_difference(number: str, site: Site) -> None:
    assert site.browser.difference("team", "1", number) is None


def test_the_difference_of_two_versions_names_their_files(site: Site) -> None:
    document = found(site.browser.difference("team", "1", "2"))
    assert [entry["key"] for entry in document["added"]] == [LATER.filename]
    assert (document["removed"], document["changed"], document["more"]) == ([], [], 0)


def test_a_large_difference_is_never_in_memory_as_a_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a page that costs as much as all that a publication holds."""
    described: list[Any] = []
    digest_of = Digest.of

    def noted(body: bytes) -> Digest:
        described.append(body)
        return digest_of(body)

    monkeypatch.setattr("reconciler.engine.inspect.Digest", SimpleNamespace(of=noted))
    monkeypatch.setattr("reconciler.engine.browser.MOST_CHANGES", 3)
    document = found(site.browser.difference("team", "0", "2"))
    assert (len(document["added"]), document["more"], len(described)) == (3, 5, 3)


def test_a_reason_is_given_without_asking_upstream(site: Site) -> None:
    """Kind: a client of a page that makes the server ask others."""
    before = len(site.index.server.requests)
    document = found(site.browser.why("team", "app==1.9"))
    assert [unit["key"] for unit in document["held"]] == ["app-1.9-py3-none-any.whl"]
    assert [source["source"] for source in document["sources"]] == ["remote:up", "remote:other"]
    assert "fault" in found(site.browser.why("team", "\x00/../nonsense"))
    assert len(site.index.server.requests) == before


def test_no_reason_tells_of_what_is_not_published(site: Site) -> None:
    document = found(site.browser.why("pinned", "dep==3"))
    assert list(document) == ["fault"]
    assert LATER.filename not in str(document)


def test_clients_are_set_up_by_what_the_publisher_says(site: Site) -> None:
    base = "http://index.example.org/team/"
    texts = [each.text for each in site.browser.instructions("team", base)]
    assert any(f"index-url = {base}simple/" in text for text in texts)
    assert not any("TOKEN" in text for text in texts)
    private = site.browser.instructions("team", base, group="app", private=True)
    assert private[0].text == (
        "pip install --index-url http://__token__:TOKEN@index.example.org/team/simple/ app"
    )


def test_withheld_files_are_shown_with_their_reason_and_without_a_link(site: Site) -> None:
    rules = resource("Filter", "house", "type: python\ndeny: ['app==1.9']")
    publication = "repository: team\npath: later\nfilters: [house]"
    site.index.more = (PINNED, rules, resource("Publication", "later", publication))
    site.index.apply()
    document = found(site.browser.group("later", "app"))
    [unit] = document["releases"][-1]["units"]
    assert "house" in unit["withheld"]
    assert unit["artifacts"][0]["at"] == ""
    assert site.browser.group("later", "dep") is not None
    [app, *_] = found(site.browser.groups("later", "app", start=0, limit=9, grant=ALL))["groups"]
    assert (app["units"], app["withheld"]) == (4, 1)
