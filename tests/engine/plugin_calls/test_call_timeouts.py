"""Timeouts of plugin calls: what is cut and named, what does not count, what the plugin raises.

The clock of the event loop is moved by hand, so that no test waits or depends on a busy machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import CallLimits, PlanOptions
from reconciler.engine.plugin_calls.call_timeouts import CallTimeouts, Watchdog
from reconciler.manifest import read
from reconciler.plan import render_json
from reconciler.plugin import Group, ImporterCall, Unchanged
from tests.support.faulty import body
from tests.support.loop_clock import advance, wait_for_ever
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository

LIMIT = 30.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as stage:
        stage.says("a", stage.bare("one"))
        stage.says("b", stage.bare("two"))
        stage.declare(stage.remote(), repository(), repository("second"))
        stage.limits = CallLimits(call=LIMIT, block=60)
        yield stage


async def for_ever(*arguments: Any) -> Any:
    await wait_for_ever(LIMIT)


async def endless(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
    await wait_for_ever(LIMIT)
    yield Group("never")


def test_declare_that_waits_for_ever_is_cut_and_its_source_fails(stage: Rehearsal) -> None:
    stage.applied()
    stage.script.on_declare = endless
    said = stage.failed()
    assert "`declare` of importer `lines` for repository `team` awaited for more than 30 s" in said
    assert stage.held() == ["a/one", "b/two"]


def test_read_that_waits_for_ever_is_cut_and_its_group_fails(stage: Rehearsal) -> None:
    async def reading(call: ImporterCall, group: Group) -> Any:
        return await for_ever() if group.name == "b" else [stage.bare("one")]

    stage.script.on_read = reading
    assert (
        "`read` of importer `lines` for repository `team`, group `b` awaited for more than 30 s"
        in stage.failed()
    )
    assert stage.held() == ["a/one"]


def test_sync_that_waits_for_ever_is_cut(stage: Rehearsal) -> None:
    stage.declare(stage.remote(type="records"), repository(type="records"))
    stage.script.on_sync = for_ever
    assert (
        "`sync` of importer `records` for repository `team` awaited for more than 30 s"
        in stage.failed()
    )


def test_copy_that_waits_for_ever_is_cut_and_its_group_fails(stage: Rehearsal) -> None:
    async def choosing(conduit: Any, group: str, units: Any) -> Any:
        return await for_ever() if group == "b" else units

    stage.script.on_copy = choosing
    stage.declare(
        stage.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    assert "`copy` of importer `copies` for repository `prod`, group `b` awaited" in stage.failed(
        "repository/prod"
    )
    assert stage.held("prod") == ["a/one"]


def test_waiting_for_upstream_does_not_count(stage: Rehearsal) -> None:
    """The limit of a request is the remote's; the timer of the call stands still meanwhile."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def reading(call: ImporterCall, group: Group) -> Any:
        loops.append(asyncio.get_running_loop())
        await call.get("slow")
        return [stage.bare("one")]

    async def slowly(request: Any) -> Any:
        passed = threading.Event()

        def pass_time() -> None:
            advance(LIMIT + 1)
            loops[0].call_soon(passed.set)

        loops[0].call_soon_threadsafe(pass_time)
        await asyncio.to_thread(passed.wait)
        return await body(b"slow")(request)

    stage.declare(stage.remote(), repository())
    stage.server.on("/slow", slowly, body(b"slow"))  # the last answer stays
    stage.script.on_read = reading
    stage.applied()
    assert stage.held() == ["a/one", "b/one"]


def test_every_group_is_a_sign_of_life(stage: Rehearsal) -> None:
    async def slowly(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        for name in ("a", "b"):
            advance(LIMIT * 0.6)  # both together are more than the limit
            await asyncio.sleep(0)
            yield Group(name)

    stage.script.on_declare = slowly
    stage.applied()
    assert stage.held() == ["a/one", "b/two"]


def test_a_time_out_that_the_plugin_raises_is_its_own(stage: Rehearsal) -> None:
    stage.script.failing["a"] = TimeoutError("the plugin's own")
    said = stage.failed()
    assert "TimeoutError: the plugin's own" in said
    assert "awaited for more than" not in said


def test_a_time_out_that_the_plugin_handles_is_none(stage: Rehearsal) -> None:
    async def reading(call: ImporterCall, group: Group) -> Any:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return [stage.bare("after all")]

    stage.script.on_read = reading
    stage.applied()
    assert stage.held() == ["a/after all", "b/after all"]


def test_a_call_that_blocks_the_loop_is_reported(stage: Rehearsal) -> None:
    named: list[str] = []
    noticed = threading.Event()

    def blocked(what: str) -> None:
        if "group `b`" in what:
            named.append(what)
            noticed.set()

    async def reading(call: ImporterCall, group: Group) -> Any:
        if group.name == "b":
            assert noticed.wait(30), "not reported"
        return [stage.bare("one")]

    async def plan() -> None:
        async with stage.engine(blocked=blocked) as engine:
            await engine.plan(read([stage.manifest], stage.registry), PlanOptions())

    stage.script.on_read = reading
    stage.limits = CallLimits(call=60, block=0.2)
    asyncio.run(plan())
    assert "`read` of importer `lines` for repository" in named[0]
    assert "group `b` held up everything else for more than 0.2 s" in named[0]


def test_a_call_that_never_returns_from_its_thread_is_reported() -> None:
    named: list[str] = []
    noticed = threading.Event()

    def blocked(what: str) -> None:
        named.append(what)
        noticed.set()

    async def run() -> None:
        limits = CallLimits(call=0.2, block=0.1)
        watchdog = Watchdog(CallTimeouts(limits), limits, blocked)

        def work() -> None:
            with watchdog.thread("`publish` of somebody"):
                assert noticed.wait(30), "not reported"

        watchdog.start()
        await asyncio.to_thread(work)
        watchdog.stop()

    asyncio.run(run())
    assert named[0].startswith(
        "`publish` of somebody did nothing that the core could see for more than 0.2 s"
    )


SECRET = "correct-horse-battery-staple"  # of this test


@pytest.mark.parametrize("where", ["declare", "read", "sync"])
def test_the_remotes_password_in_an_exception_is_nowhere_to_be_found(
    where: str, stage: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_SECRET", SECRET)
    type = "records" if where == "sync" else "lines"
    auth = "auth: {username: ada, password: {env: T_SECRET}}"
    stage.declare(stage.remote(type=type, more=auth), repository(type=type))
    stage.script.failing[{"read": "a"}.get(where, where)] = ValueError(
        f"http://ada:{SECRET}@example.org/ said no to {SECRET}"
    )
    plan = stage.plan()
    report = stage.apply()
    shown = "".join(
        [stage.text(), b"".join(render_json(plan, verbose=True)).decode(), str(report.outcomes)]
    )
    assert "ValueError" in shown
    assert SECRET not in shown
    left = [
        path
        for path in stage.home.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert left == []


def test_a_run_that_is_interrupted_while_a_plugin_waits_ends(stage: Rehearsal) -> None:
    """Cancelling is not taken for the plugin's time-out."""
    started = threading.Event()

    async def waiting(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        started.set()
        await asyncio.Event().wait()
        yield Group("never")

    stage.script.on_declare = waiting
    stage.limits = CallLimits()

    async def run() -> None:
        async with stage.engine() as engine:
            planning = asyncio.create_task(
                engine.plan(read([stage.manifest], stage.registry), PlanOptions())
            )
            await asyncio.to_thread(started.wait)
            planning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await planning

    asyncio.run(run())
