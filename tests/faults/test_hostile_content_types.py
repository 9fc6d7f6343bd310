"""Content types that decide, describe or take apart badly: the group that they spoil stays as it
was, and a plan stays one line for each thing.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import pytest

from reconciler.plugin import Artifact, Decision, Group, Summary, Unit
from tests.support.faulty import FaultyServer, body, running
from tests.support.hostile import Hostile, assert_contained, units

TYPE = "bad.thing"
Act = Callable[..., Any]
NUMBER: Any = 5


def spoiling(act: Act) -> Any:
    """A `select` that does this to the group `alpha`."""

    def select(cls: Any, group: str, units: Any, options: Any, filters: Any, now: datetime) -> Any:
        return act(units) if group == "alpha" else [Decision(unit, accepted=True) for unit in units]

    return classmethod(select)


def raising(error: BaseException) -> Act:
    def act(*arguments: Any) -> Any:
        raise error

    return act


def decided(*units: Unit, **words: Any) -> list[Decision]:
    return [Decision(unit, accepted=True, **words) for unit in units]


def midway(units: list[Unit]) -> Iterator[Decision]:
    yield Decision(units[0], accepted=True)
    raise SystemExit(3)


async def coroutine(units: Any) -> list[Decision]:
    return decided(*units)


SELECTIONS: dict[str, tuple[Act, str]] = {
    "raises": (raising(KeyError("size")), "group `alpha` failed: KeyError: 'size'"),
    "ends the process": (
        raising(SystemExit(0)),
        "`select` of importer `bad` for repository `bad`, group `alpha` failed: SystemExit: 0",
    ),
    "raises midway": (midway, "failed: SystemExit: 3"),
    "decides nothing": (
        lambda units: None,
        "`select` of `bad.thing` returns decisions, not NoneType",
    ),
    "decides with a number": (lambda units: 5, "returns decisions, not int"),
    "is async": (coroutine, "returns decisions, not coroutine"),
    "returns units": (
        lambda units: units,
        "`select` of `bad.thing` returns decisions: for group `alpha` came Unit(",
    ),
    "returns yes": (lambda units: [True for _ in units], "for group `alpha` came True"),
    "leaves one out": (
        lambda units: decided(*units[1:]),
        "group `alpha` once: `alpha-0` is decided not at all",
    ),
    "decides one twice": (
        lambda units: decided(*units, units[1]),
        "`alpha-1` is decided more than once",
    ),
    "one twice, one not": (
        lambda units: decided(units[0], units[0]),
        "`alpha-0` is decided more than once",
    ),
    "decides for ever": (
        lambda units: map(Decision, repeat(units[0]), repeat(True)),
        "`alpha-0` is decided more than once",
    ),
    "decides others": (
        lambda units: decided(*(Unit(TYPE, unit.key, unit.metadata) for unit in units)),
        "`alpha-0` is decided not at all",
    ),
    "decides one more": (
        lambda units: decided(*units, Unit(TYPE, "else", {})),
        "2 units, 3 decisions or more",
    ),
    "has no words": (
        lambda units: [Decision(unit, accepted=False, reason=NUMBER) for unit in units],
        "`select` of `bad.thing` says a text, not int as of unit `alpha-0`",
    ),
    "waits for a text": (
        lambda units: decided(*units, reconsider_at="tomorrow"),
        "`select` decides unit `alpha-0` again at 'tomorrow'",
    ),
    "waits without a zone": (
        lambda units: decided(*units, reconsider_at=datetime(2030, 1, 1)),
        "which is no time with a time zone",
    ),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_group_that_is_not_decided_stays_as_it_was(name: str, site: Hostile) -> None:
    act, said = SELECTIONS[name]
    done = site.apply(None, None, {"select": spoiling(act)})
    assert_contained(site, done, "repository/bad: failed", "remote:bad: alpha: ", "`bad", said)
    assert site.held()["beta"] == ["beta-0", "beta-1"]


def test_units_and_options_that_it_changes_are_checked_as_they_are_then(site: Hostile) -> None:
    def act(units: Any) -> Any:
        units[0].metadata["weight"] = 1.5
        return decided(*units)

    def frozen(cls: Any, group: str, units: Any, options: Any, filters: Any, now: datetime) -> Any:
        options.step = 9

    done = site.apply(None, None, {"select": spoiling(act)})
    assert_contained(
        site,
        done,
        "remote:bad: alpha: importer `bad`: unit `alpha-0` has metadata that is not plain JSON",
    )
    assert (
        "group `alpha` failed: ValidationError: "
        in site.apply(None, None, {"select": classmethod(frozen)}).out
    )


def test_a_decision_may_wait_for_a_time_in_any_zone(site: Hostile) -> None:
    due = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    for _ in range(2):
        assert (
            site.apply(
                None, None, {"select": spoiling(lambda units: decided(*units, reconsider_at=due))}
            ).code
            == 0
        )


async def changed(self: Any, conduit: Any, group: Group) -> list[Unit]:
    if group.name == "beta":
        return units(TYPE, "beta", 2)
    return [Unit(TYPE, "alpha-0", {"number": 7}), *units(TYPE, "alpha", 3)[1:]]


async def emptied(self: Any, conduit: Any, group: Group) -> list[Unit]:
    return units(TYPE, group.name, 2) if group.name == "beta" else []


WORDS: dict[str, dict[str, Any]] = {
    "summary": {},
    "removal_reason": {"read": emptied},
    "describe_change": {"read": changed},
    "refuse_replacement": {"read": changed},
}
"""Methods that say something, and an importer that makes them."""

NONSENSE: dict[str, tuple[Act, str]] = {
    "raises": (
        raising(ZeroDivisionError("oops")),
        "importer `bad` failed: ZeroDivisionError: oops",
    ),
    "ends the process": (raising(SystemExit(0)), "failed: SystemExit: 0"),
    "says a number": (lambda *arguments: 5, "`bad.thing`"),
    "says bytes": (lambda *arguments: b"bytes", "`bad.thing`"),
    "says a wrong summary": (lambda *arguments: Summary(5, None), "`bad.thing`"),  # type: ignore[arg-type]
}


def only_alpha(name: str, act: Act) -> Any:
    """A method that is spoilt where it is asked about the group `alpha`."""

    def call(cls: Any, unit: Any, *arguments: Any) -> Any:
        if unit.key.startswith("alpha"):
            return act(unit, *arguments)
        return Summary() if name == "summary" else None if name == "refuse_replacement" else ""

    return classmethod(call)


@pytest.mark.parametrize("method", WORDS)
@pytest.mark.parametrize("name", NONSENSE)
def test_a_group_that_is_not_described_stays_as_it_was(
    method: str, name: str, site: Hostile
) -> None:
    act, said = NONSENSE[name]
    approval = ["--allow-destroy"] if method == "removal_reason" else []
    done = site.apply(WORDS[method], None, {method: only_alpha(method, act)}, *approval)
    assert_contained(site, done, "repository/bad: failed", "remote:bad: alpha: ", "`bad", said)
    assert site.held()["beta"] == ["beta-0", "beta-1"]


LOUD = "first\nsecond\x1b[2J\r\u202e\ud800" + "x" * 5_000_000


@pytest.mark.parametrize("method", WORDS)
def test_words_of_any_kind_stay_on_one_line(method: str, site: Hostile) -> None:
    answer = Summary(LOUD, LOUD) if method == "summary" else LOUD
    done = site.apply(
        WORDS[method],
        None,
        {method: only_alpha(method, lambda *arguments: answer)},
        "--verbose",
        "--allow-destroy",
    )
    assert (done.code, done.err) == (0, ""), done.out[:2000]
    assert all(line.isprintable() and len(line) < 2_000 for line in done.out.split("\n"))
    assert "first\\nsecond\\x1b[2J" in done.out


def test_reasons_of_any_kind_stay_on_one_line(site: Hostile) -> None:
    refuse = spoiling(
        lambda units: [
            Decision(unit, accepted=unit.key == "alpha-0", reason=LOUD) for unit in units
        ]
    )
    for words in ((), ("--verbose",), ("--format", "json")):
        done = site.apply(None, None, {"select": refuse}, *words)
        assert (done.code, done.err) == (0, "")
        assert all(line.isprintable() for line in done.out.split("\n"))
        assert len(done.out) < 20_000
        site.declare(3)


# Taking the bytes of one artifact out of another


TEXT = b"what is within"
CONTAINER = io.BytesIO()
with zipfile.ZipFile(CONTAINER, "w") as packed:
    packed.writestr("inner", TEXT)
OUTER = CONTAINER.getvalue()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running(lambda server: None) as served:
        served.on("/outer", body(OUTER))
        served.on("/inner", body(TEXT))
        served.on("/wrong", body(b"something else"))
        yield served


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def reading(server: FaultyServer, within: str, url: str = "/inner") -> dict[str, Any]:
    """An importer whose `alpha` has a unit of two artifacts, the one within the other as far as it
    says so.
    """

    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        if group.name == "beta":
            return units(TYPE, "beta", 2)
        outer = Artifact(
            "outer",
            sha256(OUTER),
            len(OUTER),
            server.url("/outer"),
            within="inner" if within == "cycle" else "",
        )
        inner = Artifact(
            "inner",
            sha256(TEXT),
            len(TEXT),
            server.url(url) if url else "",
            within="outer" if within == "cycle" else within,
        )
        return [*units(TYPE, "alpha", 1), Unit(TYPE, "packed", {}, [outer, inner])]

    return {"read": read}


@pytest.mark.parametrize("within", ["nowhere", "inner", "cycle", "../outer"])
def test_what_is_within_nothing_is_downloaded(
    within: str, site: Hostile, server: FaultyServer
) -> None:
    site.declare(2, url=server.url("/"))
    extract = classmethod(raising(AssertionError("nothing to take it out of")))
    content = {} if within == "cycle" else {"extract": extract}
    done = site.apply(reading(server, within), None, content)
    assert done.code == 0, done.out
    assert site.held()["alpha"] == ["alpha-0", "packed"]


@pytest.mark.parametrize("answer", [None, b"", b"wrong bytes", TEXT])
def test_wrong_bytes_are_not_kept_and_the_right_ones_downloaded(
    answer: bytes | None, site: Hostile, server: FaultyServer
) -> None:
    site.declare(2, url=server.url("/"))
    done = site.apply(
        reading(server, "outer"), None, {"extract": classmethod(lambda cls, *arguments: answer)}
    )
    assert done.code == 0, done.out
    assert [request.path for request in server.requests if request.path == "/inner"] == (
        [] if answer == TEXT else ["/inner"]
    )


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (raising(zipfile.BadZipFile("broken\n\x1b[0m")), "failed: BadZipFile: broken [0m"),
        (raising(SystemExit(0)), "failed: SystemExit: 0"),
        (lambda *arguments: "text", "it returns bytes or None, not str"),
        (lambda *arguments: iter([b"a"]), "it returns bytes or None, not list_iterator"),
    ],
    ids=["raises", "ends the process", "a text", "pieces"],
)
def test_a_failing_extraction_is_the_failure_of_its_unit(
    act: Act, said: str, site: Hostile, server: FaultyServer
) -> None:
    site.declare(2, url=server.url("/"))
    done = site.apply(reading(server, "outer"), None, {"extract": classmethod(act)})
    assert_contained(
        site,
        done,
        "repository/bad: failed",
        "remote:bad: alpha: `packed`: `extract` of `bad.thing`",
        said,
    )
    assert site.held()["beta"] == ["beta-0", "beta-1"]
