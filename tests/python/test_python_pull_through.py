"""A publication that takes what it lacks from an index when a client asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mirror import call, publication, remote, resource
from tests.support.pulling import PullingSite, Upstream, pulling, upstream
from tests.support.wheels import build_wheel

APP, NEWER, OTHER = (
    build_wheel("acme-app", "1.0"),
    build_wheel("acme-app", "2.0"),
    build_wheel("other", "1.0"),
)
PAGE = "simple/acme-app/"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream(APP, OTHER) as index:
        yield index


@pytest.fixture
def site(tmp_path: Path, index: Upstream) -> Iterator[PullingSite]:
    with pulling(tmp_path, index.url) as site:
        yield site


def status(site: PullingSite, path: str = PAGE) -> str:
    answer = site.get(path)
    assert answer.status == 200, answer.text
    return answer.headers["cache-status"]


def test_many_clients_that_wait_cost_one_request_for_a_page_and_for_a_file(
    site: PullingSite, index: Upstream
) -> None:
    assert {answer.status for answer in site.many(PAGE, 20)} == {200}
    assert index.asked == ["/simple/acme-app/"]
    [path] = site.links("acme-app").values()
    assert {answer.body for answer in site.many(path, 20)} == {APP.content}
    assert index.asked == ["/simple/acme-app/", f"/files/{APP.filename}"]
    assert site.get("simple/Acme_App").headers["location"].endswith("/acme-app/")


def test_a_page_is_revalidated_after_its_time_and_shows_what_is_new(
    site: PullingSite, index: Upstream
) -> None:
    assert status(site) == "reconciler; fwd=miss; stored; ttl=600"
    site.later(minutes=9)
    assert status(site) == "reconciler; hit; ttl=60"
    first = site.get(PAGE).headers["etag"]
    site.later(minutes=2)
    assert status(site).startswith("reconciler; fwd=")
    assert (index.unchanged, len(index.asked)) == (1, 2)
    assert site.get(PAGE).headers["etag"] == first
    index.add(NEWER)
    site.later(minutes=11)
    assert list(site.links("acme-app")) == [APP.filename, NEWER.filename]
    site.restart()
    assert site.mirror.filenames() == [APP.filename, NEWER.filename]


def test_an_upstream_that_fails_leaves_what_was_fetched_and_the_header_says_so(
    site: PullingSite, index: Upstream
) -> None:
    status(site)
    index.fails = 500
    site.later(minutes=11)
    assert status(site).startswith('reconciler; hit; ttl=-660; detail="')
    asked = len(index.asked)
    status(site)
    assert len(index.asked) == asked, "not with every request"
    assert site.get("simple/other/").status == 502
    site.later(days=8)
    assert site.get(PAGE).status == 502
    index.fails = 0
    site.later(days=1)
    assert "fwd=" in status(site)


def test_a_published_page_is_not_served_longer_than_a_fetched_one(
    site: PullingSite, index: Upstream
) -> None:
    [path] = site.links("acme-app").values()
    assert site.get(path).status == 200
    site.restart()
    assert site.mirror.filenames() == [APP.filename]
    index.fails = 500
    site.later(days=6)
    assert "detail=" in status(site)
    site.later(days=2)
    assert site.get(PAGE).status == 502
    assert site.get(path).body == APP.content, "its name is its digest"


def test_what_upstream_does_not_have_is_404_and_asked_for_again_after_a_while(
    site: PullingSite, index: Upstream
) -> None:
    index.redirects["/simple/elsewhere/"] = "https://example.org/simple/elsewhere/"
    for name in ("unknown", "elsewhere"):
        index.asked.clear()
        assert [site.get(f"simple/{name}/").status for _ in range(3)] == [404] * 3
        assert index.asked == [f"/simple/{name}/"]
    index.add(build_wheel("unknown", "1.0"))
    site.later(minutes=2)
    assert site.links("unknown")


def test_wrong_bytes_are_neither_sent_whole_nor_stored(site: PullingSite, index: Upstream) -> None:
    wrong = build_wheel("wrong", "1.0")
    index.add(wrong, content=b"x" * len(wrong.content))
    [path] = site.links("wrong").values()
    assert site.get(path).status == 502
    assert not list((site.mirror.home.root / "store").rglob(f"{wrong.sha256}*"))
    invented = path.replace(wrong.sha256, OTHER.sha256)
    assert site.get(invented).status == 404


def test_what_came_in_is_one_version_that_plans_leave_alone(
    site: PullingSite, index: Upstream
) -> None:
    site.links("acme-app")
    site.links("other")
    site.get("simple/unknown/")
    assert site.mirror.version()[0] == 0
    site.restart()
    assert site.mirror.version()[0] == 1
    assert site.mirror.filenames() == [APP.filename, OTHER.filename]
    assert not site.mirror.pending()
    [entry, *_] = call(
        ["history", "repository/team", "-o", "json", f"--home={site.mirror.home.root}"]
    ).document
    assert entry["provenance"]["principal"] == "pull-through"
    index.asked.clear()
    assert status(site) == "reconciler; hit; ttl=600"
    assert not index.asked, "it survives a restart"


def test_rules_decide_and_names_that_they_exclude_are_never_asked_for(
    tmp_path: Path, index: Upstream
) -> None:
    index.add(NEWER)
    with pulling(
        tmp_path, index.url, keys='include: ["acme-app<2", "private-*"], exclude: ["private-*"]'
    ) as site:
        assert list(site.links("acme-app")) == [APP.filename]
        assert site.get("simple/other/").status == 404
        assert site.get("simple/private-thing/").status == 404
    assert index.asked == ["/simple/acme-app/"]


def test_rules_that_change_count_at_once(site: PullingSite, index: Upstream) -> None:
    index.add(NEWER)
    paths = site.links("acme-app")
    assert site.get(paths[NEWER.filename]).status == 200
    site.apply(
        *site.documents,
        resource("Filter", "old", "type: python\nglobal: true\ndeny: ['acme-app>1']"),
    )
    assert list(site.links("acme-app")) == [APP.filename]
    assert site.get(paths[NEWER.filename]).status == 404


def test_offline_asks_for_nothing_and_serves_what_was_fetched(
    site: PullingSite, index: Upstream
) -> None:
    site.links("acme-app")
    site.apply(*site.documents[:2], publication(more="pullThrough: {remote: up, offline: true}"))
    index.asked.clear()
    site.later(days=30)
    assert list(site.links("acme-app")) == [APP.filename]
    assert site.get("simple/other/").status == 404
    assert not index.asked


def test_reserved_names_are_never_asked_for(tmp_path: Path, index: Upstream) -> None:
    with pulling(tmp_path, index.url, sources="sources: [{upload: {names: [acme-*]}}]") as site:
        assert site.get(PAGE).status == 404
        assert site.links("other")
    assert index.asked == ["/simple/other/"]


@pytest.mark.parametrize("committed", [False, True])
def test_an_upload_takes_over_a_name_that_was_only_pulled(
    tmp_path: Path, index: Upstream, committed: bool
) -> None:
    with pulling(tmp_path, index.url, sources="sources: [{upload: {}}]") as site:
        foreign = site.links("acme-app")[APP.filename]
        if committed:
            site.restart()
        mine = tmp_path / NEWER.filename
        mine.write_bytes(NEWER.content)
        done = call(["upload", "team", str(mine), f"--home={site.mirror.home.root}"])
        assert done.code == 0, done.err
        assert list(site.links("acme-app")) == [NEWER.filename]
        assert committed or site.get(foreign).status == 404, "what was published has its grace"
        site.later(minutes=11)
        assert list(site.links("acme-app")) == [NEWER.filename]
        site.restart()
        assert site.mirror.filenames() == [NEWER.filename]
        assert not site.mirror.pending()


def test_a_declared_source_takes_over_a_name_that_was_pulled(
    tmp_path: Path, index: Upstream
) -> None:
    with pulling(tmp_path / "site", index.url) as site, upstream(NEWER, APP) as own:
        site.links("acme-app")
        site.links("other")
        site.restart()
        sources = "sources: [{remote: {name: own, include: [acme-app]}}]"
        repository = resource("Repository", "team", f"type: python\n{sources}")
        pulls = publication(more="pullThrough: {remote: up}")
        site.apply(remote(index.url), remote(own.url, "own"), repository, pulls)
        assert list(site.links("acme-app")) == [APP.filename, NEWER.filename]
        assert site.links("other")
        assert not site.mirror.pending()
        assert site.mirror.filenames() == [APP.filename, NEWER.filename, OTHER.filename]


def test_a_cache_of_a_cache_passes_files_on(tmp_path: Path, index: Upstream) -> None:
    with pulling(tmp_path / "first", index.url) as first, upstream() as between:
        path = first.links("acme-app")[APP.filename]
        between.bodies["/simple/acme-app/"] = first.get(PAGE).body
        between.bodies[f"/{path}"] = first.get(path).body
        with pulling(tmp_path / "second", between.url) as second:
            assert second.get(second.links("acme-app")[APP.filename]).body == APP.content


def test_a_private_publication_asks_for_nobody_but_its_readers(
    tmp_path: Path, index: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_TOKEN", "t0ken-of-the-readers")
    access = "access: {read: [{token: {env: T_TOKEN}, projects: [acme-*]}]}"
    with pulling(tmp_path, index.url, more=access) as site:
        assert site.get(PAGE).status == 401
        mine = [("Authorization", "Bearer t0ken-of-the-readers")]
        assert site.get("simple/other/", headers=mine).status == 404
        assert not index.asked
        assert site.get(PAGE, headers=mine).headers["cache-control"].startswith("private")
