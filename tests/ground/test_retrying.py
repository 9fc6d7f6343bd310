"""The retry policy, with virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Permanent, Temporary
from reconciler.retrying import RetryPolicy


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.blocking_sleep(seconds)

    def blocking_sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def policy(self, **settings: Any) -> RetryPolicy:
        defaults = {
            "sleep": self.sleep,
            "blocking_sleep": self.blocking_sleep,
            "clock": lambda: self.now,
            "random": lambda: 0.5,
        }
        return RetryPolicy(**{**defaults, **settings})


class Script:
    """A call that raises or returns one outcome after the other, and counts."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes: Iterator[Any] = iter(outcomes)
        self.calls = 0

    def blocking(self) -> Any:
        self.calls += 1
        outcome = next(self._outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def __call__(self) -> Any:
        return self.blocking()


def run_async(policy: RetryPolicy, script: Script) -> Any:
    return asyncio.run(policy.run(script))


def run_blocking(policy: RetryPolicy, script: Script) -> Any:
    return policy.run_blocking(script.blocking)


Runner = Callable[[RetryPolicy, Script], Any]
both_ways = pytest.mark.parametrize("run", [run_async, run_blocking])


@both_ways
def test_a_call_is_made_until_it_succeeds(run: Runner) -> None:
    time, script = Time(), Script(Temporary("1"), Temporary("2"), "result")
    assert run(time.policy(attempts=3), script) == "result"
    assert time.pauses == [0.25, 0.5]


@both_ways
def test_the_last_error_is_raised_after_so_many_calls(run: Runner) -> None:
    time, script = Time(), Script(*(Temporary(str(number)) for number in range(9)))
    with pytest.raises(Temporary, match=r"^2$"):
        run(time.policy(attempts=3), script)
    assert (script.calls, len(time.pauses)) == (3, 2)


@both_ways
@pytest.mark.parametrize("error", [Permanent("never"), ValueError("a bug")])
def test_other_errors_are_raised_at_once(run: Runner, error: Exception) -> None:
    time, script = Time(), Script(error, "unreached")
    with pytest.raises(type(error)):
        run(time.policy(attempts=3), script)
    assert (script.calls, time.pauses) == (1, [])


@both_ways
def test_the_caller_says_which_errors_pass(run: Runner) -> None:
    time, script = Time(), Script(KeyError("x"), "result")
    policy = time.policy(attempts=2, retry_if=lambda error: isinstance(error, KeyError))
    assert run(policy, script) == "result"


@both_ways
def test_an_interrupt_is_never_retried(run: Runner) -> None:
    time, script = Time(), Script(KeyboardInterrupt(), "unreached")
    with pytest.raises(KeyboardInterrupt):
        run(time.policy(attempts=9, retry_if=lambda error: True), script)


@both_ways
def test_no_call_begins_after_the_deadline_and_one_begins_at_it(run: Runner) -> None:
    time, script = Time(), Script(*(Temporary("busy") for _ in range(99)))
    with pytest.raises(Temporary):
        run(time.policy(seconds=10, first_delay=8, longest_delay=8), script)
    assert time.pauses == [4, 4, 2]
    assert script.calls == 4


def test_no_time_is_one_call() -> None:
    script = Script(Temporary("busy"), "unreached")
    with pytest.raises(Temporary):
        run_async(Time().policy(seconds=0), script)
    assert script.calls == 1


def test_a_result_that_is_not_good_enough_is_asked_for_again() -> None:
    time, script = Time(), Script(1, 2, 3, 4)
    policy = time.policy(attempts=3)
    assert asyncio.run(policy.run(script, unless=lambda result: bool(result >= 2))) == 2
    assert asyncio.run(policy.run(Script(1, 1, 0, 9), unless=bool)) == 1
    script = Script(0, 0, "", 9)
    assert asyncio.run(policy.run(script, unless=bool)) == "", "the last one is returned"
    assert script.calls == 3


def test_a_policy_ends() -> None:
    with pytest.raises(ValueError, match="never ends"):
        RetryPolicy()


@given(
    failures=st.integers(1, 2000),
    random=st.floats(0, 1, exclude_max=True),
    first=st.floats(0, 10),
    longest=st.floats(0, 100),
    asked=st.none() | st.floats(0, 1e6),
    obeyed=st.floats(0, 200),
)
def test_a_pause_is_jittered_bounded_and_as_long_as_was_asked_for(
    failures: int, random: float, first: float, longest: float, asked: float | None, obeyed: float
) -> None:
    policy = RetryPolicy(
        attempts=1,
        first_delay=first,
        longest_delay=longest,
        longest_request=obeyed,
        random=lambda: random,
    )
    request = min(asked or 0.0, obeyed)
    pause = policy.delay(failures, asked)
    assert request <= pause <= max(longest, request)
    assert pause >= random * min(longest, first)
    if failures == 1:
        assert pause <= max(first, request), "the first pause is the shortest"
