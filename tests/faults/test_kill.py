"""Kill -9 at every named step of an apply: rubbish at worst, never a lie, and the next apply goes
on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine import Checkpoint
from reconciler.model import Digest
from tests.support.driver import killed_at
from tests.support.mirror import Mirror, export, publication, remote, repository
from tests.support.soundness import check_sound, stored_files
from tests.support.upstream import Upstream, upstream

REPOSITORIES = ("team", "twin")
ONCE = (Checkpoint.OUTCOME_RECORDED,)
State = list[object]


def fill(index: Upstream) -> None:
    index.release("alpha", "1.0", "1.1", padding=100)
    index.release("beta", "1.0", padding=100_000)
    index.release("gamma", "2.0", padding=100)


def change(index: Upstream) -> None:
    """A release more, one less, one yanked, a project gone, a project new."""
    index.release("alpha", "1.2", padding=100)
    index.withdraw("alpha", "1.0")
    index.say("alpha", "1.1", yanked="broken")
    index.drop("gamma")
    index.release("delta", "1.0", padding=100)


def a_mirror(folder: Path, index: Upstream) -> Mirror:
    """Two repositories that share a project, each with a publication and an export."""
    twin = repository("twin", sources=["name: up, include: [alpha]"])
    publications = (publication(name, more=export(f"public/{name}")) for name in REPOSITORIES)
    return Mirror(folder, remote(index.url), repository("team"), twin, *publications)


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        fill(served)
        yield served


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[State]:
    """What two applies come to that nobody kills, the second after the change."""
    with upstream() as served:
        fill(served)
        site = a_mirror(tmp_path_factory.mktemp("undisturbed"), served)
        site.applied()
        states = [state(site)]
        change(served)
        site.applied()
        return [*states, state(site)]


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("step", Checkpoint)
def test_a_first_apply_that_dies_is_finished_by_the_next(
    step: Checkpoint, occurrence: int, index: Upstream, undisturbed: list[State], tmp_path: Path
) -> None:
    if occurrence > 1 and step in ONCE:
        pytest.skip("passed once in a run")
    site = a_mirror(tmp_path, index)
    killed_at(step, occurrence, site.words("apply"), log=tmp_path / "log")
    assert_finished(site, index)
    assert state(site) == undisturbed[0]


@pytest.mark.parametrize("step", Checkpoint)
def test_a_later_apply_that_dies_leaves_the_old_or_the_new(
    step: Checkpoint, index: Upstream, undisturbed: list[State], tmp_path: Path
) -> None:
    site = a_mirror(tmp_path, index)
    site.applied()
    change(index)
    killed_at(step, 1, site.words("apply"), log=tmp_path / "log")
    for name in REPOSITORIES:
        assert site.get("publication", name)["status"]["version"] in (1, 2)
    assert_finished(site, index)
    assert state(site) == undisturbed[1]


def assert_finished(site: Mirror, index: Upstream) -> None:
    """Sound as it was left; sound and converged after one more apply, without a second download of
    what was verified.
    """
    exports = [site.folder / "public" / name for name in REPOSITORIES]
    check_sound(site.home, *exports)
    verified = stored_files(site.home)
    site.applied()
    assert not site.pending()
    check_sound(site.home, *exports)
    for filename, times in index.downloads().items():
        assert times == 1 or Digest.of(index.sent(filename)) not in verified, (
            f"{filename} was verified already and downloaded again"
        )
    assert not list((site.home.root / "store" / "incoming").iterdir()), (
        "what the dead process had begun to write is still there"
    )


def state(site: Mirror) -> State:
    """Everything that must come out the same, whatever happened on the way."""
    return [
        (
            site.version(name)[1],
            site.get("publication", name)["status"]["digest"],
            tree(site.folder / "public" / name),
        )
        for name in REPOSITORIES
    ]


def tree(directory: Path) -> dict[str, Digest]:
    root = directory.resolve()
    return {
        str(path.relative_to(root)): Digest.of(path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }
