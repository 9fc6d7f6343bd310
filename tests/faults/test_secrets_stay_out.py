"""A secret never shows: not in plans, rows, files, output or errors, whatever goes wrong while it
is used.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import Answer, hang_up, not_http, redirect, status
from tests.support.mirror import Done, Mirror, publication, remote, repository
from tests.support.upstream import Upstream, upstream

SECRET = "correct-horse-battery"
HEADER = "token-of-the-team"
MORE = (
    "retries: 0\nauth: {username: {env: T_USER}, password: {env: T_PASSWORD}}\nheaders: {X-Team:"
    " {env: T_HEADER}}"
)
NAMES = {"T_USER": "robot-user", "T_PASSWORD": SECRET, "T_HEADER": HEADER}


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0")
        yield served


@pytest.fixture
def site(index: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    for name, value in NAMES.items():
        monkeypatch.setenv(name, value)
    return Mirror(tmp_path, remote(index.url, more=MORE), repository(), publication())


def assert_silent(site: Mirror, *runs: Done) -> None:
    basic = base64.b64encode(f"{NAMES['T_USER']}:{SECRET}".encode()).decode()
    for secret in (SECRET, HEADER, NAMES["T_USER"], basic):
        for done in runs:
            assert secret not in done.out + done.err
        for path in site.folder.rglob("*"):
            assert secret not in path.name
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_it_is_used_and_never_shown(index: Upstream, site: Mirror) -> None:
    runs = [
        site.plan(),
        site.plan("--format", "json", "--verbose"),
        site.apply("--format", "json"),
        site.apply(),
    ]
    assert [done.code for done in runs] == [0, 0, 0, 0]
    assert all(
        "authorization" in request.headers and request.headers["x-team"] == HEADER
        for request in index.requests
    )
    assert_silent(site, *runs)


@pytest.mark.parametrize(
    "answer",
    [
        status(401),
        status(403),
        status(500),
        hang_up(),
        not_http(),
        redirect("http://host.invalid/"),
    ],
)
@pytest.mark.parametrize("path", ["/simple/", "/files/alpha-1.0-py3-none-any.whl"])
def test_it_is_not_shown_when_something_fails(
    path: str, answer: Answer, index: Upstream, site: Mirror
) -> None:
    index.on(path, answer)
    runs = [site.plan("--verbose"), site.apply("--verbose"), site.apply("--format", "json")]
    assert runs[-1].code == 1
    assert_silent(site, *runs)


def test_a_changed_secret_shows_as_changed_and_as_nothing_else(
    site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    assert not site.pending()
    monkeypatch.setenv("T_PASSWORD", "another-" + SECRET)
    plan = site.plan("--detailed-exitcode")
    assert plan.code == 2
    assert "~ Remote up" in plan.out
    assert "auth.password: secret changed" in plan.out
    done = site.apply()
    assert not site.pending()
    assert_silent(site, plan, done)


def test_a_secret_that_is_not_there_is_named_by_its_reference(
    site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    monkeypatch.delenv("T_PASSWORD")
    done = site.apply()
    assert done.code == 1
    assert "`T_PASSWORD`" in done.out
    assert site.filenames() == ["alpha-1.0-py3-none-any.whl"]
    assert_silent(site, done)


@pytest.mark.parametrize(
    ("order", "held"), [(("free", "up"), ["alpha-1.0-py3-none-any.whl"]), (("up", "free"), [])]
)
def test_a_remote_without_its_secret_holds_up_no_source_before_it_and_its_names(
    order: tuple[str, str],
    held: list[str],
    index: Upstream,
    site: Mirror,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it could not say may be its own: a source after it takes no new name."""
    monkeypatch.delenv("T_PASSWORD")
    site.declare(
        remote(index.url, more=MORE),
        remote(index.url, "free"),
        repository(sources=[f"name: {name}" for name in order]),
    )
    assert site.apply().code == 1
    assert site.filenames() == held


def test_two_sites_keep_different_fingerprints_of_one_secret(index: Upstream, site: Mirror) -> None:
    site.applied()
    other = Mirror(site.folder / "other", remote(index.url, more=MORE), repository(), publication())
    other.applied()
    keys = {one.home.root.joinpath("key").read_bytes() for one in (site, other)}
    assert [len(key) for key in keys] == [32, 32]
    assert {one.home.root.joinpath("key").stat().st_mode & 0o777 for one in (site, other)} == {
        0o600
    }
