"""Worker slots under a clock that is moved by hand: what is given up, and what that stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from reconciler.engine.plugin_calls import worker_pool
from reconciler.engine.plugin_calls.worker_pool import WorkerPool, WorkerSlot
from reconciler.errors import PluginFault, Temporary

SECONDS = 0.04  # a slot looks four times as often; the clock below decides


class Clock:
    """A clock that is moved by hand, and knows when the slot looks at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._looks = threading.Condition()
        self._by_loop = 0

    def __call__(self) -> float:
        with self._looks:
            if threading.current_thread() is threading.main_thread():
                self._by_loop += 1
                self._looks.notify_all()
            return self.now

    def advance(self, seconds: float) -> None:
        """Move on, and wait until the slot has looked for late calls since."""
        with self._looks:
            self.now += seconds
            looks = self._by_loop
            assert self._looks.wait_for(lambda: self._by_loop >= looks + 2, 60)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(worker_pool, "monotonic", clock)
    return clock


def in_slot(test: Callable[[WorkerSlot], Awaitable[None]]) -> None:
    async def main() -> None:
        async with WorkerPool(SECONDS).slot("team") as slot:
            await test(slot)

    asyncio.run(main())


def test_a_call_returns_its_result(clock: Clock) -> None:
    async def test(slot: WorkerSlot) -> None:
        assert await slot.in_thread(divmod, 7, 2) == (3, 1)

    in_slot(test)


def test_time_outside_of_plugin_code_does_not_count(clock: Clock) -> None:
    def work(slot: WorkerSlot) -> str:
        with slot.watch("`upload`"):
            pass
        clock.advance(10 * SECONDS)
        return "done"

    async def test(slot: WorkerSlot) -> None:
        assert await slot.in_thread(work, slot) == "done"

    in_slot(test)


def test_a_call_into_the_core_restarts_the_limit(clock: Clock) -> None:
    def work(slot: WorkerSlot) -> str:
        with slot.watch("`upload`") as alive:
            for _ in range(3):
                clock.advance(SECONDS * 0.9)
                alive()
        return "done"

    async def test(slot: WorkerSlot) -> None:
        assert await slot.in_thread(work, slot) == "done"

    in_slot(test)


def test_a_late_call_is_given_up_by_name_and_fails_at_its_next_step(clock: Clock) -> None:
    released = threading.Event()
    ended: list[str] = []
    finished = threading.Event()

    def work(slot: WorkerSlot) -> None:
        try:
            with slot.watch("`upload` of importer `lines`") as alive:
                clock.now += SECONDS * 1.1
                assert released.wait(60)
                alive()
        except PluginFault as fault:
            ended.append(str(fault))
        finally:
            finished.set()

    async def test(slot: WorkerSlot) -> None:
        with pytest.raises(Temporary, match="`upload` of importer `lines` did nothing"):
            await slot.in_thread(work, slot)
        released.set()
        await asyncio.to_thread(finished.wait)

    in_slot(test)
    assert ended == ["`upload` of importer `lines` was given up"]


def test_a_full_repository_names_itself_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "CONCURRENCY", 1)

    async def main() -> None:
        pool = WorkerPool(SECONDS)
        async with pool.slot("team"):
            with pytest.raises(Temporary, match="repository `team` takes 1 uploads at once"):
                async with pool.slot("team"):
                    pass
            async with pool.slot("other") as slot:
                assert await slot.in_thread(abs, -1) == 1
        async with pool.slot("team") as slot:
            assert await slot.in_thread(abs, -2) == 2

    asyncio.run(main())
