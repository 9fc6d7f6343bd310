"""Names that no tree could hold are refused one by one, by every source; all else goes on."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.mirror import Mirror, call, export, resource

LONG = "l" * 300


def listing(folder: Path, *names: str) -> None:
    """Have an upstream list files of one byte that all are `x`."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if len(name) <= 240 and not any(other.startswith(f"{name}/") for other in names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
    lines = (f"{name},{sha256(b'x').hexdigest()},1\n" for name in names)
    (folder / "PULP_MANIFEST").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Mirror:
    return Mirror(
        tmp_path,
        resource("Remote", "up", "type: file\nurl: ./up/PULP_MANIFEST\nretries: 0"),
        resource(
            "Repository",
            "team",
            "type: file\nguard: {maxRemovals: 100%}\nsources: [{upload: {}}, {remote: {name: up}}]",
        ),
        resource("Publication", "team", "repository: team\npath: team\n" + export("out")),
        resource(
            "Repository",
            "copy",
            "type: file\nsources: [{upload: {}}, {repository: {name: team}}]",
        ),
        resource("Publication", "copy", "repository: copy\npath: copy\n" + export("copied")),
    )


def shown(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != "PULP_MANIFEST"
    }


def upload(site: Mirror, name: str, to: str = "team") -> str:
    """Upload a file under a path; return what was printed if it was refused."""
    path = site.folder / "sent" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sent")
    done = call(["upload", to, str(path), "--home", str(site.home.root)])
    return done.err if done.code else ""


def test_a_source_that_lists_bad_names_brings_all_the_others(site: Mirror, tmp_path: Path) -> None:
    listing(tmp_path / "up", "a/b", "a", LONG, f"d/{LONG}/e", "readme", "README", "c")
    text = site.plan("--verbose").out
    assert "a name of 300 bytes in its path: at most 240 fit every file system" in text
    assert "cannot lie beside `a`" in text
    assert "differs from `README` only by case" in text
    site.applied()
    assert shown(tmp_path / "out") == shown(tmp_path / "copied") == {"a", "README", "c"}
    assert not site.pending()
    listing(tmp_path / "up", "a/b", "readme", "c", "e")
    site.applied()
    assert shown(tmp_path / "out") == shown(tmp_path / "copied") == {"a/b", "readme", "c", "e"}, (
        "what was in the way has left"
    )
    assert not site.pending()


def test_what_is_held_already_stays_whatever_comes(site: Mirror, tmp_path: Path) -> None:
    listing(tmp_path / "up", "c")
    site.applied()
    assert not upload(site, "z")
    assert not upload(site, "z", to="copy"), "identical"
    listing(tmp_path / "up", "c", "z/deep", "C/under", "y")
    site.applied()
    assert shown(tmp_path / "out") == {"c", "z", "y"}
    assert shown(tmp_path / "copied") == {"c", "z", "y"}
    assert not site.pending()


@pytest.mark.parametrize("name", ["C", "x" * 250])
def test_an_upload_is_refused_alone(site: Mirror, tmp_path: Path, name: str) -> None:
    listing(tmp_path / "up", "c", "d/e")
    site.applied()
    assert "refused" in (said := upload(site, name)) or "differs from `c`" in said
    assert not upload(site, "fine")
    assert shown(tmp_path / "out") == {"c", "d/e", "fine"}


def test_an_upload_cannot_be_a_folder_of_what_is_held(site: Mirror, tmp_path: Path) -> None:
    listing(tmp_path / "up", "c", "d/e")
    site.applied()
    assert "`d` cannot lie beside `d/e`: one name would be a file and a folder" in upload(site, "d")
    assert not site.pending()


def test_without_an_export_case_tells_names_apart(site: Mirror, tmp_path: Path) -> None:
    text = site.manifest.read_text(encoding="utf-8")
    site.declare(
        text.replace(export("out").replace("\n", "\n  "), "").replace(
            export("copied").replace("\n", "\n  "), ""
        )
    )
    listing(tmp_path / "up", "readme", "README")
    site.applied()
    assert site.filenames() == ["README", "readme"]
