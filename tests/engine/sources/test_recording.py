"""The low-level way: what `sync` records is what happens, later, as a whole or not at all; what it
does not mention stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import StoredUnit
from reconciler.plugin import Artifact, StoredArtifact, SyncConduit
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules, source
from tests.support.scripted_plugins import LINE

TYPE = "records"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(type=TYPE), repository(type=TYPE))
        site.says("a", site.file("one"), site.file("two"))
        site.says("b", site.bare("three"))
        site.applied()
        yield site


def recording(site: Rehearsal, *steps: Callable[[SyncConduit], Any]) -> None:
    """From now on `sync` does this."""

    async def sync(conduit: SyncConduit) -> None:
        for step in steps:
            step(conduit)

    site.script.on_sync = sync


def save(group: str, key: str, **metadata: Any) -> Callable[[SyncConduit], Any]:
    return lambda conduit: conduit.save_unit(group, conduit.init_unit(LINE, key, metadata))


def remove(group: str, key: str) -> Callable[[SyncConduit], Any]:
    def step(conduit: SyncConduit) -> None:
        for unit in conduit.units(group):
            if unit.key == key:
                conduit.remove_unit(unit)

    return step


def test_what_is_not_mentioned_stays(site: Rehearsal) -> None:
    recording(site)
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert site.number() == 1


def test_units_are_saved_replaced_and_removed(site: Rehearsal) -> None:
    recording(site, save("a", "new"), save("b", "three", by="somebody"), remove("a", "two"))
    assert "by changed" in site.text()
    site.applied()
    assert site.held() == ["a/new", "a/one", "b/three"]
    assert site.number() == 2
    assert site.settled()


def test_a_group_that_is_emptied_is_gone(site: Rehearsal) -> None:
    recording(site, remove("b", "three"), lambda conduit: seen.extend(conduit.groups()))
    seen: list[str] = []
    site.applied()
    assert site.held() == ["a/one", "a/two"]
    assert seen == ["a", "b"], "what is recorded has not happened yet"
    site.applied()
    assert seen == ["a", "b", "a"]


def test_removed_and_saved_again_it_stays(site: Rehearsal) -> None:
    recording(site, remove("b", "three"), save("b", "three"))
    site.applied()
    assert site.number() == 1


def test_removing_what_is_not_there_is_no_error(site: Rehearsal) -> None:
    stranger = StoredUnit(artifacts=[], group="z", key="nobody", metadata={}, type=LINE)
    recording(site, lambda conduit: conduit.remove_unit(stranger))
    site.applied()
    assert site.number() == 1


def test_the_additive_mode_removes_nothing(site: Rehearsal) -> None:
    site.declare(site.remote(type=TYPE), repository(type=TYPE, more="sync: {mode: additive}"))
    recording(site, remove("a", "one"), remove("a", "two"), remove("b", "three"), save("c", "four"))
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three", "c/four"]
    assert site.settled()


def test_other_rules_decide_again_what_is_held(site: Rehearsal) -> None:
    recording(site)
    site.declare(site.remote(type=TYPE), repository(type=TYPE), rules("deny: [two]", type=TYPE))
    site.applied()
    assert site.held() == ["a/one", "b/three"]
    assert site.settled()


def test_the_rules_have_the_last_word_on_what_is_saved(site: Rehearsal) -> None:
    site.declare(site.remote(type=TYPE), repository(type=TYPE), rules("deny: [new]", type=TYPE))
    recording(site, save("a", "new"))
    assert "rules.deny" in site.text()
    site.applied()
    assert "a/new" not in site.held()


def test_what_is_refused_is_shown_and_fails_nothing(site: Rehearsal) -> None:
    recording(site, lambda conduit: conduit.refuse("a", "../evil", "no path"))
    assert "refused: no path" in site.text()
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]


def test_a_known_unit_joins_as_it_is_without_any_download(site: Rehearsal) -> None:
    site.server.requests.clear()
    site.declare(site.remote(type=TYPE), repository(type=TYPE), repository("second", type=TYPE))
    [one] = [unit for unit in site.units() if unit.key == "one"]
    recording(site, lambda conduit: conduit.associate_unit(one))
    site.applied()
    assert site.held("second") == ["a/one"]
    assert site.downloads() == []


def test_a_known_unit_whose_bytes_are_nowhere_fails_by_name(site: Rehearsal) -> None:
    unknown = StoredUnit(
        artifacts=[StoredArtifact("lost", "0" * 64, 1)],
        group="a",
        key="lost",
        metadata={},
        type=LINE,
    )
    recording(site, lambda conduit: conduit.associate_unit(unknown), save("b", "other"))
    assert "`lost`" in site.failed()
    assert "a/lost" not in site.held()
    assert "b/other" in site.held()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda conduit: conduit.save_unit("a", conduit.init_unit(LINE, "", {})), "unusable key"),
        (
            lambda conduit: conduit.init_unit(LINE, "x", {}, [Artifact("../x", "0" * 64)]),
            "unsafe artifact path",
        ),
        (lambda conduit: conduit.init_unit(LINE, "x", {"a": 1.5}), "floats"),
        (lambda conduit: conduit.save_unit("", conduit.init_unit(LINE, "x", {})), "group"),
        (lambda conduit: conduit.save_unit("a", "no unit"), "is no unit"),
        (lambda conduit: conduit.remove_unit("no unit"), "`records`"),
        (
            lambda conduit: (save("a", "x")(conduit), save("a", "x")(conduit)),
            "two units under the key `x`",
        ),
        (lambda conduit: conduit.unchanged(""), "validator"),
        (lambda conduit: conduit.set_scratchpad({"a": {1, 2}}), "scratchpad"),
        (lambda conduit: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_sync_that_fails_half_way_records_nothing(
    step: Callable[[SyncConduit], Any], said: str, site: Rehearsal
) -> None:
    recording(
        site,
        lambda conduit: conduit.set_scratchpad("kept"),
        save("a", "new"),
        remove("a", "one"),
        step,
    )
    message = site.failed()
    assert said in message
    assert "records" in message
    assert "remote:up" in message
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert site.note("importer:records") is None


def test_a_conduit_that_was_kept_says_so(site: Rehearsal) -> None:
    kept: list[SyncConduit] = []
    recording(site, kept.append)
    site.applied()
    recording(site, lambda conduit: save("a", "late")(kept[0]))
    assert "`SyncConduit` after its call had returned" in site.failed()


def test_a_file_that_fails_is_asked_for_again(site: Rehearsal) -> None:
    site.server.on("/four", status(404))
    site.validator("v1")
    site.says("a", site.file("one"), site.file("two"), four := site.file("four"))
    site.server.on("/four", status(404))
    assert "`four`" in site.failed()
    site.says("a", site.file("one"), site.file("two"), four)
    site.file("four")
    site.applied()
    assert site.held() == ["a/four", "a/one", "a/two", "b/three"]
    site.script.forget()
    site.applied()
    assert site.script.decided == [], "unchanged is believed again"


def test_what_a_sync_leaves_upstream_is_fetched_when_the_policy_changes(site: Rehearsal) -> None:
    """`sync` does not mention again what it holds: where its bytes are is recorded."""
    documents = repository(type=TYPE, more="")
    site.says("a", site.file("fresh"))
    site.declare(site.remote(type=TYPE, more="policy: on-demand"), documents)
    site.applied()
    assert not site.has(b"fresh" * 10)
    recording(site)
    site.declare(site.remote(type=TYPE), documents)
    assert site.content().counts.download == 50
    site.applied()
    assert site.has(b"fresh" * 10)
    assert site.settled()


def test_the_first_of_two_sources_owns_a_name_and_an_emptied_one_goes_to_the_next(
    site: Rehearsal,
) -> None:
    both = [site.remote(type=TYPE), site.remote("other", type=TYPE)]
    site.says("b", site.bare("of other"), name="other")
    site.validator("o1", "other")
    site.declare(*both, repository("team", source("up"), source("other"), type=TYPE))
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]
    site.says("b")
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/of other"]
    assert site.settled()
    site.says("b", site.bare("three"))
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]


HELD = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2)), max_size=3
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(HELD, min_size=1, max_size=3))
def test_both_ways_end_in_the_same_version(steps: list[dict[str, dict[str, int]]]) -> None:
    ends = []
    for type in ("lines", TYPE):
        with TemporaryDirectory() as folder, rehearsal(Path(folder)) as site:
            site.declare(site.remote(type=type), repository(type=type))
            for groups in steps:
                held = {
                    name: [site.bare(key, by=value) for key, value in units.items()]
                    for name, units in groups.items()
                }
                site.script.upstream("up").groups = held
                site.applied()
                assert site.settled()
            ends.append((site.held(), site.digest()))
    assert ends[0] == ends[1]
