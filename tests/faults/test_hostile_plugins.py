"""Importers that raise, hang or talk nonsense: named with plugin, repository and unit; what was
there stays, everybody else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import engine
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.sources import batches, declarations, group_reading
from reconciler.plugin import Artifact, Gone, Group, Unit
from tests.support.hostile import FAILURES, Hostile, assert_contained, begin, record, stopped, units
from tests.support.soundness import check_sound

TYPE = "bad.thing"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(tmp_path_factory.mktemp("begun"), pytest.MonkeyPatch())


@pytest.fixture
def site(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    return Hostile(tmp_path, begun, monkeypatch)


async def declare_then(act: Callable[[], None], self: Any, call: Any) -> AsyncIterator[Group]:
    yield Group("alpha", validator="new")
    act()


async def read_then(act: Callable[[], None], self: Any, call: Any, group: Group) -> list[Unit]:
    if group.name == "alpha":
        act()
    return units(TYPE, group.name, 2)


def read_midway(act: Callable[[], None]) -> Callable[..., Awaitable[Iterator[Unit]]]:
    """A generator that gives out a unit and then fails."""

    def generate(group: Group) -> Iterator[Unit]:
        yield Unit(TYPE, f"{group.name}-0", {})
        if group.name == "alpha":
            act()

    async def read(self: Any, call: Any, group: Group) -> Iterator[Unit]:
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
    done = site.apply({method: hook})
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


def answering(answer: Any) -> Any:
    """A `read` that has this to say of `alpha`."""

    async def read(self: Any, call: Any, group: Group) -> Any:
        return answer if group.name == "alpha" else units(TYPE, group.name, 2)

    return read


async def coroutine() -> list[Unit]:
    return []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"read": answering.__get__(None, object)}, "came coroutine"),
        ({"read": lambda self, call, group: units(TYPE, group.name, 2)}, "TypeError"),
        (
            {"declare": lambda self, call: iter([Group("alpha")])},
            "`declare` is an async generator: it gives list_iterator",
        ),
        (
            {"declare": lambda self, call: coroutine()},
            "`declare` is an async generator: it gives coroutine",
        ),
        ({"sync": lambda self, conduit, config: None}, "TypeError"),
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


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Text(str):
    pass


DIGEST = "0" * 64
UNITS: dict[str, tuple[Any, str]] = {
    "a key that is a number": (Unit(TYPE, 5, {}), "unit 5 has an unusable key: 5"),  # type: ignore[arg-type]
    "no key": (Unit(TYPE, "", {}), "unusable key: ''"),
    "a key with an escape": (Unit(TYPE, "x\x1b[2J", {}), "unusable key: 'x\\x1b[2J'"),
    "a key of 5,000 characters": (Unit(TYPE, "x" * 5000, {}), "unusable key: 'xxx"),
    "a type that is a list": (Unit([], "x", {}), "unit 'x' has an unusable type: []"),  # type: ignore[arg-type]
    "metadata that is a list": (
        Unit(TYPE, "x", []),  # type: ignore[arg-type]
        "unit `x` has metadata that is no dictionary: list",
    ),
    "no metadata": (Unit(TYPE, "x", None), "unit `x` has metadata that is no dictionary: NoneType"),  # type: ignore[arg-type]
    "a float": (
        Unit(TYPE, "x", {"size": 1.5}),
        "unit `x` has metadata that is not plain JSON without floats: float",
    ),
    "NaN": (
        Unit(TYPE, "x", {"size": [float("nan")]}),
        "unit `x` has metadata that is not plain JSON without floats: float",
    ),
    "bytes": (
        Unit(TYPE, "x", {"a": {"b": b"bytes"}}),
        "unit `x` has metadata that is not plain JSON without floats: bytes",
    ),
    "a set": (
        Unit(TYPE, "x", {"a": {1}}),
        "unit `x` has metadata that is not plain JSON without floats: set",
    ),
    "a key of metadata that is a number": (
        Unit(TYPE, "x", {1: "a"}),  # type: ignore[dict-item]
        "unit `x` has metadata under 1, which is no text",
    ),
    "and further in": (
        Unit(TYPE, "x", {"a": {1: "a"}}),
        "unit `x` has metadata under a key that is no text",
    ),
    "deep nesting": (
        Unit(TYPE, "x", {"a": deep(65)}),
        "unit `x` has metadata that is nested deeper than 64 levels",
    ),
    "endless nesting": (
        Unit(TYPE, "x", {"a": deep(100_000)}),
        "unit `x` has metadata that is nested deeper than 64 levels",
    ),
    "a huge number": (
        Unit(TYPE, "x", {"a": 10**5000}),
        "unit `x` has a number in its metadata that does not fit 64 bits",
    ),
    "a lone surrogate": (
        Unit(TYPE, "x", {"a": "\ud800"}),
        "unit `x` has metadata that is not plain JSON: ",
    ),
    "a kind of text": (
        Unit(TYPE, "x", {"a": Text("a")}),
        "unit `x` has metadata that is not plain JSON: ",
    ),
    "5 MB of metadata": (Unit(TYPE, "x", {"a": "a" * 5_000_000}), "unit `x` has 5,000,"),
    "no artifacts": (
        Unit(TYPE, "x", {}, None),  # type: ignore[arg-type]
        "unit `x` has artifacts that are no list: NoneType",
    ),
    "a text as artifacts": (
        Unit(TYPE, "x", {}, "ab"),  # type: ignore[arg-type]
        "unit `x` has artifacts that are no list: str",
    ),
    "an artifact that is a text": (
        Unit(TYPE, "x", {}, ["ab"]),  # type: ignore[list-item]
        "unit `x` has an unsafe artifact path: 'ab'",
    ),
    "one path twice": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST)] * 2),
        "unit `x` names one artifact path twice",
    ),
    "a digest in capitals": (
        Unit(TYPE, "x", {}, [Artifact("a", "A" * 64)]),
        "unit `x`: artifact `a` has a sha256 that is not 64 lower-case hex digits",
    ),
    "a digest that is a path": (
        Unit(TYPE, "x", {}, [Artifact("a", "../../etc/passwd")]),
        "unit `x`: artifact `a` has a sha256",
    ),
    "a digest that is bytes": (
        Unit(TYPE, "x", {}, [Artifact("a", b"0" * 64)]),  # type: ignore[arg-type]
        "unit `x`: artifact `a` has a sha256",
    ),
    "a negative size": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, -1)]),
        "unit `x`: artifact `a` has a size that is no number of bytes: -1",
    ),
    "a size that is true": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, True)]),
        "unit `x`: artifact `a` has a size that is no number of bytes: True",
    ),
    "a size beyond all disks": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, 2**64)]),
        "unit `x`: artifact `a` has a size that is no number of bytes",
    ),
    "a URL that is a number": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, url=5)]),  # type: ignore[arg-type]
        "artifact `a` has a URL that is no text",
    ),
    "a URL with a line end": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, url="http://h/\r\nX: y")]),
        "artifact `a` has an unusable URL: 'http://h/\\r\\n",
    ),
    "a URL with half a character": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, url="http://h/\ud800")]),
        "artifact `a` has an unusable URL",
    ),
    "a URL of 1 MB": (
        Unit(TYPE, "x", {}, [Artifact("a", DIGEST, url="http://h/" + "x" * 2**20)]),
        "artifact `a` has an unusable URL",
    ),
    **{
        f"the path {path[:20]!r}": (
            Unit(TYPE, "x", {}, [Artifact(path, DIGEST)]),
            "unit `x` has an unsafe artifact path: ",
        )
        for path in (
            "",
            "../x",
            "/etc/passwd",
            "a/../../x",
            "..\\x",
            "a//b",
            "./a",
            "a/",
            "a\0b",
            "a\nb",
            "x" * 5000,
            "\u202ea",
        )
    },
}


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_that_is_none_is_named_and_its_group_stays(name: str, site: Hostile) -> None:
    unit, said = UNITS[name]
    done = site.apply({"read": answering([*units(TYPE, "alpha", 1), unit])})
    assert_contained(
        site, done, "repository/bad: failed", "remote:bad: alpha: importer `bad`: ", said
    )
    assert site.held()["beta"] == ["beta-0", "beta-1"]


@pytest.mark.parametrize(
    "name", ["no key", "a float", "a lone surrogate", "the path '../x'", "a size beyond all disks"]
)
def test_a_unit_that_is_none_fails_in_a_recorded_sync_as_well(name: str, site: Hostile) -> None:
    unit, said = UNITS[name]

    async def sync(self: Any, conduit: Any, config: Any) -> None:
        conduit.save_unit("alpha", unit)

    assert_contained(
        site,
        site.apply({"sync": sync}),
        "repository/bad: failed",
        "remote:bad: ",
        "importer `bad`",
        said,
    )


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize(
    "name",
    ["", "x" * 5000, "a\nb", "\x1b[2J", "\u202ea", "half \ud800", 5, None],
    ids=["none", "long", "line", "escape", "bidi", "half", "5", "None"],
)
def test_a_group_has_a_name_that_can_be_shown(name: Any, sync: bool, site: Hostile) -> None:
    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        yield Group("alpha", validator="2")
        yield Group(name, validator="2")

    async def recorded(self: Any, conduit: Any, config: Any) -> None:
        conduit.save_unit(name, Unit(TYPE, "x", {}))

    done = site.apply({"sync": recorded} if sync else {"declare": declare})
    assert_contained(
        site,
        done,
        "repository/bad: failed",
        "remote:bad: importer `bad`: ",
        "1 to 1,024 printable characters",
    )


@pytest.mark.parametrize(
    "validator",
    [5, b"bytes", "x" * 10_000, "a\0b", "half \ud800"],
    ids=["number", "bytes", "long", "NUL", "half"],
)
def test_a_validator_can_be_recorded(validator: Any, site: Hostile) -> None:
    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        yield Group("alpha", validator=validator)

    async def sync(self: Any, conduit: Any, config: Any) -> None:
        conduit.unchanged(validator)

    assert_contained(
        site, site.apply({"declare": declare}), "the group `alpha` has an unusable validator"
    )
    assert_contained(
        site, site.apply({"sync": sync}), "a validator is a text of up to 4,096 characters"
    )


def test_names_that_look_like_paths_and_keys_that_differ_in_case_are_as_good_as_others(
    site: Hostile,
) -> None:
    names = ["../x", "/etc/passwd", "a\\b", ".."]

    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        for name in ("alpha", "Alpha", *names):
            yield Group(name)

    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        return [Unit(TYPE, key, {"large": "x" * 2**20}) for key in ("key", "KEY", *names)]

    def publish(self: Any, conduit: Any, config: Any) -> None:
        for name in conduit.changed():
            with conduit.group(name):
                pass
        with conduit.whole() as output:
            output.page("index/", b"", "text/plain")

    done = site.apply({"declare": declare, "read": read}, {"publish": publish})
    assert done.code == 0, done.out
    assert site.held() == {
        name: sorted(("key", "KEY", *names)) for name in ("alpha", "Alpha", *names)
    }
    assert sorted(path.name for path in site.folder.iterdir()) == ["home", "site.yaml"]


def test_a_listing_without_end_comes_to_one(site: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "MAX_GROUPS", 1000)

    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        for number in count():
            yield Group(f"g{number}")

    assert_contained(
        site,
        site.apply({"declare": declare}),
        "remote:bad: importer `bad`: `declare` yields more than 1,000 groups",
    )


PADS: dict[str, Any] = {
    "a set": {1, 2},
    "bytes": [b"bytes"],
    "NaN": float("nan"),
    "infinity": {"a": float("inf")},
    "a key that is a number": {1: 2},
    "endless nesting": deep(100_000),
    "2 MB": "x" * 2**21,
    "a lone surrogate": "\ud800",
    "a kind of text": Text("a"),
    "an object": object(),
    "a huge number": 10**5000,
}


@pytest.mark.parametrize("name", PADS)
def test_a_scratchpad_that_is_not_json_is_refused_and_the_old_one_stays(
    name: str, site: Hostile
) -> None:
    pad = PADS[name]

    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        call.set_scratchpad({"fine": group.name})
        call.set_repository_scratchpad(pad)
        return units(TYPE, group.name, 2)

    assert_contained(
        site, site.apply({"read": read}), "repository/bad: failed", "importer `bad`", "scratchpad"
    )
    with site.home.database() as database:
        reader = database.reader()
        assert (
            reader.scratchpad(reader.actual_state().repositories["bad"].id, "importer:bad") is None
        )


@pytest.mark.parametrize(("key", "reason"), [(5, "why"), ("key", None), (b"key", "why")])
def test_what_is_refused_is_refused_with_texts(key: Any, reason: Any, site: Hostile) -> None:
    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            call.refuse(key, reason)
        return units(TYPE, group.name, 2)

    assert_contained(
        site,
        site.apply({"read": read}),
        "remote:bad: alpha: importer `bad`: `refuse` takes a key and a reason",
    )


def test_what_is_refused_in_odd_words_is_shown_on_one_line(site: Hostile) -> None:
    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        for key in ("a\nb", "\x1b[31m", "half \ud800", "x" * 100_000, ""):
            call.refuse(key, "because\n\x1b[0m" + "y" * 100_000)
        return units(TYPE, group.name, 2)

    done = site.apply({"read": read}, None, None, "--verbose")
    assert done.code == 0
    assert all(line.isprintable() and len(line) < 6_000 for line in done.out.split("\n"))
    assert "! alpha a\\nb" in done.out


@pytest.mark.parametrize("text", ["", "gone\n\x1b[2J" + "x" * 10_000_000], ids=["nothing", "much"])
def test_what_is_gone_is_gone_in_one_line(text: str, site: Hostile) -> None:
    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            raise Gone(text)
        return units(TYPE, group.name, 2)

    done = site.apply({"read": read})
    assert (done.code, done.err) == (0, "")
    assert all(line.isprintable() and len(line) < 3_000 for line in done.out.split("\n"))
    assert list(site.held()) == ["beta"]


@pytest.mark.parametrize("name", ["declare", "read", "sync"])
def test_a_call_that_awaits_for_ever_is_cut(
    name: str, site: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CallLimits", lambda: CallLimits(call=0.2))

    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        yield Group("alpha", validator="2")
        await asyncio.Event().wait()

    async def read(self: Any, call: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            await asyncio.Event().wait()
        return units(TYPE, group.name, 2)

    async def sync(self: Any, conduit: Any, config: Any) -> None:
        await asyncio.Event().wait()

    done = site.apply({name: {"declare": declare, "read": read, "sync": sync}[name]})
    assert_contained(
        site,
        done,
        f"`{name}` of importer `bad` for repository `bad`",
        "awaited for more than 0.2 s",
    )


def test_an_attribute_that_a_listing_leaves_open_is_closed_with_its_call(site: Hostile) -> None:
    """A generator that is abandoned ends within its call, not whenever the garbage is collected."""
    ended = []

    async def declare(self: Any, call: Any) -> AsyncIterator[Group]:
        try:
            yield Group("alpha")
            yield Group("alpha")
        finally:
            ended.append(call.url)

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
