"""Artifacts that are not what their plugin says of them, URLs that lead where nobody may go, and
secrets that a plugin would tell.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.service import Service
from reconciler.errors import ReconcilerError
from reconciler.manifest import read_recorded
from reconciler.model import Digest
from reconciler.plugin import Artifact, Group, Unit
from tests.support.faulty import FaultyServer, body, running
from tests.support.hostile import Hostile, assert_contained, begin, plugins, units
from tests.support.soundness import stored_files

TYPE = "bad.thing"
TEXT = b"what upstream has"
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("begun"), pytest.MonkeyPatch())


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running(lambda server: None) as served:
        served.on("/text", body(TEXT))
        yield served


@pytest.fixture
def site(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FaultyServer
) -> Hostile:
    site = Hostile(tmp_path, begun, monkeypatch)
    site.declare(2, url=server.url("/"))
    return site


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def holding(artifact: Artifact) -> dict[str, Any]:
    """An importer whose `alpha` has one unit more, `extra`, with this artifact."""

    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        return (
            units(TYPE, "beta", 2)
            if group.name == "beta"
            else [*units(TYPE, "alpha", 1), Unit(TYPE, "extra", {}, [artifact])]
        )

    return {"read": read}


@pytest.mark.parametrize("size", [None, 0, 2**44])
def test_bytes_that_are_not_what_was_declared_are_not_kept(
    size: int | None, site: Hostile, server: FaultyServer
) -> None:
    done = site.apply(holding(Artifact("x", "0" * 64, size, server.url("/text"))))
    assert_contained(
        site,
        done,
        "repository/bad: failed",
        "remote:bad: alpha: `extra`: ",
        "/text`",
    )
    assert site.held()["beta"] == ["beta-0", "beta-1"]
    assert stored_files(site.home) <= {Digest.of(TEXT)}


@pytest.mark.parametrize("size", [None, 0, 3, 2**44])
def test_a_size_that_lies_keeps_no_right_bytes_out(
    size: int | None, site: Hostile, server: FaultyServer
) -> None:
    """Kind: a declared number taken for the truth. The digest alone decides."""
    done = site.apply(holding(Artifact("x", sha256(TEXT), size, server.url("/text"))))
    assert done.code == 0
    warned = f"`x` (17 bytes instead of {size:,})" if size is not None else ""
    assert warned in done.out
    assert ("warning:" in done.out) == (size is not None)
    assert {(body.key, two.size) for body in site.bodies() for two in body.artifacts} == {
        ("extra", size)
    }, "identity holds what was declared"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "private"
    path.write_bytes(TEXT)
    return path


SCHEMES = [
    "file://{path}",
    "FILE://{path}",
    "file://localhost{path}",
    "data:text/plain,what",
    "ftp://127.0.0.1:9/x",
    "javascript:x",
    "gopher://h/x",
]
RELATIVE = ["{path}", "text", "//"]
"""An artifact's URL is whole: what is relative to a page is the plugin's to join."""


@pytest.mark.parametrize(
    ("scheme", "says"),
    [
        *((scheme, "is no URL that can be asked") for scheme in SCHEMES),
        *((relative, "has a relative URL: ") for relative in RELATIVE),
    ],
)
@pytest.mark.parametrize("digest", [sha256(TEXT), ""], ids=["named", "unnamed"])
def test_a_remote_elsewhere_reads_no_files_and_no_other_schemes(
    digest: str, scheme: str, says: str, site: Hostile, private: Path
) -> None:
    done = site.apply(holding(Artifact("x", digest, url=scheme.format(path=private))))
    assert_contained(site, done, "repository/bad: failed", "remote:bad: alpha: ", says)
    assert site.held()["beta"] == ["beta-0", "beta-1"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_is_no_file_either(scheme: str, site: Hostile, private: Path) -> None:
    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            page = await conduit.get(scheme.format(path=private))
            return [Unit(TYPE, "leak", {"body": page.body.decode()})]
        return units(TYPE, group.name, 2)

    assert_contained(
        site, site.apply({"read": read}), "repository/bad: failed", "remote:bad: alpha: "
    )
    assert "leak" not in str(site.held())


def test_an_artifact_that_is_nowhere_is_named(site: Hostile) -> None:
    assert_contained(
        site,
        site.apply(holding(Artifact("x", sha256(TEXT)))),
        "remote:bad: alpha: `extra`: the bytes of `x` are not in the store",
    )
    assert_contained(site, site.apply(holding(Artifact("x"))), "remote:bad: alpha: ")


def test_what_was_left_upstream_is_not_read_from_this_machine_later(
    site: Hostile, server: FaultyServer, private: Path
) -> None:
    site.declare(2, url=server.url("/"), remote="policy: on-demand")
    overrides = holding(Artifact("x", sha256(TEXT), len(TEXT), url=f"file://{private}"))
    assert site.apply(overrides).code == 0

    async def fetch() -> bytes:
        with plugins(overrides, {}, {}) as registry:
            service = Service(site.home, registry, read_recorded)
            try:
                return b"".join(
                    [block async for block in service.fetch("bad", Digest.of(TEXT), len(TEXT))]
                )
            finally:
                await service.close()

    with pytest.raises(ReconcilerError, match="is no URL that can be asked"):
        asyncio.run(fetch())


# Secrets


def test_credentials_are_for_the_remote_and_not_for_whom_a_plugin_names(
    site: Hostile, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_PASSWORD", SECRET)
    site.declare(
        2, url=server.url("/"), remote="auth: {username: robot, password: {env: T_PASSWORD}}"
    )
    with running(lambda other: None) as other:
        other.on("/text", body(TEXT))
        url = other.url("/text").replace("http://", "http://robot:stolen@")
        assert site.apply(holding(Artifact("x", sha256(TEXT), url=url))).code == 0
        assert [request.path for request in other.requests] == ["/text"]
        assert all("authorization" not in request.headers for request in other.requests)


@pytest.mark.parametrize(
    "form", ["{}", "http://robot:{}@host.invalid/", "a" * 1_990 + "{}", "\x1b[{}\n", "base64"]
)
@pytest.mark.parametrize("method", ["declare", "read", "validate_config", "sync"])
def test_a_secret_in_an_exception_is_concealed(
    method: str, form: str, site: Hostile, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_PASSWORD", SECRET)
    site.declare(
        2, url=server.url("/"), remote="auth: {username: robot, password: {env: T_PASSWORD}}"
    )
    text = (
        base64.b64encode(f"robot:{SECRET}".encode()).decode()
        if form == "base64"
        else form.format(SECRET)
    )

    async def failing(self: Any, *arguments: Any) -> Any:
        raise RuntimeError(text)

    async def declare(self: Any, conduit: Any) -> Any:
        raise RuntimeError(text)
        yield

    def validate_config(self: Any, *arguments: Any) -> None:
        raise RuntimeError(text)

    done = site.apply(
        {method: {"declare": declare, "validate_config": validate_config}.get(method, failing)}
    )
    assert_contained(site, done, "repository/bad: failed", "RuntimeError")
    for secret in (SECRET, SECRET[:8], base64.b64encode(SECRET.encode()).decode()[4:-4]):
        assert secret not in done.out
        for path in site.folder.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
