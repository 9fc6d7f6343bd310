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
from reconciler.plugin import Group, ReadConduit, Unchanged
from tests.support.faulty import body
from tests.support.loop_clock import advance, wait_for_ever
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository

LIMIT = 30.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.bare("one"))
        site.says("b", site.bare("two"))
        site.declare(site.remote(), repository(), repository("second"))
        site.limits = CallLimits(call=LIMIT, block=60)
        yield site


async def for_ever(*arguments: Any) -> Any:
    await wait_for_ever(LIMIT)


async def endless(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
    await wait_for_ever(LIMIT)
    yield Group("never")


def test_declare_that_waits_for_ever_is_cut_and_its_source_fails(site: Rehearsal) -> None:
    site.applied()
    site.script.on_declare = endless
    said = site.failed()
    assert "`declare` of importer `lines` for repository `team` awaited for more than 30 s" in said
    assert site.held() == ["a/one", "b/two"]


def test_read_that_waits_for_ever_is_cut_and_its_group_fails(site: Rehearsal) -> None:
    async def reading(conduit: ReadConduit, group: Group) -> Any:
        return await for_ever() if group.name == "b" else [site.bare("one")]

    site.script.on_read = reading
    assert (
        "`read` of importer `lines` for repository `team`, group `b` awaited for more than 30 s"
        in site.failed()
    )
    assert site.held() == ["a/one"]


def test_sync_that_waits_for_ever_is_cut(site: Rehearsal) -> None:
    site.declare(site.remote(type="records"), repository(type="records"))
    site.script.on_sync = for_ever
    assert (
        "`sync` of importer `records` for repository `team` awaited for more than 30 s"
        in site.failed()
    )


def test_copy_that_waits_for_ever_is_cut_and_its_group_fails(site: Rehearsal) -> None:
    async def choosing(conduit: Any, group: str, units: Any) -> Any:
        return await for_ever() if group == "b" else units

    site.script.on_copy = choosing
    site.declare(
        site.remote(type="copies"),
        repository(type="copies"),
        repository("prod", copy(), type="copies"),
    )
    assert "`copy` of importer `copies` for repository `prod`, group `b` awaited" in site.failed(
        "repository/prod"
    )
    assert site.held("prod") == ["a/one"]


def test_waiting_for_upstream_does_not_count(site: Rehearsal) -> None:
    """The limit of a request is the remote's; the timer of the call stands still meanwhile."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def reading(conduit: ReadConduit, group: Group) -> Any:
        loops.append(asyncio.get_running_loop())
        await conduit.get("slow")
        return [site.bare("one")]

    async def slowly(request: Any) -> Any:
        passed = threading.Event()

        def pass_time() -> None:
            advance(LIMIT + 1)
            loops[0].call_soon(passed.set)

        loops[0].call_soon_threadsafe(pass_time)
        await asyncio.to_thread(passed.wait)
        return await body(b"slow")(request)

    site.declare(site.remote(), repository())
    site.server.on("/slow", slowly, body(b"slow"))  # the last answer stays
    site.script.on_read = reading
    site.applied()
    assert site.held() == ["a/one", "b/one"]


def test_every_group_is_a_sign_of_life(site: Rehearsal) -> None:
    async def slowly(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        for name in ("a", "b"):
            advance(LIMIT * 0.6)  # both together are more than the limit
            await asyncio.sleep(0)
            yield Group(name)

    site.script.on_declare = slowly
    site.applied()
    assert site.held() == ["a/one", "b/two"]


def test_a_time_out_that_the_plugin_raises_is_its_own(site: Rehearsal) -> None:
    site.script.failing["a"] = TimeoutError("the plugin's own")
    said = site.failed()
    assert "TimeoutError: the plugin's own" in said
    assert "awaited for more than" not in said


def test_a_time_out_that_the_plugin_handles_is_none(site: Rehearsal) -> None:
    async def reading(conduit: ReadConduit, group: Group) -> Any:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return [site.bare("after all")]

    site.script.on_read = reading
    site.applied()
    assert site.held() == ["a/after all", "b/after all"]


def test_a_call_that_blocks_the_loop_is_reported(site: Rehearsal) -> None:
    named: list[str] = []
    noticed = threading.Event()

    def blocked(what: str) -> None:
        if "group `b`" in what:
            named.append(what)
            noticed.set()

    async def reading(conduit: ReadConduit, group: Group) -> Any:
        if group.name == "b":
            assert noticed.wait(30), "not reported"
        return [site.bare("one")]

    async def plan() -> None:
        async with site.engine(blocked=blocked) as engine:
            await engine.plan(read([site.manifest], site.registry), PlanOptions())

    site.script.on_read = reading
    site.limits = CallLimits(call=60, block=0.2)
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
    where: str, site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T_SECRET", SECRET)
    type = "records" if where == "sync" else "lines"
    auth = "auth: {username: ada, password: {env: T_SECRET}}"
    site.declare(site.remote(type=type, more=auth), repository(type=type))
    site.script.failing[{"read": "a"}.get(where, where)] = ValueError(
        f"http://ada:{SECRET}@example.org/ said no to {SECRET}"
    )
    plan = site.plan()
    report = site.apply()
    shown = "".join(
        [site.text(), b"".join(render_json(plan, verbose=True)).decode(), str(report.outcomes)]
    )
    assert "ValueError" in shown
    assert SECRET not in shown
    left = [
        path
        for path in site.home.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert left == []


def test_a_run_that_is_interrupted_while_a_plugin_waits_ends(site: Rehearsal) -> None:
    """Cancelling is not taken for the plugin's time-out."""
    started = threading.Event()

    async def waiting(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        started.set()
        await asyncio.Event().wait()
        yield Group("never")

    site.script.on_declare = waiting
    site.limits = CallLimits()

    async def run() -> None:
        async with site.engine() as engine:
            planning = asyncio.create_task(
                engine.plan(read([site.manifest], site.registry), PlanOptions())
            )
            await asyncio.to_thread(started.wait)
            planning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await planning

    asyncio.run(run())
