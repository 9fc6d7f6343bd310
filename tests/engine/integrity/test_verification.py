"""`verify` reads everything, `repair` mends, both within the scope that was asked for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.verify import hints
from reconciler.engine.integrity.repair import RepairResult
from reconciler.engine.integrity.verification import Verification
from reconciler.errors import UsageFault
from reconciler.manifest import read_recorded
from reconciler.model import Digest, Kind, Ref
from reconciler.plugin import PublishConduit
from tests.engine.integrity.test_damage import ONE, TWO, cut, flip, hurt
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository

TEAM, OTHER = Ref(Kind.REPOSITORY, "team"), Ref(Kind.REPOSITORY, "other")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        site.declare(site.remote(), repository(), publication(), repository("other", "upload: {}"))
        site.applied()
        site.upload("mine", b"mine", to="other")
        yield site


def verified(site: Rehearsal, scope: Ref | None = None) -> Verification:
    async def run() -> Verification:
        async with site.engine() as engine:
            return await engine.verify(scope)

    return asyncio.run(run())


def repaired(site: Rehearsal, scope: Ref | None = None) -> RepairResult:
    async def run() -> RepairResult:
        async with site.engine(writes=True) as engine:
            result = await engine.repair(
                scope, lambda actual: read_recorded(actual, site.registry, ()).desired
            )
            return result[1]

    return asyncio.run(run())


def found(result: Verification) -> dict[Digest, str]:
    return {file.digest: file.problem for file in result.damaged_files}


def corrupt_pages(site: Rehearsal, statement: str) -> None:
    with sqlite3.connect(site.home.root / "state.db") as connection:
        connection.execute(statement)
    connection.close()


def test_a_sound_home_is_read_whole(site: Rehearsal) -> None:
    result = verified(site)
    assert result.sound
    assert (result.files, result.size, result.pages) == (3, len(ONE + TWO + b"mine"), 1)


def test_every_damage_is_found_with_its_uses_and_recorded(site: Rehearsal) -> None:
    hurt(site, flip)
    hurt(site, cut, TWO)
    hurt(site, Path.unlink, b"mine")
    result = verified(site)
    assert found(result) == {
        Digest.of(ONE): "changed",
        Digest.of(TWO): "truncated or lengthened",
        Digest.of(b"mine"): "missing",
    }
    in_order = [use.path for file in result.damaged_files for use in file.uses]
    assert in_order == ["mine", "one", "two"], "by repository and path"
    uses = {use.path: use for file in result.damaged_files for use in file.uses}
    assert {path: (use.repository, use.source) for path, use in uses.items()} == {
        "one": ("team", "remote:up"),
        "two": ("team", "remote:up"),
        "mine": ("other", "upload"),
    }
    assert found(verified(site)) == found(result), "it stays damaged until it is mended"
    assert site.plan().damaged == 3


def test_a_hint_promises_nothing_that_cannot_be_had(site: Rehearsal) -> None:
    """Kind: advice that does not fit what was found. No source has what was uploaded."""
    site.declare(
        site.remote(),
        repository(),
        publication(),
        repository("other", "upload: {}"),
        repository("copy", copy("other")),
    )
    site.applied()
    hurt(site, flip, b"mine")
    [upload] = hints(verified(site))
    assert hints(verified(site, Ref(Kind.REPOSITORY, "copy"))) == [upload], (
        "it has it from the upload"
    )
    assert upload == "no source has a file that was uploaded: upload it again"
    hurt(site, flip, ONE)
    [fetched, again] = hints(verified(site))
    assert "fetches damaged files again" in fetched
    assert again == upload


def test_a_scope_is_one_repository_or_publication(site: Rehearsal) -> None:
    hurt(site, flip)
    assert verified(site, OTHER).sound
    assert found(verified(site, TEAM)) == {Digest.of(ONE): "changed"}
    assert found(verified(site, TEAM)) == {Digest.of(ONE): "changed"}, "set aside by now"
    assert verified(site, OTHER).sound
    with pytest.raises(UsageFault, match="there is no publication `none`"):
        verified(site, Ref(Kind.PUBLICATION, "none"))
    with pytest.raises(UsageFault, match="holds no files"):
        verified(site, Ref(Kind.REMOTE, "up"))


def test_a_publication_is_verified_as_it_is_served(site: Rehearsal) -> None:
    hurt(site, flip)
    assert found(verified(site, Ref(Kind.PUBLICATION, "team"))) == {Digest.of(ONE): "changed"}


def test_repair_mends_what_it_can_and_names_the_rest(site: Rehearsal) -> None:
    for data in (ONE, TWO, b"mine"):
        hurt(site, flip, data)
    site.server.on("/two", status(404))
    result = repaired(site)
    assert result.mended == {"team": ["one"]}
    assert {name: set(lost) for name, lost in result.lost.items()} == {
        "team": {"two"},
        "other": {"mine"},
    }
    assert "404" in result.lost["team"]["two"]
    assert "upload it again" in result.lost["other"]["mine"]
    assert not result.complete
    assert site.number() == 1, "no version is made"


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM page", "UPDATE page SET gzip = x'00'", "UPDATE page SET gzip = zeroblob(20)"],
)
def test_damaged_pages_are_found_and_rendered_anew(site: Rehearsal, statement: str) -> None:
    [before] = site.get("/team/index/")
    corrupt_pages(site, statement)
    assert site.get("/team/index/")[0].status in (200, 503)
    [page] = verified(site).damaged_pages
    assert (page.publication, page.path) == ("team", "index/")
    assert repaired(site).rendered == ["team"]
    assert site.get("/team/index/")[0].body == before.body
    assert verified(site).sound
    assert site.settled()


def test_a_damaged_page_that_lingers_is_found_and_no_longer_shown(site: Rehearsal) -> None:
    """Nothing can render it anew: its version is gone."""
    old = "old/a list"

    def publish(conduit: PublishConduit) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        with conduit.whole_repository() as output:
            path = old if conduit.version.number == 1 else "index"
            output.page(path, path.encode(), "text/plain", linger="1d")

    site.server_keeps_time = True
    site.script.on_publish = publish
    site.declare(site.remote(), repository(), publication(more="dated: [one]"))
    site.applied(prune=True)
    site.says("a", site.file("one"))
    site.applied()
    assert site.get(f"/team/{old}")[0].text == old
    corrupt_pages(site, "UPDATE page SET gzip = x'00'")
    assert {page.path for page in verified(site).damaged_pages} == {old, "index"}
    assert repaired(site).rendered == ["team"]
    assert [answer.status for answer in site.get(f"/team/{old}", "/team/index")] == [404, 200]
    assert verified(site).sound


def test_a_damage_that_cannot_be_recorded_is_told_all_the_same(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt(site, flip)

    def refuse(*arguments: Any, **more: Any) -> None:
        raise UsageFault("read-only")

    monkeypatch.setattr("reconciler.engine.engine.record_damage", refuse)
    assert not verified(site).sound
