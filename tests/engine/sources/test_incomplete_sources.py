"""A source that could not ask everybody who has a say loses nothing, and knows which names are not
its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from reconciler.cli.explain_text import lines
from reconciler.errors import Gone, NotCached, Unreachable
from reconciler.plugin import (
    UNCHANGED,
    Group,
    ImporterCall,
    SyncConduit,
    Unchanged,
    Unit,
    Withdrawn,
)
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.declare(found.remote(), repository())
        found.says("a", found.file("one"), found.file("two"))
        found.says("b", found.file("three"))
        yield found


def declaring(stage: Rehearsal, *groups: str, partly: bool, validator: str) -> None:
    async def declare(call: ImporterCall) -> AsyncIterator[Group]:
        if partly:
            call.incomplete()
        for name in groups:
            yield Group(name, validator)

    stage.script.on_declare = declare


def test_nothing_leaves_for_being_absent_and_the_next_run_makes_up_for_it(stage: Rehearsal) -> None:
    declaring(stage, "a", "b", partly=False, validator="1")
    stage.applied()
    stage.says("a", stage.file("one"), stage.file("new"))
    declaring(stage, "a", partly=True, validator="partly")
    assert "remote:up: could not be asked completely" in stage.failed()
    assert stage.held() == ["a/new", "a/one", "a/two", "b/three"]
    declaring(stage, "a", partly=False, validator="2")
    stage.applied()
    assert stage.held() == ["a/new", "a/one"]


def test_only_declaring_can_be_incomplete(stage: Rehearsal) -> None:
    async def read(call: ImporterCall, group: Group) -> Iterable[Unit]:
        call.incomplete()
        return []

    stage.script.on_read = read
    assert "`read` cannot say that the source is incomplete" in stage.failed()


def test_a_source_hears_which_groups_an_earlier_one_has(stage: Rehearsal) -> None:
    heard: dict[str, list[str]] = {}

    async def declare(call: ImporterCall) -> AsyncIterator[Group]:
        upstream = stage.script.upstream(call.options.upstream)
        heard[call.options.upstream] = [name for name in ("a", "b", "c") if call.taken(name)]
        for name in upstream.groups:
            yield Group(name, listed=True)

    stage.script.on_declare = declare
    stage.says("b", stage.file("other"), name="second")
    stage.says("c", stage.file("four"), name="second")
    stage.declare(
        stage.remote(), stage.remote("second"), repository("team", source("up"), source("second"))
    )
    stage.applied()
    assert heard == {"up": [], "second": ["a", "b"]}


class Two:
    """`up` before `down`. Of `up` a run hears what `says` holds, wholly, in part, or nothing at
    all.
    """

    def __init__(self, stage: Rehearsal, *, more: str = "") -> None:
        self.stage = stage
        self.how: Exception | str = ""
        self.needed: list[str] = []  # names that the second source asks about, as a closure does
        stage.script.on_declare = self._declare
        self.declare(more=more)

    def declare(self, *names: str, more: str = "") -> None:
        stage = self.stage
        names = names or ("up", "down")
        stage.declare(*map(stage.remote, names), repository("team", *map(source, names), more=more))

    async def _declare(self, call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        upstream = self.stage.script.upstream(call.options.upstream)
        if call.options.upstream == "down":
            taken = [name for name in self.needed if call.taken(name)]
            if taken and call.unchanged("taken"):
                yield UNCHANGED
                return
        elif isinstance(self.how, Exception):
            raise self.how
        elif self.how:
            call.incomplete()
        for name in upstream.groups:
            if call.options.upstream == "down" or name != self.how:
                yield Group(name, listed=True)

    def says(self, group: str, name: str = "down") -> None:
        self.stage.says(group, self.stage.bare(f"of {name}"), name=name)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with rehearsal(tmp_path) as found:
        both = Two(found)
        both.says("app", "up")
        both.says("lib", "up")
        both.says("other")
        yield both


BLIND: list[Exception | str] = ["lib", Unreachable("no answer"), OSError("no route")]


@pytest.mark.parametrize("how", BLIND)
@pytest.mark.parametrize("more", ["", "sync: {mode: additive}"])
def test_a_name_is_nobody_elses_while_its_owner_cannot_be_asked(
    two: Two, how: Exception | str, more: str
) -> None:
    two.declare(more=more)
    two.stage.applied()
    two.how = how
    two.says("lib")
    two.stage.says("other", two.stage.bare("of down"), two.stage.file("more"), name="down")
    two.stage.failed()
    assert two.stage.held() == [
        "app/of up",
        "lib/of up",
        "other/more",
        "other/of down",
    ], "what it has brought goes on"
    two.how = ""
    two.stage.applied()
    assert two.stage.held() == ["app/of up", "lib/of up", "other/more", "other/of down"]
    assert two.stage.settled()


@pytest.mark.parametrize("how", BLIND)
def test_behind_a_source_that_was_never_heard_nothing_new_comes_in(
    two: Two, how: Exception | str
) -> None:
    two.how = how
    for name in ("lib", "x", "y", "z"):
        two.says(name)
    said = two.stage.failed()
    assert (
        "remote:down: brings nothing new under `lib`, `other`, `x` and 2 more: remote:up could not"
        " be asked completely" in said
    )
    assert not [name for name in two.stage.held() if name.endswith("of down")]
    two.how = ""
    two.stage.applied()
    assert two.stage.held() == [
        "app/of up",
        "lib/of up",
        "other/of down",
        "x/of down",
        "y/of down",
        "z/of down",
    ]
    assert two.stage.settled()


def test_offline_it_is_unknown_instead(two: Two) -> None:
    two.how = NotCached("never read")
    content = two.stage.content()
    assert content.failures == ()
    assert content.unknown == ("remote:down: names that remote:up may have", "remote:up")


def test_what_a_later_source_would_need_from_it_takes_nothing_away(two: Two) -> None:
    two.says("held")
    two.stage.applied()
    two.how = Unreachable("no answer")
    two.needed = ["new"]
    two.stage.drops("held", name="down")
    assert "`new`" in two.stage.failed()
    assert "held/of down" in two.stage.held()
    two.how = ""
    two.stage.applied()
    assert "held/of down" not in two.stage.held()


def test_a_copy_and_a_low_level_source_keep_back_as_well(two: Two) -> None:
    stage = two.stage
    stage.declare(
        stage.remote(),
        stage.remote("down"),
        repository("base", source("down")),
        repository("team", source("up"), "repository: {name: base}"),
    )
    two.how = Unreachable("no answer")
    assert "remote:up could not be asked" in stage.failed()
    assert (stage.held("base"), stage.held()) == (["other/of down"], [])

    async def sync(conduit: SyncConduit) -> None:
        if conduit.options.upstream == "up":
            raise OSError("no route")
        conduit.save_unit("other", stage.bare("one"))

    stage.script.on_sync = sync
    stage.declare(
        stage.remote(type="records"),
        stage.remote("down", type="records"),
        repository("low", source("up"), source("down"), type="records"),
    )
    assert "brings nothing new under `other`" in stage.failed("repository/low", prune=False)


def test_a_source_that_was_renamed_loses_nothing_while_its_successor_is_incomplete(
    two: Two,
) -> None:
    two.declare("up")
    two.stage.applied()
    two.how = "lib"
    two.declare("again")
    two.stage.script.upstreams["again"] = two.stage.script.upstream("up")
    two.stage.failed()
    assert two.stage.held() == ["app/of up", "lib/of up"]


@pytest.mark.parametrize(
    ("error", "then"), [(Withdrawn("quarantined"), []), (Gone("404"), ["lib/of down"])]
)
def test_what_is_withdrawn_leaves_and_its_name_does_not(
    two: Two, error: Exception, then: list[str]
) -> None:
    async def read(call: ImporterCall, group: Group) -> list[Unit]:
        if group.name == "lib" and call.options.upstream == "up":
            raise error
        return two.stage.script.upstream(call.options.upstream).groups[group.name]

    two.stage.applied()
    two.says("lib")
    two.stage.script.on_read = read
    two.stage.applied()
    assert two.stage.held() == ["app/of up", *then, "other/of down"]
    owner = "remote:down" if then else "remote:up"
    assert two.stage.explain("lib")["groups"] == [{"name": "lib", "owner": owner}]
    assert two.stage.settled()
    two.how = Unreachable("no answer")
    two.stage.failed()
    assert two.stage.held() == ["app/of up", *then, "other/of down"]
    two.how, two.stage.script.on_read = "", None
    two.stage.applied()
    assert two.stage.held() == ["app/of up", "lib/of up", "other/of down"]


def test_explain_knows_what_is_not_known(two: Two) -> None:
    two.stage.applied()
    two.how = "lib"
    two.says("lib")
    answer = two.stage.explain("lib")
    assert answer["groups"] == [{"name": "lib", "owner": "remote:up"}]
    assert [one["result"] for one in answer["sources"]] == ["unknown", "answered"]
    assert not any("no source lists" in line for line in lines(answer))
    two.says("new")
    [first, second] = two.stage.explain("new")["sources"]
    assert (first["result"], second["groups"][0]["result"]) == ("unknown", "unknown")
    assert "may have the name" in second["groups"][0]["message"]
    assert two.stage.explain("other")["sources"][1]["groups"][0]["units"][0]["accepted"]


def test_explain_lets_a_later_source_know_all_names_of_an_earlier_one(two: Two) -> None:
    """`down` follows what `other` needs only where nobody else has it."""
    heard: list[bool] = []

    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        if call.options.upstream == "down":
            heard.append(call.taken("lib"))
        elif two.how:
            raise OSError("no route")
        for name in two.stage.script.upstream(call.options.upstream).groups:
            yield Group(name)

    two.stage.script.on_declare = declare
    two.stage.applied()
    two.stage.explain("other")
    two.how = "lib"
    two.stage.explain("other")
    assert heard == [True, True, True]


def test_explain_says_who_holds_a_key_that_two_sources_have(two: Two) -> None:
    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        yield Group("lib", shared=True)

    two.stage.script.on_declare = declare
    two.stage.says("lib", two.stage.bare("1.0", by="up"), name="up")
    two.stage.says("lib", two.stage.bare("1.0", by="down"), two.stage.bare("2.0"), name="down")
    for _ in range(2):
        units = two.stage.explain("lib", declared=True)["sources"][1]["groups"][0]["units"]
        assert [(unit["key"], unit["accepted"], unit["reason"]) for unit in units] == [
            ("1.0", False, "held by remote:up"),
            ("2.0", True, ""),
        ]
        two.stage.applied()
