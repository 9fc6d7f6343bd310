"""Importers that raise, hang or talk nonsense: named with plugin, repository and unit; what was
there stays, everybody else goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import engine
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.sources import batches, group_reading
from reconciler.plugin import Group, Unit
from tests.support.hostile import (
    FAILURES,
    TYPE,
    Hostile,
    answering,
    assert_contained,
    record,
    stopped,
    units,
)
from tests.support.loop_clock import wait_for_ever
from tests.support.soundness import check_sound


async def declare_then(act: Callable[[], None], self: Any, conduit: Any) -> AsyncIterator[Group]:
    yield Group("alpha", validator="new")
    act()


async def read_then(act: Callable[[], None], self: Any, conduit: Any, group: Group) -> list[Unit]:
    if group.name == "alpha":
        act()
    return units(TYPE, group.name, 2)


def read_midway(act: Callable[[], None]) -> Callable[..., Awaitable[Iterator[Unit]]]:
    """A generator that gives out a unit and then fails."""

    def generate(group: Group) -> Iterator[Unit]:
        yield Unit(TYPE, f"{group.name}-0", {})
        if group.name == "alpha":
            act()

    async def read(self: Any, conduit: Any, group: Group) -> Iterator[Unit]:
        return generate(group)

    return read


async def sync_then(act: Callable[[], None], self: Any, conduit: Any, config: Any) -> None:
    await record(self, conduit, config)
    act()


def method(function: Callable[..., Any], act: Callable[[], None]) -> Any:
    """`partial` is no method: it would not be given `self`."""
    bound = partial(function, act)

    def call(self: Any, *arguments: Any) -> Any:
        return bound(self, *arguments)

    return call


@pytest.mark.parametrize("name", FAILURES)
def test_a_listing_that_fails_is_the_failure_of_its_source(name: str, site: Hostile) -> None:
    act, said = FAILURES[name]
    done = site.apply({"declare": method(declare_then, act)})
    assert_contained(
        site,
        done,
        "repository/bad: failed",
        "remote:bad: ",
        "importer `bad`" if name != "our own, loudly" else "first",
        said,
    )
    assert site.versions()["bad"] == (1, 1)


@pytest.mark.parametrize("name", FAILURES)
def test_a_reading_that_fails_is_the_failure_of_its_group(name: str, site: Hostile) -> None:
    act, said = FAILURES[name]
    done = site.apply({"read": method(read_then, act)})
    assert_contained(site, done, "repository/bad: failed", "remote:bad: alpha: ", said)
    assert site.held()["beta"] == ["beta-0", "beta-1"]


@pytest.mark.parametrize(
    "name", ["an exception", "SystemExit", "CancelledError", "no readable message"]
)
def test_a_sync_that_fails_is_the_failure_of_its_source_and_nothing_of_it_happens(
    name: str, site: Hostile
) -> None:
    act, said = FAILURES[name]
    done = site.apply({"sync": method(sync_then, act)})
    assert_contained(site, done, "repository/bad: failed", "remote:bad: ", "importer `bad`", said)
    assert site.versions()["bad"] == (1, 1)


@pytest.mark.parametrize("name", ["an exception", "SystemExit"])
def test_a_generator_that_fails_midway_is_the_failure_of_its_group(
    name: str, site: Hostile
) -> None:
    act, said = FAILURES[name]
    assert_contained(site, site.apply({"read": read_midway(act)}), "remote:bad: alpha: ", said)


@pytest.mark.parametrize("name", FAILURES)
def test_a_configuration_or_a_constructor_that_fails_is_the_failure_of_its_repository(
    name: str, site: Hostile
) -> None:
    act, said = FAILURES[name]
    done = site.apply({"validate_config": lambda self, *arguments: act()})
    assert_contained(site, done, "repository/bad: failed: ", "importer `bad`", said)
    done = site.apply({"__init__": lambda self: act()})
    assert_contained(site, done, "repository/bad: failed: ", "remote:bad: ", said)


@pytest.mark.parametrize(
    "name",
    ["an exception", "SystemExit", "CancelledError", "no readable message", "control characters"],
)
@pytest.mark.parametrize("hook", ["importer_added", "publisher_added"])
def test_a_hook_that_fails_leaves_nothing_behind(
    hook: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, said = FAILURES[name]
    (tmp_path / "begun").mkdir()
    site = Hostile(tmp_path, tmp_path / "begun", monkeypatch)
    overrides = {hook: lambda self, repository, config: act()}
    done = site.apply(overrides, overrides)
    assert (done.code, done.err) == (1, "")
    assert f"`{hook}` of `bad`" in done.out
    assert said in done.out
    with site.home.database() as database:
        actual = database.reader().actual_state()
        assert actual.publications["sound"].version == 1
        assert ("bad" in actual.repositories) is (hook == "publisher_added")
        assert "bad" not in actual.publications
    check_sound(site.home)


@pytest.mark.parametrize("method", ["validate_config", "importer_added"])
def test_a_hook_that_is_async_is_said_to_be_and_not_forgotten(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hook(self: Any, *arguments: Any) -> None:
        return None

    (tmp_path / "begun").mkdir()
    site = Hostile(tmp_path, tmp_path / "begun", monkeypatch)
    done = site.apply({method: lambda self, *given: hook(self, *given)})
    assert (done.code, done.err) == (1, "")
    assert "is `async`, and would never run" in done.out
    assert site.versions_of("sound") == (1, 1)


ANSWERS: dict[str, tuple[Any, str]] = {
    "None": (None, "`read` returns units or UNCHANGED: for group `alpha` came NoneType"),
    "a number": (5, "came int"),
    "a text": ("units", "came str"),
    "a dictionary": ({"alpha": 1}, "came str"),
    "groups": ([Group("alpha")], "came Group"),
    "None among units": ([*units(TYPE, "alpha", 1), None], "came NoneType"),
    "more than a group holds": (
        (Unit(TYPE, str(number), {}) for number in count()),
        "group `alpha` holds more than 40 units",
    ),
    "one key twice": (
        units(TYPE, "alpha", 1) * 2,
        "group `alpha` holds two units under the key `alpha-0`",
    ),
    "a type that is not its own": (
        [Unit("sound.thing", "x", {})],
        "unit `x` has the type `sound.thing`, which its importer does not name",
    ),
    "a type that nobody has": (
        [Unit("nobody.thing", "x", {})],
        "unit `x` has the type `nobody.thing`",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_reading_that_answers_nonsense_is_the_failure_of_its_group(
    name: str, site: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LARGEST", 40)
    monkeypatch.setattr(group_reading, "LARGEST", 40)
    answer, said = ANSWERS[name]
    done = site.apply({"read": answering(answer)})
    assert_contained(
        site, done, "repository/bad: failed", "remote:bad: alpha: importer `bad`: ", said
    )
    assert site.held()["beta"] == ["beta-0", "beta-1"]


async def coroutine() -> list[Unit]:
    return []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"read": answering.__get__(None, object)}, "came coroutine"),
        ({"read": lambda self, conduit, group: units(TYPE, group.name, 2)}, "`async def read`"),
        (
            {"declare": lambda self, conduit: iter([Group("alpha")])},
            "`declare` is an async generator: it gives list_iterator",
        ),
        (
            {"declare": lambda self, conduit: coroutine()},
            "`declare` is an async generator: it gives coroutine",
        ),
        ({"sync": lambda self, conduit, config: None}, "`async def sync`"),
    ],
    ids=[
        "a coroutine as answer",
        "no coroutine",
        "no async generator",
        "a coroutine as generator",
        "a sync that is not async",
    ],
)
def test_what_is_async_where_it_must_not_be_and_the_other_way_round(
    overrides: dict[str, Any], said: str, site: Hostile
) -> None:
    if said == "came coroutine":
        overrides = {"read": answering(coroutine())}
    assert_contained(site, site.apply(overrides), "repository/bad: failed", "importer `bad`", said)


@pytest.mark.parametrize("name", ["declare", "read", "sync"])
def test_a_call_that_awaits_for_ever_is_cut(
    name: str, site: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CallLimits", lambda: CallLimits(call=30))

    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
        yield Group("alpha", validator="2")
        await wait_for_ever(30)

    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            await wait_for_ever(30)
        return units(TYPE, group.name, 2)

    async def sync(self: Any, conduit: Any, config: Any) -> None:
        await wait_for_ever(30)

    done = site.apply({name: {"declare": declare, "read": read, "sync": sync}[name]})
    assert_contained(
        site,
        done,
        f"`{name}` of importer `bad` for repository `bad`",
        "awaited for more than 30 s",
    )


def test_an_attribute_that_a_listing_leaves_open_is_closed_with_its_call(site: Hostile) -> None:
    """A generator that is abandoned ends within its call, not whenever the garbage is collected."""
    ended = []

    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
        try:
            yield Group("alpha")
            yield Group("alpha")
        finally:
            ended.append(conduit.url)

    assert_contained(
        site, site.apply({"declare": declare}), "`declare` yields the group `alpha` twice"
    )
    assert ended == ["http://127.0.0.1:9/"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            "declare that blocks",
            (
                "`declare` of importer `bad` for repository `bad` held up everything else for more"
                " than 0.3 s"
            ),
        ),
        (
            "read that blocks",
            (
                "`read` of importer `bad` for repository `bad`, group `alpha` held up everything"
                " else for more than 0.3 s"
            ),
        ),
        (
            "select that blocks",
            (
                "`select` of importer `bad` for repository `bad`, group `alpha` held up everything"
                " else for more than 0.3 s"
            ),
        ),
        (
            "read that swallows",
            (
                "`read` of importer `bad` for repository `bad`, group `alpha` was cut and goes on:"
                " it swallows its cancellation"
            ),
        ),
        (
            "validate_config that blocks",
            (
                "`validate_config` of importer `bad` for repository/bad did nothing that the core"
                " could see"
            ),
        ),
        (
            "publish that blocks",
            "publisher `bad` of publication/bad did nothing that the core could see",
        ),
    ],
)
def test_what_cannot_be_cut_is_named_and_ends_the_run(what: str, said: str, site: Hostile) -> None:
    done = stopped(site, what)
    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err
    assert site.versions()["bad"] in ((1, 1), (2, 1))
    check_sound(site.home)
    assert site.apply().code == 0
    assert site.versions() == {"bad": (2, 2), "sound": (2, 2)}
