"""The JSON and integrity APIs, and the list with serials: answered from what is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attested import GITHUB, provenance
from tests.support.faulty import running
from tests.support.mirrored_index import (
    JSON,
    NEWEST,
    PROVEN,
    UPLOADED,
    WHEELS,
    MirroredIndex,
)
from tests.support.wheels import build_wheel

LIST = ("/team/simple/", JSON)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirroredIndex]:
    with running(lambda _: None) as server:
        yield MirroredIndex(tmp_path_factory.mktemp("json-api"), server)


def test_a_project_is_told_as_the_release_that_installers_choose(
    site: MirroredIndex,
) -> None:
    """Not the last one of the page (devpi), nor the greatest text: 1.9 < 1.10 < 1.11, yanked."""
    [answer] = site.get("/team/pypi/app/json")
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.body)
    info = document["info"]
    assert (info["name"], info["version"], info["yanked"]) == ("app", "1.10", False)
    assert info["requires_dist"] == ["dep>=2"]
    assert info["requires_python"] == ">=3.11"
    assert list(document["releases"]) == ["1.9", "1.10", "1.11", "2.0rc1"]
    assert document["urls"] == document["releases"]["1.10"]
    assert document["vulnerabilities"] == []
    assert str(document["last_serial"]) == answer.headers["x-pypi-last-serial"]


def test_a_release_is_told_by_itself_in_any_spelling_of_its_version(site: MirroredIndex) -> None:
    known, spelled, other_name, unknown, nonsense = site.get(
        "/team/pypi/app/1.9/json",
        "/team/pypi/app/v1.9.0/json",
        "/team/pypi/App/1.9/json",
        "/team/pypi/app/3/json",
        "/team/pypi/app/<script>/json",
    )
    document = json.loads(known.body)
    assert document["info"]["version"] == "1.9"
    assert document["info"]["requires_dist"] == ["dep>=1", "x; extra == 'y'"]
    assert [file["filename"] for file in document["urls"]] == ["app-1.9-py3-none-any.whl"]
    assert "releases" not in document
    assert spelled.body == other_name.body == known.body
    assert [unknown.status, nonsense.status] == [404, 404]


def test_a_file_is_told_with_what_tools_read_of_it(site: MirroredIndex) -> None:
    """bandersnatch, poetry and renovate read these."""
    [answer] = site.get("/team/pypi/app/1.10/json")
    wheel, sdist = sorted(json.loads(answer.body)["urls"], key=lambda file: len(file["filename"]))[
        ::-1
    ]
    built = WHEELS[NEWEST]
    path = f"files/app/{built.sha256}/{NEWEST}"
    assert wheel == {
        "comment_text": "",
        "core-metadata": {"sha256": built.metadata_sha256},
        "digests": {"sha256": built.sha256},
        "downloads": -1,
        "filename": NEWEST,
        "has_sig": False,
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "requires_python": None,
        "size": len(built.content),
        "upload_time": "2026-11-02T10:20:30",
        "upload_time_iso_8601": UPLOADED,
        "url": f"http://index.example.org/team/{path}",
        "yanked": False,
        "yanked_reason": None,
    }
    assert (sdist["packagetype"], sdist["python_version"]) == ("sdist", "source")
    [file] = site.get(f"/team/{path}")
    assert file.body == built.content


def test_a_yanked_release_says_so_and_why(site: MirroredIndex) -> None:
    [answer] = site.get("/team/pypi/app/1.11/json")
    document = json.loads(answer.body)
    assert document["info"]["yanked"]
    assert document["info"]["yanked_reason"] == "breaks <b>all</b>"
    assert document["urls"][0]["yanked"]
    assert document["urls"][0]["yanked_reason"] == "breaks <b>all</b>"


def test_provenance_of_a_file_is_served_where_clients_ask_for_it(site: MirroredIndex) -> None:
    there, without, elsewhere = site.get(
        f"/team/integrity/Proven/1/{PROVEN.filename}/provenance",
        f"/team/integrity/app/1.10/{NEWEST}/provenance",
        f"/team/integrity/proven/1.1/{PROVEN.filename}/provenance",
    )
    assert there.body == provenance(PROVEN.sha256, GITHUB)
    assert there.headers["content-type"] == "application/vnd.pypi.integrity.v1+json"
    assert [without.status, elsewhere.status] == [404, 404]


def test_the_list_in_json_has_serials_and_the_others_are_as_they_were(site: MirroredIndex) -> None:
    json_list, html = site.get(LIST, ("/team/simple/", "text/html"))
    document = json.loads(json_list.body)
    serial = document["meta"]["_last-serial"]
    assert document == {
        "meta": {"api-version": "1.4", "_last-serial": serial},
        "projects": [
            {"name": "app", "_last-serial": serial},
            {"name": "dep", "_last-serial": serial},
            {"name": "proven", "_last-serial": serial},
        ],
    }
    assert b'<a href="app/">' in html.body


def test_a_mirror_of_us_asks_for_what_changed_alone(site: MirroredIndex, tmp_path: Path) -> None:
    """Serials only grow, and stand still where nothing changed (bandersnatch reads them so)."""
    [before] = site.get(LIST)
    site.says("dep", build_wheel("dep", "2"), build_wheel("dep", "3"))
    site.apply()
    after, project, other = site.get(LIST, "/team/pypi/dep/json", "/team/pypi/app/json")
    was, now = (
        {each["name"]: each["_last-serial"] for each in json.loads(answer.body)["projects"]}
        for answer in (before, after)
    )
    assert now["app"] == was["app"]
    assert now["dep"] > was["dep"]
    assert project.headers["x-pypi-last-serial"] == str(now["dep"])
    assert other.headers["x-pypi-last-serial"] == str(now["app"])
    assert json.loads(project.body)["info"]["version"] == "3"
