"""The page budget: bytes of all pages in flight stay within it, and no order of events stops it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import Unreachable
from reconciler.model import Page
from reconciler.remote import PageBudget, PageCache, PageReader
from reconciler.remote.page_budget import PageLease
from reconciler.remote.responses import whole_body
from tests.remote.test_page_reader import Upstream, page

MIB = 1024 * 1024


def a_page(size: int = 0) -> Page:
    return Page("http://example.org/", b" " * size, "v", "text/html")


async def read(budget: PageBudget, steps: list[int], peak: list[int], hold: int) -> None:
    """One page of so many pieces, which its reader holds for some turns of the loop."""
    with budget.lease() as lease:
        for step in steps:
            await lease.take(step)
            peak.append(budget.in_flight)
            await asyncio.sleep(0)
        delivered = lease.deliver(a_page())
    for _ in range(hold):
        await asyncio.sleep(0)
    del delivered


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.lists(st.integers(1, 60), max_size=8), st.integers(0, 5)), max_size=12)
)
def test_pages_in_flight_never_exceed_the_budget_by_more_than_one_page(
    pages: list[tuple[list[int], int]],
) -> None:
    async def main() -> tuple[int, int]:
        budget, peak = PageBudget(100, patience=0.05), [0]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for steps, hold in pages:
                if sum(steps) <= budget.size:
                    tasks.create_task(read(budget, steps, peak, hold))
        return max(peak), budget.in_flight

    most, left = asyncio.run(main())
    assert most <= 150  # half of it for all, and all of it for the one that goes first
    assert left == 0


def test_a_page_is_counted_until_its_reader_lets_go_of_it() -> None:
    async def main() -> None:
        budget = PageBudget(100)
        with budget.lease() as lease:
            await lease.take(40)
            held = lease.deliver(a_page())
        assert budget.in_flight == 40
        del held
        gc.collect()
        assert budget.in_flight == 0

    asyncio.run(main())


def test_a_reader_that_holds_a_page_while_it_asks_for_another_is_not_blocked_for_ever() -> None:
    async def main() -> None:
        budget = PageBudget(100, patience=0.01)
        held = []
        for _ in range(3):
            with budget.lease() as lease:
                await lease.take(90)
                held.append(lease.deliver(a_page()))
        assert budget.in_flight == 270

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_failed_page_gives_back_what_it_held() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 60
        raise Unreachable("broken off")

    async def main() -> int:
        budget = PageBudget(100)
        with budget.lease(), pytest.raises(Unreachable):
            await whole_body(chunks(), None, 100, url="http://example.org/")
        return budget.in_flight

    assert asyncio.run(main()) == 0


def test_a_page_that_trickles_in_does_not_keep_others_waiting() -> None:
    async def main() -> None:
        budget = PageBudget(100, slowest=0.0)
        with budget.lease() as slow, budget.lease() as other:
            waiting = asyncio.create_task(_fill(slow, 90))
            await asyncio.sleep(0)
            blocked = asyncio.create_task(_fill(other, 20))
            await asyncio.sleep(0)
            await waiting
            with pytest.raises(Unreachable, match="slowly"):
                await slow.take(1)
            slow.give_back()
            await blocked

    asyncio.run(asyncio.wait_for(main(), 10))


async def _fill(lease: PageLease, count: int) -> None:
    await lease.take(count)


def test_readers_of_different_remotes_share_one_budget(tmp_path: Path) -> None:
    async def main() -> list[int]:
        budget, seen = PageBudget(100), []
        for number in range(3):
            reader = PageReader(Upstream(page()), PageCache(tmp_path / str(number)), budget=budget)
            await reader.get("http://example.org/")
            seen.append(budget.in_flight)
        return seen

    assert asyncio.run(main()) == [0, 0, 0]


@pytest.mark.parametrize("budget", [16 * MIB])
def test_a_page_that_was_cached_under_a_larger_limit_is_read_anew(
    tmp_path: Path, budget: int
) -> None:
    body = b"x" * (budget + 1)

    async def main() -> int:
        await PageReader(Upstream(page(body)), PageCache(tmp_path)).get("http://example.org/")
        upstream = Upstream(page(b"less"))
        reader = PageReader(upstream, PageCache(tmp_path), budget=PageBudget(budget))
        return len((await reader.get("http://example.org/")).body)

    assert asyncio.run(main()) == 4
