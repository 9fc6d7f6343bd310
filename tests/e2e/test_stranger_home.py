"""A state folder that comes with a stranger's checkout is believed by no command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.engine.session.home_origin import is_tracked
from tests.support.mirror import call

MANIFEST = """\
apiVersion: reconciler/v1
kind: Repository
metadata: {name: r}
spec: {type: file, sources: [{upload: {}}]}
"""
HOME = Path(".reconciler")


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True)


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work tree with a manifest, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    Path("m.yaml").write_text(MANIFEST)
    git("add", ".")
    return tmp_path


def state(folder: Path = HOME, file: str = "state.db") -> Path:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(b"of a stranger")
    return folder


def test_a_home_that_git_tracks_is_one_of_a_checkout() -> None:
    """Kind: what a checkout brings is taken for what an installation has made."""
    assert is_tracked(state()) is False, "made here"
    git("add", str(state(file="cache/pages-2/page")))
    assert is_tracked(HOME), "one page is believed, too"
    git("rm", "-rq", "--cached", str(HOME))
    assert is_tracked(HOME) is False


def test_links_and_spellings_are_followed(tmp_path: Path) -> None:
    elsewhere = state(Path("else*where"))
    HOME.symlink_to(elsewhere)
    assert is_tracked(HOME) is False
    git("add", str(elsewhere))
    assert is_tracked(HOME), "by what the link leads to"
    git("rm", "-rq", "--cached", str(elsewhere))
    git("add", str(HOME))
    assert is_tracked(HOME), "by the link"
    git("rm", "-q", "--cached", str(HOME))
    git("add", str(state(Path(".Reconciler"))))
    assert is_tracked(HOME), "a file system may not tell case apart"


def test_a_submodule_is_the_checkout_s_as_well() -> None:
    git("init", "-q", str(HOME))
    state()
    subprocess.run(["git", "add", "."], cwd=HOME, check=True)
    assert is_tracked(HOME)


@pytest.mark.parametrize(
    "words", [["plan", "m.yaml", "--offline"], ["apply", "m.yaml"], ["get", "repository"], ["gc"]]
)
@pytest.mark.parametrize("named", [False, True])
def test_no_command_opens_it(
    words: list[str], monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    git("add", str(state()))
    if named:
        monkeypatch.setenv("RECONCILER_HOME", f"../{Path.cwd().name}/.reconciler")
    done = call(words)
    assert done.code == 1
    assert "is under version control" in done.err
    assert "git rm -r --cached" in done.err
    assert list(HOME.iterdir()) == [HOME / "state.db"]


def test_where_git_does_not_say_ci_names_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".git").rename("no-git")  # an archive of the pull request, or an image without git
    words = ["plan", "m.yaml", "--offline"]
    assert call(["apply", "m.yaml"]).code == 0
    assert call(words).code == 0
    monkeypatch.setenv("CI", "true")
    done = call(words)
    assert done.code == 1
    assert "lies among the manifests while `CI` is set" in done.err
    assert call([*words, "--home", ".reconciler"]).code == 0


def test_a_home_that_an_apply_makes_is_not_committed_by_chance() -> None:
    state(file="cache/pages-2/page-of-a-plan")
    assert call(["apply", "m.yaml"]).code == 0
    git("add", ".")
    assert is_tracked(HOME) is False
    assert call(["plan", "m.yaml"]).code == 0
    assert "git rm" not in call(["plan", "m.yaml", "--home", "."]).err
    git("rm", "-q", "--cached", "m.yaml")
    assert call(["apply", "m.yaml", "--home", "."]).code == 0
    assert not Path(".gitignore").exists(), "the folder is more than a home"
