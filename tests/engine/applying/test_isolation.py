"""Whatever goes wrong in one place stays there: it is named, exit code 1, everything else goes on,
and the next run mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from reconciler.database import Reader, Stage
from reconciler.errors import StateFault
from reconciler.store import LocalStore
from reconciler_python import distribution, importer, publisher
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.soundness import check_sound
from tests.support.upstream import Upstream, upstream

DISTRIBUTION, IMPORTER, PUBLISHER = distribution()[0], importer()[0], publisher()[0]


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "1.1", "1.2", "1.3")
        served.release("beta", "1.0")
        yield served


@pytest.fixture
def site(index: Upstream, tmp_path: Path) -> Mirror:
    small = repository("small", sources=["name: up, include: [beta]"])
    return Mirror(
        tmp_path, remote(index.url), repository(), small, publication(), publication("small")
    )


def failing_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
    """The first call raises, later ones do as ever."""
    whole = getattr(owner, name)
    left = [error]

    def call(*arguments: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return whole(*arguments, **named)

    bound = hasattr(whole, "__self__")  # a class method has its class already
    monkeypatch.setattr(owner, name, staticmethod(call) if bound else call)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (LocalStore, "sync", StateFault("the disk is full")),
        (LocalStore, "sync", OSError(28, "No space left on device")),
        (Stage, "add", OperationalError("INSERT", {}, Exception("the disk is full"))),
        (Stage, "commit", OperationalError("UPDATE", {}, Exception("database is locked"))),
    ],
)
def test_a_repository_that_cannot_be_recorded_fails_alone(
    owner: type,
    name: str,
    error: Exception,
    index: Upstream,
    site: Mirror,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing_once(monkeypatch, owner, name, error)
    done = site.apply()
    assert done.code == 1
    assert str(error).splitlines()[0] in done.out, "the error itself, not a group of errors"
    assert sorted(site.version(name)[0] for name in ("small", "team")) == [0, 1]
    check_sound(site.home)
    site.applied()
    assert [site.version(name)[0] for name in ("small", "team")] == [1, 1]
    assert index.downloads() == dict.fromkeys(index.downloads(), 1)
    assert not site.pending()


def test_a_repository_that_cannot_be_read_fails_alone_and_with_its_reason(
    index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    index.release("alpha", "2.0")
    index.release("beta", "2.0")
    with monkeypatch.context() as patched:
        failing_once(patched, Reader, "current_units", StateFault("the database is away"))
        done = site.apply()
    assert done.code == 1
    assert "error: repository: the database is away" in done.out
    assert sorted(site.version(name)[0] for name in ("small", "team")) == [1, 2]


def test_a_full_disk_is_named_file_by_file(
    index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_once(monkeypatch, LocalStore, "put", StateFault("the disk is full"))
    done = site.apply()
    assert done.code == 1
    assert "the disk is full" in done.out
    check_sound(site.home)
    site.applied()
    assert len(site.filenames()) == 5


@pytest.mark.parametrize("name", ["removal_reason", "select", "summary"])
def test_a_content_type_that_raises_fails_its_group_alone(
    name: str, index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    index.withdraw("alpha", "1.0")
    index.release("beta", "1.1")
    whole = getattr(DISTRIBUTION, name)

    def call(*arguments: Any) -> Any:
        if any("alpha" in str(getattr(argument, "key", argument)) for argument in arguments):
            raise KeyError("no such thing")
        return whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(DISTRIBUTION, name, staticmethod(call))
        done = site.apply()
    assert done.code == 1
    assert "error: remote:up: alpha: " in done.out
    assert "importer `python`" in done.out
    assert "failed: KeyError" in done.out
    assert "beta-1.1-py3-none-any.whl" in site.filenames()
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
    site.applied()
    assert "alpha-1.0-py3-none-any.whl" not in site.filenames()


def test_a_plugin_that_raises_where_a_source_leaves_fails_its_repository_alone(
    index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    index.drop("alpha")
    index.release("beta", "1.1")
    with monkeypatch.context() as patched:
        failing_once(patched, DISTRIBUTION, "removal_reason", ZeroDivisionError("oops"))
        done = site.apply()
    assert done.code == 1
    assert "ZeroDivisionError" in done.out
    assert site.version("small")[0] == 2
    assert site.version()[0] == 1
    site.applied("--allow-destroy")
    assert not site.pending()


def test_a_publisher_that_raises_leaves_the_pointer_where_it_was(
    index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    index.release("alpha", "2.0")
    with monkeypatch.context() as patched:
        failing_once(patched, PUBLISHER, "publish", ZeroDivisionError("oops"))
        done = site.apply()
    assert done.code == 1
    assert "publisher `python` of publication/team failed: ZeroDivisionError: oops" in done.out
    assert site.get("publication", "team")["status"]["version"] == 1
    check_sound(site.home)
    site.applied()
    assert site.get("publication", "team")["status"]["version"] == 2


def test_an_importer_that_raises_removes_nothing(
    index: Upstream, site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.applied()
    index.drop("alpha")
    with monkeypatch.context() as patched:
        patched.setattr(IMPORTER, "declare", lambda self, conduit: iter(()))
        assert site.apply().code == 1
    assert len(site.filenames()) == 5
