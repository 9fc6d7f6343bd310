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
    ReadConduit,
    SyncConduit,
    Unchanged,
    Unit,
    Withdrawn,
)
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())
        site.says("a", site.file("one"), site.file("two"))
        site.says("b", site.file("three"))
        yield site


def declaring(site: Rehearsal, *groups: str, partly: bool, validator: str) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
        if partly:
            conduit.incomplete("one server is down")
        for name in groups:
            yield Group(name, validator)

    site.script.on_declare = declare


def test_nothing_leaves_for_being_absent_and_the_next_run_makes_up_for_it(site: Rehearsal) -> None:
    declaring(site, "a", "b", partly=False, validator="1")
    site.applied()
    site.says("a", site.file("one"), site.file("new"))
    declaring(site, "a", partly=True, validator="partly")
    assert "remote:up: could not be asked completely: one server is down" in site.failed()
    assert site.held() == ["a/new", "a/one", "a/two", "b/three"]
    declaring(site, "a", partly=False, validator="2")
    site.applied()
    assert site.held() == ["a/new", "a/one"]


def test_a_group_that_is_incomplete_takes_what_is_new_and_loses_nothing(site: Rehearsal) -> None:
    async def read(conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        if group.name == "a":
            conduit.incomplete("one server is down")
        return [site.bare(f"{group.name}-new")]

    site.applied()
    before = site.held()
    site.script.on_read = read
    site.says("a", validator="2")
    site.says("b", validator="2")
    site.applied()
    kept = [unit for unit in before if unit.startswith("a/")]
    assert site.held() == ["a/a-new", *kept, "b/b-new"]
    site.script.on_read = None
    site.says("a", site.bare("a-new"), validator="2")
    site.says("b", site.bare("b-new"), validator="2")
    site.applied()
    assert site.held() == ["a/a-new", "b/b-new"], "it is read again, whatever its validator says"


def test_a_source_hears_which_groups_an_earlier_one_has(site: Rehearsal) -> None:
    heard: dict[str, list[str]] = {}

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
        upstream = site.script.upstream(conduit.options.upstream)
        heard[conduit.options.upstream] = [
            name for name in ("a", "b", "c") if conduit.owned_by_earlier_source(name)
        ]
        for name in upstream.groups:
            yield Group(name, listed=True)

    site.script.on_declare = declare
    site.says("b", site.file("other"), name="second")
    site.says("c", site.file("four"), name="second")
    site.declare(
        site.remote(), site.remote("second"), repository("team", source("up"), source("second"))
    )
    site.applied()
    assert heard == {"up": [], "second": ["a", "b"]}


class Two:
    """`up` before `down`. Of `up` a run hears what `says` holds, wholly, in part, or nothing at
    all.
    """

    def __init__(self, site: Rehearsal, *, more: str = "") -> None:
        self.site = site
        self.how: Exception | str = ""
        self.needed: list[str] = []  # names that the second source asks about, as a closure does
        site.script.on_declare = self._declare
        self.declare(more=more)

    def declare(self, *names: str, more: str = "") -> None:
        site = self.site
        names = names or ("up", "down")
        site.declare(*map(site.remote, names), repository("team", *map(source, names), more=more))

    async def _declare(self, conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        upstream = self.site.script.upstream(conduit.options.upstream)
        if conduit.options.upstream == "down":
            taken = [name for name in self.needed if conduit.owned_by_earlier_source(name)]
            if taken and conduit.unchanged("taken"):
                yield UNCHANGED
                return
        elif isinstance(self.how, Exception):
            raise self.how
        elif self.how:
            conduit.incomplete("one server is down")
        for name in upstream.groups:
            if conduit.options.upstream == "down" or name != self.how:
                yield Group(name, listed=True)

    def says(self, group: str, name: str = "down") -> None:
        self.site.says(group, self.site.bare(f"of {name}"), name=name)


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
    two.site.applied()
    two.how = how
    two.says("lib")
    two.site.says("other", two.site.bare("of down"), two.site.file("more"), name="down")
    two.site.failed()
    assert two.site.held() == [
        "app/of up",
        "lib/of up",
        "other/more",
        "other/of down",
    ], "what it has brought goes on"
    two.how = ""
    two.site.applied()
    assert two.site.held() == ["app/of up", "lib/of up", "other/more", "other/of down"]
    assert two.site.settled()


@pytest.mark.parametrize("how", BLIND)
def test_behind_a_source_that_was_never_heard_nothing_new_comes_in(
    two: Two, how: Exception | str
) -> None:
    two.how = how
    for name in ("lib", "x", "y", "z"):
        two.says(name)
    said = two.site.failed()
    assert (
        "remote:down: brings nothing new under `lib`, `other`, `x` and 2 more: remote:up could not"
        " be asked completely" in said
    )
    assert not [name for name in two.site.held() if name.endswith("of down")]
    two.how = ""
    two.site.applied()
    assert two.site.held() == [
        "app/of up",
        "lib/of up",
        "other/of down",
        "x/of down",
        "y/of down",
        "z/of down",
    ]
    assert two.site.settled()


def test_offline_it_is_unknown_instead(two: Two) -> None:
    two.how = NotCached("never read")
    content = two.site.content()
    assert content.failures == ()
    assert content.unknown == ("remote:down: names that remote:up may have", "remote:up")


def test_what_a_later_source_would_need_from_it_takes_nothing_away(two: Two) -> None:
    two.says("held")
    two.site.applied()
    two.how = Unreachable("no answer")
    two.needed = ["new"]
    two.site.drops("held", name="down")
    assert "`new`" in two.site.failed()
    assert "held/of down" in two.site.held()
    two.how = ""
    two.site.applied()
    assert "held/of down" not in two.site.held()


def test_a_copy_and_a_low_level_source_keep_back_as_well(two: Two) -> None:
    site = two.site
    site.declare(
        site.remote(),
        site.remote("down"),
        repository("base", source("down")),
        repository("team", source("up"), "repository: {name: base}"),
    )
    two.how = Unreachable("no answer")
    assert "remote:up could not be asked" in site.failed()
    assert (site.held("base"), site.held()) == (["other/of down"], [])

    async def sync(conduit: SyncConduit) -> None:
        if conduit.options.upstream == "up":
            raise OSError("no route")
        conduit.save_unit("other", site.bare("one"))

    site.script.on_sync = sync
    site.declare(
        site.remote(type="records"),
        site.remote("down", type="records"),
        repository("low", source("up"), source("down"), type="records"),
    )
    assert "brings nothing new under `other`" in site.failed("repository/low", prune=False)


def test_a_source_that_was_renamed_loses_nothing_while_its_successor_is_incomplete(
    two: Two,
) -> None:
    two.declare("up")
    two.site.applied()
    two.how = "lib"
    two.declare("again")
    two.site.script.upstreams["again"] = two.site.script.upstream("up")
    two.site.failed()
    assert two.site.held() == ["app/of up", "lib/of up"]


@pytest.mark.parametrize(
    ("error", "then"), [(Withdrawn("quarantined"), []), (Gone("404"), ["lib/of down"])]
)
def test_what_is_withdrawn_leaves_and_its_name_does_not(
    two: Two, error: Exception, then: list[str]
) -> None:
    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        if group.name == "lib" and conduit.options.upstream == "up":
            raise error
        return two.site.script.upstream(conduit.options.upstream).groups[group.name]

    two.site.applied()
    two.says("lib")
    two.site.script.on_read = read
    two.site.applied()
    assert two.site.held() == ["app/of up", *then, "other/of down"]
    owner = "remote:down" if then else "remote:up"
    assert two.site.explain("lib")["groups"] == [{"name": "lib", "owner": owner}]
    assert two.site.settled()
    two.how = Unreachable("no answer")
    two.site.failed()
    assert two.site.held() == ["app/of up", *then, "other/of down"]
    two.how, two.site.script.on_read = "", None
    two.site.applied()
    assert two.site.held() == ["app/of up", "lib/of up", "other/of down"]


def test_explain_knows_what_is_not_known(two: Two) -> None:
    two.site.applied()
    two.how = "lib"
    two.says("lib")
    answer = two.site.explain("lib")
    assert answer["groups"] == [{"name": "lib", "owner": "remote:up"}]
    assert [source["result"] for source in answer["sources"]] == ["unknown", "answered"]
    assert not any("no source lists" in line for line in lines(answer))
    two.says("new")
    [first, second] = two.site.explain("new")["sources"]
    assert (first["result"], second["groups"][0]["result"]) == ("unknown", "unknown")
    assert "may have the name" in second["groups"][0]["message"]
    assert two.site.explain("other")["sources"][1]["groups"][0]["units"][0]["accepted"]


def test_explain_lets_a_later_source_know_all_names_of_an_earlier_one(two: Two) -> None:
    """`down` follows what `other` needs only where nobody else has it."""
    heard: list[bool] = []

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        if conduit.options.upstream == "down":
            heard.append(conduit.owned_by_earlier_source("lib"))
        elif two.how:
            raise OSError("no route")
        for name in two.site.script.upstream(conduit.options.upstream).groups:
            yield Group(name)

    two.site.script.on_declare = declare
    two.site.applied()
    two.site.explain("other")
    two.how = "lib"
    two.site.explain("other")
    assert heard == [True, True, True]


def test_explain_says_who_holds_a_key_that_two_sources_have(two: Two) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        yield Group("lib", shared=True)

    two.site.script.on_declare = declare
    two.site.says("lib", two.site.bare("1.0", by="up"), name="up")
    two.site.says("lib", two.site.bare("1.0", by="down"), two.site.bare("2.0"), name="down")
    for _ in range(2):
        units = two.site.explain("lib", declared=True)["sources"][1]["groups"][0]["units"]
        assert [(unit["key"], unit["accepted"], unit["reason"]) for unit in units] == [
            ("1.0", False, "held by remote:up"),
            ("2.0", True, ""),
        ]
        two.site.applied()
