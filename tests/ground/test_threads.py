"""Worker threads and the bulkhead, without a command line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar

import pytest

from reconciler.threads import Bulkhead, BulkheadClosed, BulkheadFull, in_thread

FEW = 0.02  # seconds to wait for what does not come
PLENTY = 10.0


class Hanging:
    """Foreign code that hangs until it is released; `begun` counts its calls."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.begun = threading.Semaphore(0)

    def __call__(self) -> str:
        self.begun.release()
        assert self.released.wait(PLENTY)
        return "late"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    call = Hanging()
    yield call
    call.released.set()


def bulkhead(concurrency: int = 1, max_abandoned: int = 2) -> Bulkhead:
    return Bulkhead(concurrency=concurrency, max_abandoned=max_abandoned, name="foreign")


async def abandon(limited: Bulkhead, key: str, call: Callable[[], str]) -> None:
    """Make a call and leave it behind."""
    async with limited.slot(key, seconds=PLENTY) as slot:
        running = slot.call(call)
        await asyncio.wait([running], timeout=FEW)
        running.cancel()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def test_a_call_returns_its_result_or_raises_its_error() -> None:
    async def test() -> None:
        async with bulkhead().slot("a", seconds=PLENTY) as slot:
            assert await slot.call(divmod, 7, 2) == (3, 1)
            with pytest.raises(ZeroDivisionError):
                await slot.call(divmod, 7, 0)

    run(test)


def test_even_an_exit_of_foreign_code_is_an_error_of_its_call() -> None:
    def leave() -> None:
        raise SystemExit(3)

    async def test() -> None:
        async with bulkhead().slot("a", seconds=PLENTY) as slot:
            call = slot.call(leave)
            await asyncio.wait([call])
            assert isinstance(call.exception(), SystemExit)

    run(test)


def test_a_call_has_the_context_of_its_caller() -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def test() -> None:
        variable.set("mine")
        async with bulkhead().slot("a", seconds=PLENTY) as slot:
            assert await slot.call(variable.get) == "mine"

    run(test)


def test_so_many_at_a_time_for_each_key_and_others_wait(hanging: Hanging) -> None:
    async def test() -> None:
        limited = bulkhead(concurrency=2)
        async with limited.slot("a", seconds=PLENTY), limited.slot("a", seconds=PLENTY):
            with pytest.raises(BulkheadFull):
                async with limited.slot("a", seconds=FEW):
                    raise AssertionError("a third slot")
            async with limited.slot("b", seconds=FEW):
                pass
            waiting = asyncio.ensure_future(enter(limited))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting == "entered"

    async def enter(limited: Bulkhead) -> str:
        async with limited.slot("a", seconds=PLENTY):
            return "entered"

    run(test)


def test_too_many_abandoned_calls_close_it_until_some_end(hanging: Hanging) -> None:
    async def test() -> None:
        limited = bulkhead(max_abandoned=2)
        await abandon(limited, "a", hanging)
        await abandon(limited, "a", hanging)
        with pytest.raises(BulkheadClosed) as closed:
            async with limited.slot("a", seconds=PLENTY):
                raise AssertionError("a slot")
        assert closed.value.abandoned == 2
        async with limited.slot("b", seconds=PLENTY):
            pass
        hanging.released.set()
        for thread in threading.enumerate():
            if thread.name == "foreign":
                await asyncio.to_thread(thread.join)
        async with limited.slot("a", seconds=PLENTY) as slot:
            assert await slot.call(lambda: "again") == "again"

    run(test)


def test_it_may_close_while_a_caller_waits(hanging: Hanging) -> None:
    async def test() -> None:
        limited = bulkhead(max_abandoned=1)
        first = asyncio.ensure_future(abandon(limited, "a", hanging))
        await asyncio.to_thread(hanging.begun.acquire)
        with pytest.raises(BulkheadClosed):
            async with limited.slot("a", seconds=PLENTY):
                raise AssertionError("a slot")
        await first

    run(test)


def test_a_caller_that_is_cancelled_gives_its_slot_back_and_its_call_counts(
    hanging: Hanging,
) -> None:
    async def test() -> None:
        limited = bulkhead(max_abandoned=1)

        async def call() -> str:
            async with limited.slot("a", seconds=PLENTY) as slot:
                return await slot.call(hanging)

        running = asyncio.ensure_future(call())
        await asyncio.to_thread(hanging.begun.acquire)
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(BulkheadClosed):
            async with limited.slot("a", seconds=PLENTY):
                raise AssertionError("a slot")

    run(test)


def test_a_call_that_has_ended_is_not_abandoned() -> None:
    async def test() -> None:
        limited = bulkhead(max_abandoned=1)
        for _ in range(5):
            async with limited.slot("a", seconds=PLENTY) as slot:
                assert await slot.call(len, "abc") == 3

    run(test)


def test_a_thread_is_waited_for_even_when_its_caller_is_cancelled(hanging: Hanging) -> None:
    async def test() -> None:
        running = asyncio.ensure_future(in_thread(hanging))
        await asyncio.to_thread(hanging.begun.acquire)
        for _ in range(3):
            running.cancel()
            await asyncio.wait([running], timeout=FEW)
            assert not running.done()
        hanging.released.set()
        await asyncio.wait([running])
        assert running.cancelled()

    run(test)
