"""What people read, word for word: digests, times, sizes and places masked, everything else as in
`tests/golden/cli`.

`RECONCILER_GOLDEN=write` writes the files anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import __version__
from tests.support.mirror import Done, call
from tests.support.upstream import Upstream, upstream

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
MASKS = (
    (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
    (r"sha256:[0-9a-f]{12}\b", "sha256:------------"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME----------------"),
    (r"\d+(\.\d)? (B|KiB)\b", "SIZE"),
    (r"http://127\.0\.0\.1:\d+/", "http://UPSTREAM/"),
    (re.escape(__version__), "VERSION"),
)


def masked(text: str) -> str:
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text


def assert_golden(name: str, done: Done, code: int = 0) -> None:
    """Both streams, each line of stderr marked."""
    said = masked(done.out + "".join(f"stderr: {line}\n" for line in done.err.splitlines()))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")
    assert done.code == code


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """An upstream, and both manifests in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTOR", "ada")  # who applied stands in the history
    with upstream() as one:
        one.release("alpha", "1.0", "1.1")
        one.release("beta", "0.9", "1.0", "2.0")
        one.release("evil", "6.6")
        one.release("gamma", *(f"0.{minor}" for minor in range(9)))
        for name in ("first.yaml", "second.yaml"):
            text = (GOLDEN / name).read_text(encoding="utf-8").replace("UPSTREAM", one.url)
            (tmp_path / name).write_text(text, encoding="utf-8")
        yield one


def test_validate_lists_every_fault_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    assert_golden("validate", call(["validate", "faulty.yaml"]), code=1)
    assert_golden(
        "validate-github", call(["validate", "faulty.yaml", "--format", "github"]), code=1
    )


def test_a_first_plan_and_its_apply(index: Upstream) -> None:
    assert_golden("plan-first", call(["plan", "first.yaml"]))
    assert_golden("apply-first", call(["apply", "first.yaml"]))
    assert_golden("apply-again", call(["apply", "first.yaml"]))


def test_a_change_a_guard_and_what_the_commands_for_reading_show(index: Upstream) -> None:
    call(["apply", "first.yaml"])
    index.say("alpha", "1.0", yanked="broken metadata")
    index.release("alpha", "1.2")
    assert_golden("plan-second", call(["plan", "second.yaml", "--allow-destroy"]))
    assert_golden("apply-guarded", call(["apply", "second.yaml"]), code=1)
    call(["apply", "second.yaml", "--allow-destroy"])
    assert_golden("get-repository", call(["get", "repository"]))
    assert_golden("get-publication", call(["get", "publications", "team"]))
    assert_golden("get-remote", call(["get", "remote/up"]))
    assert_golden("get-filter-yaml", call(["get", "filter", "house-rules", "-o", "yaml"]))
    assert_golden("describe-repository", call(["describe", "repository/team"]))
    assert_golden("describe-publication", call(["describe", "Publication/team"]))
    assert_golden("history", call(["history", "repository/team"]))
    assert_golden("diff", call(["diff", "repository/team", "1", "latest"]))


def test_what_is_no_longer_declared_is_reported_and_pruned_on_demand(
    index: Upstream, tmp_path: Path
) -> None:
    call(["apply", "first.yaml"])
    (tmp_path / "less.yaml").write_text(
        (tmp_path / "first.yaml").read_text(encoding="utf-8").rpartition("---\n")[0],
        encoding="utf-8",
    )
    assert_golden("plan-unowned", call(["plan", "less.yaml"]))
    assert_golden("apply-prune", call(["apply", "less.yaml", "--prune"]))


def test_a_project_that_upstream_never_had_is_a_warning_by_name(
    index: Upstream, tmp_path: Path
) -> None:
    index.drop("gamma")
    assert_golden("plan-project-gone", call(["plan", "first.yaml"]))
    assert_golden("plan-offline", call(["plan", "second.yaml", "--offline", "--home", "elsewhere"]))


def test_the_list_of_plugins() -> None:
    assert_golden("plugins", call(["plugins"]))


COMMANDS = (
    "",
    "validate",
    "plan",
    "apply",
    "serve",
    "get",
    "describe",
    "history",
    "diff",
    "explain",
    "upload",
    "remove",
    "schema",
    "plugins",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert_golden(f"help-{command or 'reconciler'}", call([*command.split(), "--help"]))
