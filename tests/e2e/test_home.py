"""The folder of the state, in every way that it can be wrong: a message each, never a traceback."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.engine.session import home_folder
from tests.support.mirror import Done, call

MANIFEST = """\
apiVersion: reconciler/v1
kind: Repository
metadata: {name: r}
spec: {type: file, sources: [{upload: {}}]}
"""
READING = (
    ["get", "repository"],
    ["describe", "repository/r"],
    ["history", "repository/r"],
    ["diff", "repository/r", "0", "0"],
    ["explain", "repository/r", "x", "m.yaml"],
    ["serve", "--port", "0"],
    ["upload", "r", "m.yaml"],
    ["remove", "r", "x"],
    ["verify"],
    ["repair"],
    ["fetch", "r"],
    ["gc"],
)
PLANNING = (["plan", "m.yaml"], ["plan", "--offline", "m.yaml"])
WRITING = (["apply", "m.yaml"],)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(MANIFEST)
    return tmp_path


def named(words: list[str], home: str) -> Done:
    done = call([*words, "--home", home])
    assert "Traceback" not in done.err
    return done


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
@pytest.mark.parametrize("home", ["missing", "empty"])
def test_what_reads_a_state_needs_one(words: list[str], home: str) -> None:
    """Kind: a mistyped home reads as an empty one."""
    Path("empty").mkdir()
    done = named(words, home)
    assert done.code == 1
    assert done.err.startswith(f"error: the home `{home}` ")
    assert "`--home`" in done.err
    assert not Path("missing").exists()
    assert list(Path("empty").iterdir()) == []


@pytest.mark.parametrize("words", PLANNING)
def test_a_plan_against_nothing_says_so_and_makes_nothing(words: list[str]) -> None:
    done = named(words, "missing")
    assert done.code == 0
    assert "new state at missing\n" in done.err
    assert not Path("missing").exists()


def test_an_apply_makes_a_home() -> None:
    assert named(["apply", "m.yaml"], "missing/below").code == 0
    assert named(["get", "repository"], "missing/below").code == 0
    assert "new state" not in named(["plan", "m.yaml"], "missing/below").err


def a_file() -> None:
    Path("home").touch()


def below_a_file() -> None:
    Path("file").touch()
    Path("home").symlink_to("file/below")


def dangling() -> None:
    Path("home").symlink_to("nowhere")


def no_bytes() -> None:
    Path("home").mkdir()
    Path("home", "state.db").touch()


def no_database() -> None:
    Path("home").mkdir()
    Path("home", "state.db").write_text("this is something else, and longer than a header " * 9)


def newer() -> None:
    assert call(["apply", "m.yaml", "--home", "home"]).code == 0
    database = sqlite3.connect("home/state.db")
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()


def older() -> None:
    newer()
    database = sqlite3.connect("home/state.db")
    database.execute("UPDATE alembic_version SET version_num = '0001'")
    database.commit()
    database.close()


WRONG: dict[Callable[[], None], str] = {
    a_file: "is a file, and no folder",
    below_a_file: "is a link that leads nowhere",
    dangling: "is a link that leads nowhere",
    no_bytes: "is a file of 0 bytes",
    no_database: "is not a database",
    newer: "newer than this release",
}


@pytest.mark.parametrize("words", [*READING, *PLANNING, *WRITING], ids=lambda words: words[0])
@pytest.mark.parametrize("make", list(WRONG), ids=lambda make: make.__name__)
def test_a_wrong_home_is_one_message_with_a_hint(
    words: list[str], make: Callable[[], None]
) -> None:
    make()
    done = named(words, "home")
    assert done.code == 1
    assert WRONG[make] in done.err
    assert "  hint: " in done.err
    assert "new state" not in done.err


def test_an_older_schema_is_migrated_by_apply_alone() -> None:
    older()
    for words in (READING[0], PLANNING[0]):
        done = named(words, "home")
        assert done.code == 1
        assert "`reconciler apply` migrates it" in done.err


def test_home_and_variables_are_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "me"))
    monkeypatch.setenv("SITE", "a")
    assert named(["apply", "m.yaml"], "~/state-$SITE").code == 0
    assert Path("me", "state-a", "state.db").exists()
    monkeypatch.setenv("RECONCILER_HOME", "$HOME/state-${SITE}")
    assert call(["get", "repository"]).code == 0
    for wrong in ("~no-such-user/x", "$NO_SUCH_VARIABLE/x"):
        done = named(["apply", "m.yaml"], wrong)
        assert f"the home `{wrong}` names a user or a variable that does not exist" in done.err


def test_a_database_elsewhere_decides(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_DATABASE", f"sqlite:///{folder}/other.db")
    done = call(["get", "repository"])
    assert done.code == 1
    assert "the database that the settings name does not exist" in done.err
    assert call(["apply", "m.yaml"]).code == 0
    assert named(["get", "repository"], "missing").code == 0


def as_another_user(function: Callable[[], object]) -> str:
    """Run a function as a user who owns nothing; what it raised."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:  # a user cannot be changed back
        os.setgroups([])
        os.setuid(65534)
        try:
            function()
        except Exception as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(process, 0)
    with os.fdopen(reading) as said:
        return said.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_home_of_another_user_is_named_with_both(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    for above in (folder, *folder.parents):
        if above.stat().st_uid == 0 and above.stat().st_mode & 0o777 == 0o700:
            above.chmod(0o755)
    home.chmod(0o700)
    said = as_another_user(lambda: home_folder.check_folder(home, writes=False))
    assert "cannot be read; it belongs to root, this is " in said
    home.chmod(0o755)
    said = as_another_user(lambda: home_folder.check_folder(home, writes=True))
    assert "cannot be written; it belongs to root, this is " in said
    said = as_another_user(lambda: home_folder.check_folder(home / "new", writes=True))
    assert "cannot be made: Permission denied; it belongs to root" in said
    assert as_another_user(lambda: home_folder.check_folder(home, writes=False)) == ""


def test_a_damaged_key_is_said_and_never_used() -> None:
    """Kind: a file of 0 bytes that counts as whole."""
    assert call(["apply", "m.yaml", "--home", "home"]).code == 0
    Path("home", "key").write_bytes(b"")
    for words in PLANNING + WRITING:
        done = named(words, "home")
        assert done.code == 1
        assert "`home/key` holds 0 bytes" in done.err
        assert "  hint: restore it" in done.err
