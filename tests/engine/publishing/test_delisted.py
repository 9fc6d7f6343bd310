"""A file that upstream no longer lists is named for each publication that still shows it.

The kind: news from upstream that reaches the latest version of a mirror and nothing else. What our
own rules take out is no news from upstream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Inspector
from reconciler.errors import Gone, Withdrawn
from reconciler.model import Kind
from reconciler.plan import ResourceChange
from reconciler.plugin import Group, ReadConduit, Unit
from tests.engine.publishing.withheld import establish, shown, two_groups
from tests.support.rehearsal import Rehearsal, copy, publication, repository, rules

ADDITIVE = "sync: {mode: additive}"
PINNED = publication("pinned", more="version: 1")
NAMED = "no longer listed upstream, and still shown"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


def lists(site: Rehearsal, *keys: str, validator: str) -> None:
    """Let upstream list these files in group `a`."""
    site.says("a", *(site.file(key) for key in keys), validator=validator)


def named(change: ResourceChange) -> list[str]:
    return [f"{group}/{key}" for _, group, key in change.delisted.first]


def of_status(site: Rehearsal) -> dict[str, list[str]]:
    def of(registry: Any, reader: Any) -> dict[str, list[str]]:
        delisted = {}
        for document in Inspector(reader, registry).resources(Kind.PUBLICATION):
            if shown := document["status"].get("delistedShown"):
                names = [f"{entry['group']}/{entry['key']}" for entry in shown["entries"]]
                assert shown["total"] == len(names)
                delisted[document["metadata"]["name"]] = names
        return delisted

    names: dict[str, list[str]] = site.ask(partial(of, site.registry))
    return names


def told(site: Rehearsal, *, prune: bool = False) -> dict[str, list[str]]:
    """Apply, and return what the plan names for publications; their status says the same then."""
    site.applied(prune=prune)
    assert site.carried_out is not None
    changes = [change for change in site.carried_out.all_changes if change.delisted.total]
    planned = {change.ref.name: named(change) for change in changes}
    assert of_status(site) == planned
    return planned


@pytest.mark.parametrize(
    ("mode", "showing"), [("", ["pinned"]), (ADDITIVE, ["edge", "pinned", "team"])]
)
def test_each_publication_that_shows_it_is_named(
    site: Rehearsal, mode: str, showing: Sequence[str]
) -> None:
    """{mirror, additive} x {latest, pinned, copy} x {withdrawn, denied, listed again, changed}."""
    base = (site.remote(), repository("team", more=mode), repository("edge", copy("team")))
    publications = (publication(), PINNED, publication("edge", of="edge"))
    establish(site, *base, *publications)
    assert told(site) == {}
    lists(site, "one", validator="2")
    assert told(site) == {name: ["a/two"] for name in showing}
    assert ("a/two" in shown(site)) == bool(mode), "the contract of additive mode stays"
    lists(site, "one", "new", validator="3")
    assert told(site) == {name: ["a/two"] for name in showing}, "it is remembered"
    site.declare(*base, *publications, rules("deny: [two]"))
    assert told(site) == {}, "what is withheld is not shown"
    site.declare(*base, *publications)
    assert told(site, prune=True) == {name: ["a/two"] for name in showing}
    lists(site, "one", "two", "new", validator="4")
    assert told(site) == {}
    assert "two" in [path[2:] for path in shown(site)]


@pytest.mark.parametrize("mode", ["", ADDITIVE])
def test_what_our_own_rules_take_out_is_not_withdrawn(site: Rehearsal, mode: str) -> None:
    """By a filter, by a key of the source, or since the group is not asked for any more."""
    team = repository("team", more=mode)
    establish(site, site.remote(), team, PINNED)
    site.declare(site.remote(), team, PINNED, rules("deny: [two]"))
    assert told(site) == {}
    skipping = repository("team", "remote: {name: up, skip: [one]}", more=mode)
    site.declare(site.remote(), skipping, PINNED)
    assert told(site) == {}
    site.drops("a")
    assert told(site) == {}
    site.declare(site.remote(), repository("team", "upload: {}", more=mode), PINNED)
    assert told(site) == {}


def test_it_is_delisted_behind_a_rule_that_went(site: Rehearsal) -> None:
    """Upstream withdrew it while a rule of ours kept it out: the head never lost it for that."""
    team = (site.remote(), repository(), PINNED)
    establish(site, *team)
    site.declare(*team, rules("deny: [two]"))
    site.applied()
    lists(site, "one", validator="2")
    site.applied()
    site.declare(*team)
    assert told(site, prune=True) == {"pinned": ["a/two"]}


def test_other_bytes_under_the_name_are_withdrawn_with_it(site: Rehearsal) -> None:
    """A version shows what the name once meant, which no later reading would find."""
    establish(site, site.remote(), repository(), PINNED)
    site.says("a", site.file("one"), site.bare("two", yanked=True), validator="2")
    assert told(site) == {}, "the name is listed"
    lists(site, "one", validator="3")
    assert told(site) == {"pinned": ["a/two"]}


def test_a_project_that_is_gone_lists_nothing(site: Rehearsal) -> None:
    establish(site, site.remote(), repository("team", more=ADDITIVE), publication(), PINNED)
    site.says("a", validator="2")
    site.script.failing["a"] = Gone("404")
    both = ["a/one", "a/two"]
    assert told(site) == {"team": both, "pinned": both}


def test_a_part_of_a_set_of_files_that_is_gone_withdraws_its_files(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are no names: one that upstream no longer declares has lost its last file."""
    monkeypatch.setattr(site.registry.importer("lines").cls, "shared_groups", True)
    establish(site, site.remote(), repository("team", more=ADDITIVE), publication())
    site.drops("b")
    assert told(site) == {"team": ["b/three"]}
    assert site.settled()
    site.says("b", site.file("three"), validator="1")
    assert told(site) == {}, "the part is read again, though it has the validator of before"


def test_after_a_quarantine_the_files_that_were_taken_out_are_named(site: Rehearsal) -> None:
    """They made the project hostile, and are shown again with it by whatever is pinned."""
    establish(site, site.remote(), repository(), PINNED)
    site.says("a", validator="2")
    site.script.failing["a"] = Withdrawn("quarantined: malware")
    assert told(site) == {}, "quarantined, and withheld"
    del site.script.failing["a"]
    lists(site, "one", validator="3")
    assert told(site) == {"pinned": ["a/two"]}


def test_an_undeclared_publication_is_named_as_well(site: Rehearsal) -> None:
    team = (site.remote(), repository())
    establish(site, *team, PINNED)
    lists(site, "one", validator="2")
    site.declare(*team)
    [undeclared] = site.plan().unowned_changes
    assert (undeclared.ref.name, named(undeclared)) == ("pinned", ["a/two"])
    report = site.applied()
    assert "publication/pinned" not in [outcome.ref for outcome in report.outcomes]
    assert f"a/two                        {NAMED}" in site.text()
    assert site.settled()


def test_what_could_not_be_asked_completely_withdraws_nothing(site: Rehearsal) -> None:
    establish(site, site.remote(), repository("team", more=ADDITIVE), publication())

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        conduit.incomplete("one server is down")
        return [site.file("one")]

    site.script.on_read = read
    site.says("a", validator="2")
    assert told(site) == {}
    assert "a/two" in site.held()
