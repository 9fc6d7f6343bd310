"""The log of a command: `-v`, `-vv`, `RECONCILER_LOG`, and what never shows in it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import PATIENCE, isolated, program
from tests.support.mirror import Mirror, call, remote, repository
from tests.support.upstream import Upstream, upstream

SECRET = "swordfish-4417"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as source:
        source.release("alpha", "1.0")
        yield source


@pytest.fixture
def mirror(index: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A site whose remote needs a password."""
    monkeypatch.setenv("INDEX_PASSWORD", SECRET)
    auth = "retries: 0\nauth: {username: ali, password: {env: INDEX_PASSWORD}}"
    return Mirror(tmp_path, remote(index.url, more=auth), repository())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_commands_are_silent_by_default(mirror: Mirror) -> None:
    assert mirror.plan().err == f"new state at {mirror.home.root}\n"
    mirror.applied()
    assert mirror.plan().err == ""


@pytest.mark.parametrize("option", ["-v", "-vv"])
def test_a_log_leaves_stdout_as_it_is_and_shows_no_secret(mirror: Mirror, option: str) -> None:
    quiet = mirror.plan()
    logged = mirror.plan(option)
    assert (logged.code, logged.out) == (quiet.code, quiet.out)
    assert SECRET not in logged.err
    assert logging.getLogger().level == logging.WARNING, "the log ends with the command"
    first, *_, last = logged.err.splitlines()
    assert re.fullmatch(r"\S+Z INFO reconciler\.\S+ \[run=[0-9a-f]{8}\] `plan` started", first)
    assert last.endswith("`plan` ended with exit code 0")


def test_every_request_decision_and_write_has_a_line(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "debug,json")
    planned = logged(mirror.plan().err)
    assert planned >= {
        ("reconciler.manifest.loader", None),
        ("reconciler.plugin.validation", None),
        ("reconciler.remote.http_fetcher", "team"),
        ("reconciler.engine.planning.planner", None),
    }
    applied = logged(mirror.apply().err)
    assert applied >= planned | {
        ("reconciler.engine.applying.content_sync", "team"),
        ("reconciler.engine.applying.report", "team"),
    }


def logged(text: str) -> set[tuple[str, str | None]]:
    """Return the loggers that were heard, each with the repository of its lines."""
    assert SECRET not in text
    return {(record["logger"], record["repository"]) for record in lines(text)}


def test_json_lines_carry_the_run_and_the_exit_code(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "json")
    records = lines(mirror.plan("--detailed-exitcode").err)
    assert records[-1]["message"] == "`plan` ended with exit code 2"
    assert len({record["run"] for record in records}) == 1
    assert {record["level"] for record in records} == {"INFO"}


@pytest.mark.parametrize("words", ["debug,json", "JSON debug"])
def test_json_may_be_combined_with_a_level(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("RECONCILER_LOG", words)
    assert "DEBUG" in {record["level"] for record in lines(mirror.plan().err)}


def test_the_option_raises_the_level_of_the_environment(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "json")
    assert "DEBUG" in {record["level"] for record in lines(mirror.plan("-vv").err)}


def test_an_unknown_word_is_an_error_that_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_LOG", "loud")
    done = call(["schema"])
    assert (done.code, done.out) == (1, "")
    assert "unknown word `loud` in `RECONCILER_LOG`" in done.err
    assert call(["--help"]).code == 0


def test_a_failed_command_logs_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(["plan", "absent.yaml", "-v"])
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith("`plan` ended with exit code 1")


def test_workers_of_the_server_log_as_their_command_does(mirror: Mirror, tmp_path: Path) -> None:
    mirror.applied()
    words = [program("reconciler"), "serve", "--port", "0", "--home", str(mirror.home.root)]
    environment = isolated(tmp_path, RECONCILER_LOG="json")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        shown: list[str] = []
        while not (line := process.stderr.readline()).startswith("serving on "):
            assert line, "".join(shown)
            shown.append(line)
        process.terminate()
        rest = process.communicate(timeout=PATIENCE)[1]
    records = lines("".join(shown) + rest)
    assert records[0]["message"] == "`serve` started"
    [worker] = [record for record in records if record["message"].startswith("worker process")]
    assert (worker["level"], worker["run"]) == ("INFO", records[0]["run"])
