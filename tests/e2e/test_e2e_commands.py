"""The command line as scripts meet it: exit codes, streams, documents, and what it costs to ask for
help.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import isolated, program
from tests.support.faulty import status
from tests.support.mirror import Mirror, call, publication, remote, repository
from tests.support.upstream import Upstream, upstream

ROOMS = [
    "reconciler.engine",
    "reconciler.manifest",
    "reconciler.plugin",
    "reconciler.serve",
    "reconciler_python",
]
HEAVY = [
    "aiohttp",
    "alembic",
    "granian",
    "jinja2",
    "logging",
    "msgspec",
    "packaging",
    "pypi_simple",
    "requests",
    "rich",
    "asyncio",
    "ssl",
    "sqlalchemy",
    "starlette",
    "yaml",
    *ROOMS,
]
IMPORTED = f"""
import sys
from reconciler.cli.main import run
code = run(sys.argv[1:])
print(code, *(name for name in {["pydantic", *HEAVY]} if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as one:
        one.release("alpha", "1.0")
        yield one


@pytest.fixture
def mirror(index: Upstream, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path, remote(index.url), repository(), publication())


@pytest.mark.parametrize(
    ("words", "expected"), [(["--help"], "0"), (["--version"], "0"), (["--nonsense"], "1")]
)
def test_help_imports_nothing_heavy(words: list[str], expected: str) -> None:
    assert imported(words) == expected


@pytest.mark.parametrize("verb", ["plan", "apply", "serve", "get", "diff"])
def test_the_help_of_a_command_imports_no_room(verb: str) -> None:
    """The parser of options brings pydantic in by itself, wherever an option is a path or one of
    several words.
    """
    assert imported([verb, "--help"]).removesuffix(" pydantic") == "0"


def imported(words: list[str]) -> str:
    """The exit code, and which heavy modules a command line imported."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["plan", "--nonsense"],
        ["plan", "--format", "xml"],
        ["plan", "no-such-file.yaml"],
        ["get"],
        ["get", "parcel"],
        ["get", "repository", "nobody"],
        ["describe", "team"],
        ["history", "publication/team"],
        ["diff", "repository/nobody", "0", "1"],
        ["serve", "--port", "65536"],
    ],
)
def test_wrong_usage_is_an_error_with_a_hint_and_creates_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(words)
    assert (done.code, done.out) == (1, "")
    assert done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_real_program_exits_with_one_on_wrong_usage(tmp_path: Path) -> None:
    done = subprocess.run(
        [program("reconciler"), "plan", "--nonsense"],
        cwd=tmp_path,
        env=isolated(tmp_path),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")


def test_detailed_exitcode_tells_pending_from_done_and_plan_writes_no_state(mirror: Mirror) -> None:
    assert mirror.plan().code == 0
    assert mirror.plan("--detailed-exitcode").code == 2
    assert [name for name in mirror.files() if not name.startswith("cache")] == []
    mirror.applied()
    assert mirror.plan("--detailed-exitcode").code == 0


def test_an_error_wins_over_pending_changes(mirror: Mirror, index: Upstream) -> None:
    index.on(index.page_path("alpha"), status(403))
    mirror.declare(remote(index.url), repository(sources=["name: up, include: [alpha]"]))
    assert mirror.plan("--detailed-exitcode").code == 1


def test_json_is_one_document_on_stdout(mirror: Mirror) -> None:
    plan = mirror.plan("--format", "json").document
    assert plan["summary"] == {
        "add": 3,
        "change": 0,
        "destroy": 0,
        "contentAdded": 1,
        "contentRemoved": 0,
        "contentChanged": 0,
        "withheld": 0,
        "released": 0,
        "bytesToDownload": plan["summary"]["bytesToDownload"],
        "filesOfUnknownSize": 0,
        "bytesLeftUpstream": 0,
    }
    done = mirror.apply("--format", "json").document
    assert done["plan"] == plan
    assert {
        outcome["resource"]: outcome["result"] for outcome in done["outcomes"]
    } == dict.fromkeys(("remote/up", "repository/team", "publication/team"), "done")


def test_yaml_says_what_json_says(mirror: Mirror) -> None:
    import yaml

    mirror.applied()
    home = ["--home", str(mirror.home.root)]
    for words in (
        ["get", "repository"],
        ["history", "repository/team"],
        ["diff", "repository/team", "0", "1"],
    ):
        assert (
            yaml.safe_load(call([*words, "-o", "yaml", *home]).out)
            == call([*words, "-o", "json", *home]).document
        )


def test_home_is_a_flag_then_a_variable_then_a_setting(
    mirror: Mirror,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path_factory.mktemp("settings") / "reconciler.toml"
    elsewhere.write_text('home = "by-file"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_CONFIG", str(elsewhere))
    assert call(["apply", "site.yaml"]).code == 0
    monkeypatch.setenv("RECONCILER_HOME", "by-variable")
    assert call(["apply", "site.yaml"]).code == 0
    assert call(["apply", "site.yaml", "--home", "by-flag"]).code == 0
    assert {path.name for path in tmp_path.iterdir() if (path / "state.db").exists()} == {
        "by-file",
        "by-variable",
        "by-flag",
    }


def test_an_unknown_setting_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reconciler.toml").write_text('hoem = "x"\n', encoding="utf-8")
    done = call(["get", "repository"])
    assert done.code == 1
    assert "`hoem`" in done.err


def test_manifests_come_from_standard_input_too(mirror: Mirror, tmp_path: Path) -> None:
    words = [
        program("reconciler"),
        "plan",
        "-",
        "--format",
        "json",
        "--home",
        str(tmp_path / "home"),
    ]
    done = subprocess.run(
        words,
        input=mirror.manifest.read_bytes(),
        env=isolated(tmp_path),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["summary"]["add"] == 3


def test_each_version_names_the_commit_of_its_manifests(mirror: Mirror, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", mirror.manifest.name)
    git(tmp_path, "commit", "-q", "-m", "Mirror alpha")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / ".git" / "info").mkdir(exist_ok=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("home\n", encoding="utf-8")
    mirror.applied()
    [version] = call(
        ["history", "repository/team", "-o", "json", "--home", str(mirror.home.root)]
    ).document
    assert version["provenance"]["commit"] == commit
    assert version["provenance"]["plugin"]["id"] == "python"


def git(folder: Path, *words: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    environment = isolated(
        folder, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", **identity
    )
    return subprocess.run(
        ["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout
