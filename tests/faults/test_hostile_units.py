"""Importers that hand over units, groups, validators and notes of the wrong shape.

Each is named with plugin, repository and unit, and recorded content stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from reconciler.engine.sources import declarations
from reconciler.plugin import Artifact, Gone, Group, Unit
from tests.support.hostile import TYPE, Hostile, answering, assert_contained, units


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
    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
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
    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
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

    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
        for name in ("alpha", "Alpha", *names):
            yield Group(name)

    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        return [Unit(TYPE, key, {"large": "x" * 2**20}) for key in ("key", "KEY", *names)]

    def publish(self: Any, conduit: Any, config: Any) -> None:
        for name in conduit.changed_groups():
            with conduit.group(name):
                pass
        with conduit.whole_repository() as output:
            output.page("index/", b"", "text/plain")

    done = site.apply({"declare": declare, "read": read}, {"publish": publish})
    assert done.code == 0, done.out
    assert site.held() == {
        name: sorted(("key", "KEY", *names)) for name in ("alpha", "Alpha", *names)
    }
    assert sorted(path.name for path in site.folder.iterdir()) == ["home", "site.yaml"]


def test_a_listing_without_end_comes_to_one(site: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "MAX_GROUPS", 1000)

    async def declare(self: Any, conduit: Any) -> AsyncIterator[Group]:
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

    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        conduit.set_scratchpad({"fine": group.name})
        conduit.set_repository_scratchpad(pad)
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
    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            conduit.refuse(key, reason)
        return units(TYPE, group.name, 2)

    assert_contained(
        site,
        site.apply({"read": read}),
        "remote:bad: alpha: importer `bad`: `refuse` takes a key and a reason",
    )


def test_what_is_refused_in_odd_words_is_shown_on_one_line(site: Hostile) -> None:
    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        for key in ("a\nb", "\x1b[31m", "half \ud800", "x" * 100_000, ""):
            conduit.refuse(key, "because\n\x1b[0m" + "y" * 100_000)
        return units(TYPE, group.name, 2)

    done = site.apply({"read": read}, None, None, "--verbose")
    assert done.code == 0
    assert all(line.isprintable() and len(line) < 6_000 for line in done.out.split("\n"))
    assert "! alpha a\\nb" in done.out


@pytest.mark.parametrize("text", ["", "gone\n\x1b[2J" + "x" * 10_000_000], ids=["nothing", "much"])
def test_what_is_gone_is_gone_in_one_line(text: str, site: Hostile) -> None:
    async def read(self: Any, conduit: Any, group: Group) -> list[Unit]:
        if group.name == "alpha":
            raise Gone(text)
        return units(TYPE, group.name, 2)

    done = site.apply({"read": read})
    assert (done.code, done.err) == (1, ""), "the manifest names `alpha`, which stays"
    assert all(line.isprintable() and len(line) < 3_000 for line in done.out.split("\n"))
    assert list(site.held()) == ["alpha", "beta"]
