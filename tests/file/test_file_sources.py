"""Several sources of files in one repository: a path belongs to its first source.

The bucket of the path makes no difference.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.mirror import Mirror, call, resource

SOURCES = ("one", "two")


def bring(folder: Path, **files: str) -> None:
    """The folder holds these files, and a manifest of them, and nothing else."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    lines = [
        f"{name},{sha256(text.encode()).hexdigest()},{len(text)}\n" for name, text in files.items()
    ]
    (folder / "PULP_MANIFEST").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(params=["", "PULP_MANIFEST"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Mirror:
    """Two remotes that are read as folders, or by their manifests."""
    remotes = [
        resource("Remote", name, f"type: file\nurl: ./{name}/{request.param}") for name in SOURCES
    ]
    listed = "".join(f"  - remote: {{name: {name}}}\n" for name in SOURCES)
    mirror = Mirror(tmp_path)
    mirror.declare(
        *remotes,
        resource(
            "Repository", "team", f"type: file\nguard: {{maxRemovals: 100%}}\nsources:\n{listed}"
        ),
    )
    return mirror


def holds(site: Mirror) -> dict[str, int]:
    """Sizes by path: the files of these tests differ in them."""
    number, _ = site.version()
    done = call(
        ["diff", "repository/team", "0", str(number), "-o", "json", "--home", str(site.home.root)]
    )
    found = {one["key"]: one["size"] for one in done.document["added"]}
    assert len(found) == len(done.document["added"]), "one file to a path"
    return found


def test_sources_share_buckets_and_lose_nothing(site: Mirror, tmp_path: Path) -> None:
    for name in SOURCES:
        bring(tmp_path / name, **{f"{name}-{number}": name for number in range(300)})
    site.applied()
    assert len(holds(site)) == 600
    assert not site.pending()


def test_a_path_that_both_bring_is_the_first_sources_and_then_the_seconds(
    site: Mirror, tmp_path: Path
) -> None:
    bring(tmp_path / "one", both="1", mine="1")
    bring(tmp_path / "two", both="22", yours="22")
    site.applied()
    assert holds(site) == {"both": 1, "mine": 1, "yours": 2}
    assert "held by remote:one" in site.plan().out
    assert not site.pending()
    bring(tmp_path / "one", mine="1")
    site.applied()
    assert holds(site) == {"both": 2, "mine": 1, "yours": 2}, (
        "it was kept out only as long as the first one held the path"
    )
    bring(tmp_path / "one", both="1", mine="1")
    site.applied()
    assert holds(site)["both"] == 2, "whoever has a path keeps it"
    assert not site.pending()
