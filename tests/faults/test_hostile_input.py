"""Bad input: refused with place and reason, or kept out with a reason; nothing outside the home is
written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import body
from tests.support.mirror import Mirror, call, export, publication, remote, repository
from tests.support.soundness import check_sound
from tests.support.upstream import JSON, Upstream, upstream


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0")
        yield served


@pytest.mark.parametrize(
    "text",
    [
        remote("https://index.example.org/") + "  speed: 9\n",
        remote("https://index.example.org/", more="retries: many"),
        remote("https://index.example.org/", "../../etc"),
        remote("https://index.example.org/") + "---\n" + remote("https://index.example.org/"),
        remote("https://robot:secret@index.example.org/"),
        repository(),
        remote("https://index.example.org/")
        + "---\n"
        + repository()
        + "---\n"
        + publication(more="version: 1.10"),
        remote("https://index.example.org/")
        + "---\n"
        + repository()
        + "---\n"
        + publication().replace("path: team", "path: ../../etc"),
        "a: &a [x]\nb: [*a, *a]\n" + "c: {",
        "\x00",
    ],
    ids=[
        "unknown key",
        "type",
        "path as name",
        "twice",
        "password in URL",
        "no such remote",
        "float",
        "path",
        "broken",
        "binary",
    ],
)
def test_a_bad_manifest_is_refused_with_its_place_and_nothing_is_done(
    text: str, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, text)
    for done in (call(["validate", str(site.manifest)]), site.plan(), site.apply()):
        assert done.code == 1
        assert "site.yaml:" in done.out + done.err
        assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yaml"]


def test_usage_errors_are_errors(tmp_path: Path) -> None:
    home = ["--home", str(tmp_path / "home")]
    commands = (
        ["plan", str(tmp_path / "nowhere"), *home],
        ["apply", "--frobnicate", *home],
        ["get", "repository", "none", *home],
        ["frobnicate"],
    )
    for words in commands:
        assert call(words).code == 1, words
    assert not (tmp_path / "home").exists()


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\evil-1.0.tar.gz",
    "alpha-1.0.tar.gz\n",
    "alpha-1.0.tar.gz\x00",
    "../alpha-1.0.tar.gz",
    "alpha-1.0/../../../x.tar.gz",
    ".alpha-1.0.tar.gz",
    "alpha-" + "9" * 300 + ".tar.gz",
    "\u202ealpha-1.0.tar.gz",
    "beta-1.0.tar.gz",
    "",
]


def test_hostile_filenames_are_kept_out_with_a_reason(index: Upstream, tmp_path: Path) -> None:
    page = json.loads(index.page("alpha"))
    page["files"] += [
        {"filename": name, "url": "x", "hashes": {"sha256": "0" * 64}} for name in HOSTILE
    ]
    page["files"].append(
        {
            "filename": "alpha-3.0.tar.gz",
            "url": "file:///etc/passwd",
            "hashes": {"sha256": "0" * 64},
        }
    )
    page["files"].append(
        {"filename": "alpha-4.0.tar.gz", "url": "x", "hashes": {"sha256": "../../etc/passwd"}}
    )
    page["files"].append({"filename": "alpha-5.0.tar.gz", "url": "x", "hashes": {}})
    index.on(index.page_path("alpha"), body(json.dumps(page).encode(), content_type=JSON))
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    refused = site.changes("team", "--verbose")["refused"]["entries"]
    assert len(refused) == len(HOSTILE) + 3
    assert all(one["reason"] for one in refused)
    site.applied()
    assert site.filenames() == ["alpha-1.0-py3-none-any.whl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".public.export",
        "home",
        "public",
        "site.yaml",
    ]
    check_sound(site.home, tmp_path / "public")


def test_hostile_project_names_are_no_projects(index: Upstream, tmp_path: Path) -> None:
    names = [
        "alpha",
        "../../etc/passwd",
        "..",
        "",
        "a/b",
        "x" * 5000,
        "na\u0000me",
        "-",
        "\u202egnp",
    ]
    listing = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    index.on("/simple/", body(json.dumps(listing).encode(), content_type=JSON))
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    site.applied()
    assert site.filenames() == ["alpha-1.0-py3-none-any.whl"]
    assert {request.path for request in index.requests} == {
        "/simple/",
        "/simple/alpha/",
        "/files/alpha-1.0-py3-none-any.whl",
    }


@pytest.mark.parametrize("what", ["folder", "file", "foreign link", "dangling link"])
def test_an_export_takes_the_place_of_nothing_that_is_not_its_own(
    what: str, index: Upstream, tmp_path: Path
) -> None:
    place, foreign = tmp_path / "public", tmp_path / "precious"
    foreign.mkdir()
    (foreign / "thing").write_text("kept")
    if what == "folder":
        foreign.rename(place)
    elif what == "file":
        place.write_text("kept")
    else:
        place.symlink_to("precious" if what == "foreign link" else "nowhere")
    before = sorted(str(path) for path in tmp_path.rglob("*")), place.is_symlink()
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))
    done = site.apply()
    assert done.code == 1
    assert "is not an export of reconciler" in done.out
    after = (
        sorted(
            str(path)
            for path in tmp_path.rglob("*")
            if "home" not in path.parts and path != site.manifest
        ),
        place.is_symlink(),
    )
    assert after == before
    assert site.get("publication", "team")["status"]["version"] == 1, "it is served all the same"


def test_an_export_tree_of_another_home_is_not_built_upon(index: Upstream, tmp_path: Path) -> None:
    """A new home counts from 1: trees of the lost home have the same numbers."""
    documents = (remote(index.url), repository(), publication(more=export("../public")))
    first = Mirror(tmp_path / "first", *documents)
    first.applied()
    index.release("alpha", "1.1")
    first.applied()
    index.withdraw("alpha", "1.1")
    index.release("beta", "1.0")
    second = Mirror(tmp_path / "second", *documents)
    second.applied()
    check_sound(second.home, tmp_path / "public")
    index.release("gamma", "1.0")
    second.applied()
    check_sound(second.home, tmp_path / "public")
