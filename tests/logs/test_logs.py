"""Records of the log: where they go, what they carry, and what they never show."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler import logs
from reconciler.redaction import register_secret

SECRET = "open-sesame-7731"
LOG = logging.getLogger("reconciler.sample")


@pytest.fixture(autouse=True)
def _silent_afterwards() -> Iterator[None]:
    yield
    logs.disable()


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_nothing_is_shown_until_logging_is_configured(capsys: pytest.CaptureFixture[str]) -> None:
    LOG.error("unheard")
    assert capsys.readouterr() == ("", "")


def test_records_below_the_level_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO)
    LOG.debug("detail")
    LOG.info("step")
    assert "detail" not in (shown := capsys.readouterr().err)
    assert shown.endswith("INFO reconciler.sample step\n")


def test_other_libraries_are_heard_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.DEBUG)
    other = logging.getLogger("somelibrary")
    other.info("chatter")
    other.warning("broken")
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["broken"]


def test_a_package_that_is_included_is_heard_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.include_package("sampleplugin")
    logging.getLogger("sampleplugin.reading").warning("unheard")
    logs.configure(logging.DEBUG)
    logging.getLogger("sampleplugin.reading").debug("page read")
    logs.include_package("lateplugin")
    logging.getLogger("lateplugin").debug("also read")
    assert [line.split()[-2:] for line in capsys.readouterr().err.splitlines()] == [
        ["page", "read"],
        ["also", "read"],
    ]


def test_configuring_again_replaces_and_disabling_ends(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.DEBUG)
    logs.configure(logging.INFO, json=True)
    assert logs.current() == (logging.INFO, True)
    LOG.debug("detail")
    LOG.info("step")
    logs.disable()
    LOG.error("unheard")
    assert logs.current() is None
    assert [record["message"] for record in records(capsys.readouterr().err)] == ["step"]


def test_a_json_record_has_utc_time_level_logger_message_run_and_repository(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO, json=True)
    with logs.log_context(run="r1", repository="team"):
        LOG.info("%d units\nread", 3)
    LOG.info("over")
    first, second = records(capsys.readouterr().err)
    time = datetime.fromisoformat(first.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert first == {
        "level": "INFO",
        "logger": "reconciler.sample",
        "message": "3 units\nread",
        "run": "r1",
        "repository": "team",
    }
    assert (second["run"], second["repository"]) == (None, None)


def test_a_text_record_is_one_line_whatever_the_message_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO)
    with logs.log_context(repository="team"):
        LOG.info("a\n2026-01-01T00:00:00Z ERROR forged \x1b[31m")
    [line] = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    assert " INFO reconciler.sample [repository=team] a\\n2026" in line


class Revealing:
    def __str__(self) -> str:
        return f"value {SECRET}"

    __repr__ = __str__


@pytest.mark.parametrize("as_json", [False, True])
def test_secrets_are_redacted_in_message_arguments_exception_and_stack(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    register_secret(SECRET)
    logs.configure(logging.DEBUG, json=as_json)
    LOG.info("token " + SECRET)
    LOG.info("%s and %r", Revealing(), {"token": SECRET})
    LOG.info("stack", stack_info=True)
    try:
        raise ValueError(SECRET) from KeyError(f"below {SECRET}")
    except ValueError:
        LOG.exception("failed")
    shown = capsys.readouterr().err
    assert SECRET not in shown
    assert shown.count("***") >= 5
    assert "ValueError" in shown


def test_arguments_that_do_not_fit_reveal_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    register_secret(SECRET)
    handler = logs.StderrHandler(logs.LogSettings(logging.INFO))
    for message, argument in (("%d units", SECRET), (f"%d of {SECRET}", "x")):
        # by hand: pytest formats what goes to the root logger, and raises
        handler.handle(LOG.makeRecord(LOG.name, logging.INFO, "", 0, message, (argument,), None))
    shown = capsys.readouterr().err
    assert SECRET not in shown
    assert "%d units (its arguments cannot be formatted)" in shown


def test_a_broken_stderr_loses_the_record_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

    logs.configure(logging.INFO)
    monkeypatch.setattr(sys, "stderr", Broken())
    LOG.info("lost")


def test_tasks_and_threads_inherit_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.INFO, json=True)

    async def step(name: str) -> None:
        with logs.log_context(repository=name):
            await asyncio.sleep(0)
            LOG.info("task")
            await asyncio.to_thread(LOG.info, "worker")
            thread = threading.Thread(target=logs.in_context(LOG.info), args=("thread",))
            thread.start()
            thread.join()

    async def main() -> None:
        with logs.log_context(run="r1"):
            await asyncio.gather(step("a"), step("b"))

    asyncio.run(main())
    LOG.info("after")
    shown = records(capsys.readouterr().err)
    after = shown.pop()
    assert sorted((record["repository"], record["message"]) for record in shown) == [
        (name, message) for name in ("a", "b") for message in ("task", "thread", "worker")
    ]
    assert {record["run"] for record in shown} == {"r1"}
    assert (after["run"], after["repository"]) == (None, None)


def test_contexts_nest_and_an_inner_one_keeps_what_it_does_not_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(logging.INFO, json=True)
    with logs.log_context(repository="team"), logs.log_context(run="r1"):
        LOG.info("both")
    with logs.log_context(run="r1"), logs.log_context(repository="team"):
        LOG.info("both")
    for record in records(capsys.readouterr().err):
        assert (record["run"], record["repository"]) == ("r1", "team")


def test_one_bound_function_runs_in_two_threads_at_once() -> None:
    barrier = threading.Barrier(2, timeout=10)
    with logs.log_context(run="r1"):
        wait = logs.in_context(barrier.wait)
    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not barrier.broken
