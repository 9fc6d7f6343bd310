"""Upstream that lies or stumbles: a failure is an error of what failed, never an absence, and the
next run asks for what is missing only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty import (
    Answer,
    body,
    broken_chunks,
    closed_port,
    corrupted,
    dripping,
    hang_up,
    huge,
    not_http,
    redirect,
    status,
    truncated,
)
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.soundness import check_sound
from tests.support.upstream import JSON, Upstream, upstream

WHEEL = "alpha-1.1-py3-none-any.whl"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", padding=50)
        served.release("beta", "1.0", "1.1", padding=50)
        yield served


@pytest.fixture
def site(index: Upstream, tmp_path: Path) -> Mirror:
    """Applied once, everything there."""
    mirror = Mirror(
        tmp_path,
        remote(index.url, more="retries: 0\ntimeouts: {read: 1s}"),
        repository(),
        publication(),
    )
    mirror.applied()
    index.forget()
    return mirror


PAGES: dict[str, Answer] = {
    "503": status(503),
    "403": status(403),
    "500": status(500),
    "truncated": truncated(b"{" * 1000),
    "broken off": broken_chunks(b'{"files": ['),
    "broken JSON": body(b'{"files": [', content_type=JSON),
    "JSON of another kind": body(b"[]", content_type=JSON),
    "wrong content type": body(b"<h1>Sign in</h1>", content_type="application/pdf"),
    "a file without a name": body(b'{"files": [{"url": "x", "hashes": {}}]}', content_type=JSON),
    "another API": body(b'{"meta": {"api-version": "2.0"}, "files": []}', content_type=JSON),
    "redirect loop": redirect("/simple/alpha/"),
    "redirect to nowhere": redirect(f"http://127.0.0.1:{closed_port()}/"),
    "hang-up": hang_up(),
    "not HTTP": not_http(),
    "too large": huge(300 * 1024 * 1024, declared=True),
    "silence": dripping(10, 2.0),
    "gzip that is none": body(b"plain", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("answer", PAGES.values(), ids=PAGES)
def test_a_page_that_fails_leaves_its_project_as_it_was(
    answer: Answer, index: Upstream, site: Mirror
) -> None:
    index.release("alpha", "1.1")
    index.release("beta", "1.2")
    index.withdraw("beta", "1.0")
    index.on(index.page_path("alpha"), answer)
    done = site.apply()
    assert done.code == 1
    assert "remote:up: alpha: " in done.out
    assert site.filenames() == [
        f"{name}-py3-none-any.whl" for name in ("alpha-1.0", "beta-1.1", "beta-1.2")
    ]
    index.restore()
    site.applied()
    assert WHEEL in site.filenames()
    assert not site.pending()
    assert index.downloads() == {WHEEL: 1, "beta-1.2-py3-none-any.whl": 1}


def test_a_failing_page_is_named_in_a_plan_too(index: Upstream, site: Mirror) -> None:
    index.on(index.page_path("alpha"), status(503))
    plan = site.plan()
    assert plan.code == 1
    assert "error: remote:up: alpha: " in plan.out
    assert [change["group"] for change in site.changes()["failures"]] == ["alpha"]
    assert site.changes()["removed"] == []


FILES: dict[str, Callable[[bytes], Answer]] = {
    "503": lambda data: status(503),
    "404": lambda data: status(404),
    "truncated": truncated,
    "corrupted": corrupted,
    "longer": lambda data: body(data + b"x"),
    "shorter": lambda data: body(data[:-1]),
    "empty": lambda data: body(b""),
    "sign-in page": lambda data: body(b"<h1>Sign in</h1>", content_type="text/html"),
    "hang-up": lambda data: hang_up(),
    "redirect loop": lambda data: redirect(f"/files/{WHEEL}"),
}


@pytest.mark.parametrize("spoil", FILES.values(), ids=FILES)
def test_a_file_that_fails_is_named_and_absent_and_asked_for_again(
    spoil: Callable[[bytes], Answer], index: Upstream, site: Mirror
) -> None:
    index.release("alpha", "1.1", "1.2", padding=50)
    index.withdraw("alpha", "1.0")
    index.on(index.file_path(WHEEL), spoil(index.sent(WHEEL)))
    done = site.apply()
    assert done.code == 1
    assert f"remote:up: alpha: `{WHEEL}`: " in done.out
    assert [name for name in site.filenames() if name.startswith("alpha")] == [
        "alpha-1.0-py3-none-any.whl",
        "alpha-1.2-py3-none-any.whl",
    ]
    check_sound(site.home)
    index.restore()
    index.forget()
    site.applied()
    assert [name for name in site.filenames() if name.startswith("alpha")] == [
        WHEEL,
        "alpha-1.2-py3-none-any.whl",
    ]
    assert index.downloads() == {WHEEL: 1}
    assert not site.pending()


def test_a_changed_unit_whose_file_fails_stays_as_it_was(index: Upstream, site: Mirror) -> None:
    site.declare(
        remote(index.url), repository(sources=["name: up, substitution: allow"]), publication()
    )
    site.applied()
    before = site.version()
    index.replace("alpha", "1.0")
    index.on(index.file_path("alpha-1.0-py3-none-any.whl"), status(500))
    assert site.apply().code == 1
    assert site.version() == before
    index.restore()
    site.applied()
    assert site.version()[0] == before[0] + 1


@pytest.mark.parametrize(
    "answer",
    [status(503), body(b"{", content_type=JSON), redirect("/simple/"), status(404)],
    ids=["503", "JSON", "loop", "404"],
)
def test_a_listing_that_fails_removes_nothing(
    answer: Answer, index: Upstream, site: Mirror
) -> None:
    before = site.version()
    index.release("gamma", "1.0")
    index.drop("alpha")
    index.on("/simple/", answer)
    done = site.apply("--allow-destroy")
    assert done.code == 1
    assert "remote:up: " in done.out
    assert site.version() == before
    index.release("gamma", "1.1")
    site.applied()
    assert not any(name.startswith("alpha") for name in site.filenames())


def test_a_host_that_vanished_removes_nothing(index: Upstream, site: Mirror) -> None:
    before = site.version()
    for url in (f"http://127.0.0.1:{closed_port()}/simple/", "http://host.invalid/simple/"):
        site.declare(remote(url), repository(), publication())
        assert site.apply().code == 1
        assert site.version() == before


def test_what_stumbles_once_is_tried_again(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url, more="retries: 2"), repository(), publication())
    wheel = "alpha-1.0-py3-none-any.whl"
    index.on(index.page_path("alpha"), status(503), body(index.page("alpha"), content_type=JSON))
    index.on(index.file_path(wheel), truncated(index.sent(wheel)), body(index.sent(wheel)))
    site.applied()
    assert wheel in site.filenames()
    assert index.downloads()[wheel] == 2


@pytest.mark.parametrize(("mode", "stays"), [("mirror", False), ("additive", True)])
@pytest.mark.parametrize("code", [404, 410])
def test_a_project_that_is_gone_leaves_a_mirror_with_that_reason(
    code: int, mode: str, stays: bool, index: Upstream, tmp_path: Path
) -> None:
    sources = ["name: up, include: [alpha, beta]"]
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(sources=sources, more=f"sync: {{mode: {mode}}}"),
        publication(),
    )
    site.applied()
    index.on(index.page_path("alpha"), status(code))
    removed = site.changes("team", "--allow-destroy")["removed"]
    assert [str(code) in change["reason"] for change in removed] == ([] if stays else [True])
    assert site.apply().code == (0 if stays else 1), "what the manifest names leaves by approval"
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
    site.applied("--allow-destroy")
    assert ("alpha-1.0-py3-none-any.whl" in site.filenames()) is stays
    assert not site.pending(), "that it is gone is no news any more"
    index.forget()
    index.restore()
    site.applied()
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
    assert index.downloads() == {}, "it was verified before"


def test_a_project_that_never_was_there_is_a_warning(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(sources=["name: up, include: [alhpa, beta]"]),
        publication(),
    )
    done = site.apply()
    assert done.code == 0
    line = 1 + next(
        number
        for number, text in enumerate(site.manifest.read_text(encoding="utf-8").splitlines())
        if "alhpa" in text
    )
    [hint] = [text for text in done.out.splitlines() if "is the name right?" in text]
    assert hint.endswith(f"{site.manifest.name}:{line})")
    assert len(site.filenames()) == 2


def test_an_unreachable_repository_does_not_hold_up_another(
    index: Upstream, tmp_path: Path
) -> None:
    away = remote(f"http://127.0.0.1:{closed_port()}/", "away")
    site = Mirror(
        tmp_path,
        remote(index.url),
        away,
        repository(),
        repository("other", sources=["name: away"]),
        publication(),
        publication("other"),
    )
    assert site.apply().code == 1
    assert site.version()[0] == 1
    assert site.version("other")[0] == 0
    assert site.get("publication", "team")["status"]["version"] == 1
    assert site.get("repository", "other")["status"]["conditions"][0]["status"] == "False"


def test_a_name_on_the_list_without_a_page_is_no_failure(index: Upstream, tmp_path: Path) -> None:
    """Whoever mirrors everything did not ask for it by name."""
    index.on(index.page_path("alpha"), status(404))
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    assert [name for name in site.filenames() if name.startswith("alpha")] == []
    assert not site.pending()


def test_a_page_that_made_no_sense_is_not_believed_again(index: Upstream, tmp_path: Path) -> None:
    """Upstream may confirm its broken page with 304 for ever; what could not be read is asked for
    whole.
    """
    etag = {"ETag": '"the-same-for-ever"'}
    index.on(index.page_path("alpha"), body(b'{"files": [', content_type=JSON, headers=etag))
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(sources=["name: up, include: [alpha]"]),
        publication(),
    )
    assert site.apply().code == 1
    index.forget()
    site.apply()
    [again] = [request for request in index.requests if request.path == index.page_path("alpha")]
    assert "If-None-Match" not in again.headers
