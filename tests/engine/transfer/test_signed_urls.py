"""URLs with a query are not stored, and URLs that have run out are looked for in their page again.

Kind of fault: a secret that is not taken for one, and a URL taken for something
that lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.database import ArtifactOrigin
from reconciler.model import Digest, Unit
from tests.support.faulty import body, status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository

ONE = b"one" * 10
LATER = "policy: on-demand"


@pytest.fixture(params=["lines", "records"])
def type(request: pytest.FixtureRequest) -> str:
    """A high-level importer, and a low-level one."""
    name: str = request.param
    return name


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        yield site


def signed(site: Rehearsal, query: str, path: str = "/one") -> Unit:
    """The file under a URL that answers with this signature only."""
    unit = site.file("one", ONE)
    [artifact] = unit.artifacts
    site.server.on(path, status(403))
    site.server.on(f"{path}?{query}", body(ONE))
    url = f"{site.server.url(path)}?{query}"
    return msgspec.structs.replace(unit, artifacts=[msgspec.structs.replace(artifact, url=url)])


def declare(site: Rehearsal, type: str = "lines", more: str = LATER) -> None:
    site.declare(site.remote(type=type, more=more), repository(type=type), publication())


def test_a_query_is_not_stored_and_the_page_says_it_again(site: Rehearsal, type: str) -> None:
    site.says("a", signed(site, "token=swordfish"))
    declare(site, type)
    site.applied()
    [origin] = site.ask(lambda reader: reader.artifact_origins(Digest.of(ONE)))
    assert origin == ArtifactOrigin("up", site.server.url("/one"), True)
    assert site.settled(), "another signature is no other place"
    site.says("a", signed(site, "token=marlin"))
    assert site.settled()
    site.server.on("/one?token=swordfish", status(403))
    [answer] = site.get("/team/a/one")
    assert (answer.status, answer.body) == (200, ONE)
    assert site.downloads() == ["/one?token=marlin"], "the bare URL is not even tried"
    for path in site.home.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"swordfish" not in content, path
            assert b"marlin" not in content, path


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_url_that_ran_out_is_looked_for_again(site: Rehearsal, code: int, type: str) -> None:
    site.says("a", site.file("one", ONE))
    declare(site, type)
    site.applied()
    site.says("a", signed(site, "token=marlin", "/elsewhere"))
    site.server.on("/one", status(code))
    [answer] = site.get("/team/a/one")
    assert (answer.status, answer.body) == (200, ONE)
    assert site.downloads() == ["/elsewhere?token=marlin", "/one"]


def test_where_the_page_says_nothing_new_the_first_answer_stands(site: Rehearsal) -> None:
    site.says("a", site.file("one", ONE))
    declare(site)
    site.applied()
    site.server.on("/one", status(410))
    [answer] = site.get("/team/a/one")
    assert answer.status == 502
    assert "410" in answer.text
    assert site.downloads() == ["/one"]


def test_a_file_that_its_page_names_no_more_is_said_to_be_gone(site: Rehearsal) -> None:
    site.says("a", signed(site, "token=swordfish"))
    declare(site)
    site.applied()
    site.says("a", site.bare("other"))
    [answer] = site.get("/team/a/one")
    assert answer.status == 502
    assert "names" in answer.text


def test_a_server_error_is_no_reason_to_read_the_page_again(site: Rehearsal) -> None:
    site.says("a", site.file("one", ONE))
    declare(site)
    site.applied()
    site.says("a", signed(site, "token=marlin", "/elsewhere"))
    site.server.on("/one", status(500))
    [answer] = site.get("/team/a/one")
    assert answer.status == 503
    assert site.downloads() == ["/one"]


def test_many_files_of_one_page_read_it_once(site: Rehearsal) -> None:
    names = ("one", "two", "three")
    site.says("a", *(site.file(name, name.encode()) for name in names))
    declare(site)
    site.applied()
    for name in names:
        site.server.on(f"/{name}", status(403))
    site.script.asked.clear()
    site.get(*(f"/team/a/{name}" for name in names))
    assert site.script.asked == ["up/a"]


def test_a_copy_asks_the_page_of_its_base(site: Rehearsal) -> None:
    site.says("a", signed(site, "token=swordfish"))
    site.declare(
        site.remote(more=LATER),
        repository(),
        repository("prod", copy()),
        publication("prod", of="prod"),
    )
    site.applied()
    [answer] = site.get("/prod/a/one")
    assert answer.body == ONE


def test_an_apply_looks_again_for_what_ran_out_since_the_plan(site: Rehearsal) -> None:
    """A download that begins an hour after its page was read."""
    unit = site.file("one", ONE)
    moved = signed(site, "token=marlin", "/elsewhere")
    site.server.on("/one", status(403))
    answers = [[unit], [moved]]

    class Groups(dict[str, list[Unit]]):
        def __getitem__(self, name: str) -> list[Unit]:
            return answers.pop(0) if len(answers) > 1 else answers[0]

    site.says("a", unit)
    site.script.upstream("up").groups = Groups(site.script.upstream("up").groups)
    declare(site, more="")
    site.applied()
    assert site.has(ONE)
    assert site.downloads() == ["/elsewhere?token=marlin", "/one"]
