"""Core metadata that an index declares: help, and no condition.

What pages show of it is decided when a publication is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Digest
from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.faulty import Answer, FaultyServer, body, running, status
from tests.support.mirror import Mirror, call, publication, remote, repository
from tests.support.wheels import Built, build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
WHEEL = build_wheel("app", "1.0")
FILE = f"/f/{WHEEL.filename}"
BESIDE = f"{FILE}.metadata"

# what an index says and does about the core metadata of a wheel, all of them seen in the wild
DECLARED: dict[str, tuple[str, Answer | None]] = {
    "nothing": ("", None),
    "right": (WHEEL.metadata_sha256, body(WHEEL.metadata)),
    "401": (WHEEL.metadata_sha256, status(401)),
    "403": (WHEEL.metadata_sha256, status(403)),
    "404": (WHEEL.metadata_sha256, None),
    "503": (WHEEL.metadata_sha256, status(503)),
    "other bytes": (WHEEL.metadata_sha256, body(b"something else")),
    "a digest of nothing": ("0" * 64, body(WHEEL.metadata)),
    "the wheel's own digest": (WHEEL.sha256, body(WHEEL.content)),
}


class Site:
    def __init__(self, folder: Path, server: FaultyServer) -> None:
        self.server = server
        self.mirror = Mirror(folder)

    def says(self, wheel: Built, declared: str, answer: Answer | None) -> None:
        """The index lists one wheel."""
        entry: dict[str, Any] = {
            "filename": wheel.filename,
            "url": f"/f/{wheel.filename}",
            "hashes": {"sha256": wheel.sha256},
            "size": len(wheel.content),
        }
        if declared:
            entry["core-metadata"] = {"sha256": declared}
        page = {"meta": {"api-version": "1.1"}, "name": "app", "files": [entry], "versions": []}
        self.server.on("/app/", body(json.dumps(page).encode(), headers={"Content-Type": JSON}))
        self.server.on(FILE, body(wheel.content))
        self.server.on(BESIDE, answer or status(404))

    def declare(self, policy: str, more: str = "") -> None:
        self.mirror.declare(
            remote(self.server.url("/"), more=f"retries: 0\npolicy: {policy}"),
            repository(sources=[f"name: up, include: [app]{more}"]),
            publication(),
        )

    def get(self, *paths: str) -> list[AsgiResponse]:
        async def talk() -> list[AsgiResponse]:
            application = assembled(self.mirror.home, Registry())
            try:
                client = Client(application)
                return [await client.get(path, headers=[("Accept", JSON)]) for path in paths]
            finally:
                await live(application, "lifespan.startup", "lifespan.shutdown")

        return asyncio.run(talk())

    def shown(self) -> tuple[str | None, AsgiResponse]:
        """The digest that the page shows of the metadata, and what lies at its URL."""
        [page] = self.get("/team/simple/app/")
        [file] = json.loads(page.body)["files"]
        url = file["url"].replace("../..", "/team")
        [beside] = self.get(f"{url}.metadata")
        return file.get("core-metadata", {}).get("sha256"), beside

    def fetch_wheel(self) -> None:
        """A client asks for the wheel, so that the store has it from now on."""
        [page] = self.get("/team/simple/app/")
        [file] = json.loads(page.body)["files"]
        [answer] = self.get(file["url"].replace("../..", "/team"))
        assert answer.body == WHEEL.content


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(lambda server: None) as server:
        yield Site(tmp_path, server)


def assert_metadata_of_the_wheel(site: Site) -> None:
    digest, beside = site.shown()
    assert digest == WHEEL.metadata_sha256
    assert (beside.status, beside.body) == (200, WHEEL.metadata)


@pytest.mark.parametrize("case", DECLARED)
def test_a_stored_wheel_is_served_with_its_metadata_whatever_was_declared(
    site: Site, case: str
) -> None:
    """Kind: help of an index's that is made a condition of its files."""
    site.says(WHEEL, *DECLARED[case])
    site.declare("immediate", ", dependencies: true")
    site.mirror.applied()
    assert_metadata_of_the_wheel(site)
    assert not site.mirror.pending()


@pytest.mark.parametrize("case", sorted(DECLARED.keys() - {"right"}))
def test_a_wheel_that_comes_later_shows_its_metadata_from_the_next_apply_on(
    site: Site, case: str
) -> None:
    """Pages change with an apply alone: a client that comes in between sees one state of them."""
    site.says(WHEEL, *DECLARED[case])
    site.declare("on-demand")
    out = site.mirror.applied()
    unavailable = case not in ("nothing", "the wheel's own digest")
    assert out.count("declared and not to be had") == unavailable
    version = site.mirror.version()
    before = site.shown()[0]
    site.fetch_wheel()
    assert before is None
    assert site.shown()[0] is None
    assert "hold more to show" in site.mirror.plan().out
    site.mirror.applied()
    assert_metadata_of_the_wheel(site)
    assert site.mirror.version() == version, "what is shown is no part of a version's identity"
    assert not site.mirror.pending()


def test_a_copy_of_a_wheel_without_its_declared_metadata_is_made(site: Site) -> None:
    site.says(WHEEL, *DECLARED["a digest of nothing"])
    site.declare("immediate")
    copied = "apiVersion: reconciler/v1\nkind: Repository\nmetadata: {name: copy}\n"
    copied += "spec: {type: python, sources: [{repository: {name: team}}]}\n"
    shown = publication("copy").replace("path: copy", "path: copied")
    site.mirror.manifest.write_text(
        "---\n".join([site.mirror.manifest.read_text(), copied, shown]), encoding="utf-8"
    )
    site.mirror.applied()
    [page] = site.get("/copied/simple/app/")
    [file] = json.loads(page.body)["files"]
    assert file["core-metadata"] == {"sha256": WHEEL.metadata_sha256}


def test_extracted_metadata_outlives_a_collection_and_is_made_again_when_lost(site: Site) -> None:
    """Kind: bytes that no unit names, and a page shows all the same."""
    site.says(WHEEL, *DECLARED["nothing"])
    site.declare("immediate")
    site.mirror.applied()
    home = ["--home", str(site.mirror.home.root)]
    assert call(["gc", "--grace", "0s", *home]).code == 0
    assert_metadata_of_the_wheel(site)
    stored = site.mirror.home.store().path(Digest.of(WHEEL.metadata))
    assert stored is not None
    stored.chmod(0o644)
    stored.unlink()
    assert call(["verify", *home]).code == 1
    site.mirror.applied()
    assert_metadata_of_the_wheel(site)
    assert call(["verify", *home]).code == 0
    assert not site.mirror.pending()


@pytest.mark.parametrize("damage", [b"", b"no wheel", bytes(len(WHEEL.content)), None])
def test_damaged_bytes_do_not_decide_what_is_shown(site: Site, damage: bytes | None) -> None:
    """Kind: a decision that was made by bytes that nobody had looked at. None: the file is lost."""
    site.says(WHEEL, *DECLARED["nothing"])
    site.declare("on-demand")
    site.mirror.applied()
    site.fetch_wheel()
    stored = site.mirror.home.store().path(Digest.of(WHEEL.content))
    assert stored is not None
    stored.unlink()
    if damage is not None:
        stored.write_bytes(damage)
    site.mirror.apply()
    site.fetch_wheel()
    site.mirror.applied()
    assert_metadata_of_the_wheel(site)
    assert not site.mirror.pending()
