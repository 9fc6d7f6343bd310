"""A recorded filter rules until it is removed: what a run was not given is no decision.

The kind: everything that a run infers from what was not on its command line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.database import Reader
from reconciler.engine.planning.recorded_rules import Letting, removal_message
from reconciler.model import Kind, Ref
from reconciler.plan import render_text
from tests.engine.publishing.withheld import rows, shown, status, two_groups
from tests.support.rehearsal import Rehearsal, publication, repository, resource, rules

DENY = rules("deny: [one, three]")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


def recorded(site: Rehearsal) -> list[str]:
    def of(reader: Reader) -> list[str]:
        return sorted(map(str, reader.actual_state().resources))

    refs: list[str] = site.ask(of)
    return refs


def test_a_global_filter_rules_a_run_that_was_not_given_its_manifest(site: Rehearsal) -> None:
    site.declare(DENY)
    site.applied()
    team = (site.remote(), repository(), publication())
    site.declare(*team)
    site.applied()
    assert site.held() == ["a/two"], "the filter of the run before denies what this run brings"
    site.says("c", site.file("three", b"once more"), site.file("four"), validator="1")
    site.applied()
    assert site.held() == ["a/two", "c/four"]
    assert site.settled()
    assert (
        "? Filter rules   no manifest declares it any more; it rules until `--prune` removes it"
        in site.text()
    )


def test_explain_by_manifests_knows_the_recorded_filter(site: Rehearsal) -> None:
    site.declare(DENY)
    site.applied()
    site.declare(site.remote(), repository(), publication())
    site.applied()
    assert "rules.deny" in str(site.explain("a", declared=True))


def test_removing_a_global_filter_is_guarded_and_names_what_it_lets_in(site: Rehearsal) -> None:
    team = (site.remote(), repository(), publication())
    site.declare(DENY, *team)
    site.applied()
    site.declare(*team)
    message = site.failed("filter/rules", prune=True, destroy=False)
    assert (  # the noun that the plan counts by
        "lets in 2 lines that it keeps out today, in repository/team: `one`, `three`" in message
    )
    assert "hint: declare it again, or pass `--allow-destroy`" in message
    assert (site.held(), "filter/rules" in recorded(site)) == (["a/two"], True)
    site.applied(prune=True)
    assert (site.held(), "filter/rules" in recorded(site)) == (["a/one", "a/two", "b/three"], False)


def test_a_filter_of_which_nothing_depends_today_is_still_no_accident(site: Rehearsal) -> None:
    team = (site.remote(), repository(), publication())
    site.declare(rules("deny: [evil]"), *team)
    site.applied()
    site.declare(*team)
    message = site.failed("filter/rules", prune=True, destroy=False)
    assert "filter/rules rules until it is removed; today it keeps nothing out" in message
    site.says("e", site.file("evil"), validator="1")
    site.apply(prune=True, destroy=False)
    assert "e/evil" not in site.held()


def test_a_filter_under_another_name_is_only_renamed(site: Rehearsal) -> None:
    team = (site.remote(), repository(), publication())
    site.declare(DENY, *team)
    site.applied()
    site.declare(DENY.replace("{name: rules}", "{name: house}"), *team)
    site.applied(prune=True, destroy=False)
    assert (site.held(), "filter/rules" in recorded(site)) == (["a/two"], False)


def test_a_filter_without_a_repository_to_rule_is_pruned_like_anything(site: Rehearsal) -> None:
    site.declare(rules("deny: [one]"))
    site.applied()
    site.declare(resource("Remote", "up", "type: lines, url: 'https://example.org/'"))
    site.applied(prune=True, destroy=False)
    assert recorded(site) == ["remote/up"]


def test_what_an_undeclared_publication_shows_obeys_todays_filters(site: Rehearsal) -> None:
    team = (site.remote(), repository())
    site.declare(*team, publication(), publication("pinned", more="version: 1"))
    site.apply()  # makes version 1: a number refers to what exists when planning
    site.applied()
    site.declare(DENY)
    plan = site.plan()
    assert [str(change.ref) for change in plan.unowned_changes] == [
        "publication/pinned",
        "publication/team",
    ]
    assert "withheld: rules.deny" in "\n".join(render_text(plan, verbose=True))
    site.applied()
    assert (shown(site), shown(site, "pinned")) == (["a/two"], ["a/two"])
    assert status(site) == {"a/one": "rules.deny", "b/three": "rules.deny"}
    assert site.settled()
    site.declare(*team)
    site.applied()
    assert shown(site) == ["a/two"], "a publication that no manifest declares stays where it is"


def test_an_undeclared_publication_does_not_move_to_another_version(site: Rehearsal) -> None:
    team = (site.remote(), repository())
    site.declare(*team, publication())
    site.applied()
    site.says("c", site.file("four"), validator="1")
    site.declare(*team, rules("deny: [four, one]"))
    site.applied()
    assert (site.number(), shown(site)) == (2, ["a/two", "b/three"])


def test_a_recorded_filter_that_cannot_be_read_any_more_is_not_no_rule(site: Rehearsal) -> None:
    site.declare(DENY)
    site.applied()
    ref = Ref(Kind.FILTER, "rules")
    spoil(site, ref)
    site.declare(site.remote(), repository(), publication())
    message = site.failed()
    assert "filter/rules, which rules it and no manifest here declares, cannot be read" in message
    site.applied(prune=True)
    assert site.held() == ["a/one", "a/two", "b/three"]


def spoil(site: Rehearsal, ref: Ref) -> None:
    """Make the recorded filter one that its plugin does not know any more."""

    with sqlite3.connect(site.folder / "home" / "state.db") as connection:
        connection.execute(
            "update resource set spec = replace(spec, '\"deny\"', '\"other\"') where name = ?",
            (ref.name,),
        )


def test_a_path_of_an_undeclared_export_is_not_taken_over(site: Rehearsal) -> None:
    folder = site.folder / "tree"
    more = f"exports: [{{directory: {{path: {folder}}}}}]"
    team = (site.remote(), repository())
    site.declare(*team, publication("old", more=more))
    site.applied()
    site.declare(*team, publication("new", more=more))
    message = site.failed("publication/new")
    assert f"`{folder}` is still exported to by publication/old" in message
    site.applied(prune=True)
    assert rows(site, "new") == []


def test_what_comes_in_is_counted_as_the_plan_counts_it_and_named_by_its_release() -> None:
    """Kind: two numbers, or two nouns, for the same things."""
    team, shown = Ref(Kind.REPOSITORY, "team"), Ref(Kind.PUBLICATION, "team")
    lettings = {
        Letting(resource, "alpha", version, f"alpha-{version}.{ending}", "distributions")
        for resource in (team, shown)
        for version in map(str, range(1, 7))
        for ending in ("whl", "tar.gz")
    }
    rules = Ref(Kind.FILTER, "rules")
    message = removal_message(rules, frozenset({rules}), lettings)
    assert message.startswith("removing filter/rules lets in 12 distributions that")
    assert message.endswith("`alpha 4`, `alpha 5` and more")
