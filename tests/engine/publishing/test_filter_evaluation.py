"""What filters keep out of a publication, when they are evaluated again, and when not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Writer
from reconciler.engine.publishing.filter_evaluation import FilterEvaluator, FilterResult
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.publishing.withheld_changes import withheld_changes
from reconciler.model import ActualPublication, Filter, FilterVerdict, IdentifiedUnit, SourceKind
from reconciler.plan import Withholding
from reconciler.plugin import Options
from tests.support import databases
from tests.support.databases import NOW, a_unit, created_publication, created_repository, database
from tests.support.engine_states import (
    LATER,
    FakeRegistry,
    SourceOptions,
    a_publication,
    a_repository,
    a_source,
    desired,
    rules,
    writing_session,
)

UP, UPLOAD = "remote:up", SourceKind.UPLOAD.value
SOURCES = a_source("up"), a_source("", SourceKind.UPLOAD)


class NeedsOption(Options):
    required: str


class SkipsByDefault(SourceOptions):
    skip: tuple[str, ...] = ("one",)


@dataclass
class Site:
    """A repository `team` in a database, and its publication."""

    folder: Path
    writer: Writer
    repository_id: int
    publication_id: int
    registry: FakeRegistry

    def version(self) -> RepositoryVersion:
        state = self.writer.actual_state().repositories["team"]
        return RepositoryVersion(state.id, state.number, state.digest)

    def change(
        self, *keys: str, source: str = UP, leaves: tuple[IdentifiedUnit, ...] = ()
    ) -> RepositoryVersion:
        """`group/key` of each unit that comes in."""
        joins = [unit(key) for key in keys]
        databases.change(self.writer, self.repository_id, joins=joins, leaves=leaves, source=source)
        return self.version()

    def served(self, result: FilterResult, version: RepositoryVersion) -> ActualPublication:
        """Publish with this result."""
        units = result.units or {}
        with self.writer.publish(
            self.publication_id,
            version=version.number,
            version_digest=version.digest,
            digest=version.digest,
            now=NOW,
            full=True,
        ) as stage:
            stage.withhold(result.summary, {digest: row.reason for digest, row in units.items()})
            record = stage.complete()
        self.writer.point(self.publication_id, record.number)
        return self.writer.actual_state().publications["team"]

    def evaluator(
        self,
        *filters: Filter,
        own: tuple[str, ...] = (),
        mode: str = "mirror",
        now: datetime = NOW,
    ) -> FilterEvaluator:
        """`own`: names of filters that stand in the publication, not in the repository."""
        names = tuple(filter_.meta.name for filter_ in filters if filter_.meta.name not in own)
        repository = a_repository("team", *SOURCES, mode=mode, filters=names)
        publication = a_publication("team", filters=own)
        session = writing_session(self.folder, self.writer, registry=self.registry)
        return FilterEvaluator(
            session, desired(repository, publication, *filters), publication, now=now
        )


def unit(path: str) -> IdentifiedUnit:
    group, _, key = path.partition("/")
    return a_unit(group, key)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with database(tmp_path) as opened:
        writer = opened.writer()
        repository_id = created_repository(writer)
        yield Site(tmp_path, writer, repository_id, created_publication(writer), FakeRegistry())


NEVER = ActualPublication(0, "team")


def withheld(result: FilterResult) -> dict[str, str]:
    assert result.units is not None
    assert len(result.units) == result.summary.units
    return {f"{row.group}/{row.key}": row.reason for row in result.units.values()}


def evaluate(
    evaluator: FilterEvaluator,
    version: RepositoryVersion,
    current: ActualPublication = NEVER,
    *,
    filtered: bool = False,
) -> FilterResult:
    return evaluator.evaluate(current, version, sources_filtered=filtered)


def test_without_filters_nothing_is_asked(site: Site) -> None:
    version = site.change("a/one")
    assert evaluate(site.evaluator(), version) == FilterResult(FilterVerdict(), {})
    assert site.registry.asked == []


def test_units_that_filters_refuse_are_withheld_whoever_brought_them(site: Site) -> None:
    site.change("a/one", "b/two")
    version = site.change("a/sent", source=UPLOAD)
    result = evaluate(site.evaluator(rules("house", deny=("one", "sent"))), version)
    assert withheld(result) == {"a/one": "house.deny", "a/sent": "house.deny"}


def test_sources_that_this_run_has_filtered_are_not_asked_about(site: Site) -> None:
    site.change("a/one", "b/two")
    version = site.change("a/sent", source=UPLOAD)
    denying = rules("house", deny=("one", "sent"))
    result = evaluate(site.evaluator(denying), version, filtered=True)
    assert withheld(result) == {"a/sent": "house.deny"}
    assert set(site.registry.asked) == {"a"}


@pytest.mark.parametrize("how", [{"mode": "additive"}, {"own": ("house",)}], ids=["mode", "own"])
def test_they_are_asked_about_where_the_filters_of_the_run_are_not_those_in_force(
    site: Site, how: dict[str, Any]
) -> None:
    version = site.change("a/one", "b/two")
    evaluator = site.evaluator(rules("house", deny=("one",)), **how)
    assert withheld(evaluate(evaluator, version, filtered=True)) == {"a/one": "house.deny"}


def test_a_unit_that_passes_as_one_source_brought_it_is_shown(site: Site) -> None:
    site.change("a/one")
    version = site.change("a/one", source=UPLOAD)
    site.registry.options = SkipsByDefault
    result = evaluate(site.evaluator(rules("house", deny=("other",))), version)
    assert withheld(result) == {}


def test_a_default_option_that_refuses_is_no_filter(site: Site) -> None:
    version = site.change("a/one", "a/two")
    site.registry.options = SkipsByDefault
    assert withheld(evaluate(site.evaluator(rules("house", deny=("two",))), version)) == {
        "a/two": "house.deny"
    }
    assert withheld(evaluate(site.evaluator(rules("house", deny=("one",))), version)) == {
        "a/one": "house.deny"
    }


def test_filters_alone_decide_where_options_have_no_default(site: Site) -> None:
    version = site.change("a/one", "a/two")
    site.registry.options = NeedsOption
    evaluator = site.evaluator(rules("house", deny=("one",)))
    assert withheld(evaluate(evaluator, version)) == {"a/one": "house.deny"}


def test_only_changed_groups_are_asked_about_as_long_as_the_rules_stay(site: Site) -> None:
    denying = rules("house", deny=("one", "three"))
    version = site.change("a/one", "b/two")
    current = site.served(evaluate(site.evaluator(denying), version), version)
    assert evaluate(site.evaluator(denying), version, current).units is None
    newer = site.change("c/three")
    site.registry.asked.clear()
    result = evaluate(site.evaluator(denying), newer, current)
    assert withheld(result) == {"a/one": "house.deny", "c/three": "house.deny"}
    assert set(site.registry.asked) == {"c"}


def test_a_tightened_filter_is_asked_about_everything_again(site: Site) -> None:
    version = site.change("a/one", "b/two")
    current = site.served(evaluate(site.evaluator(rules("house", deny=("one",))), version), version)
    result = evaluate(site.evaluator(rules("house", deny=("one", "two"))), version, current)
    assert withheld(result) == {"a/one": "house.deny", "b/two": "house.deny"}


@pytest.mark.parametrize(("after", "again"), [(timedelta(seconds=-1), False), (timedelta(0), True)])
def test_a_decision_is_taken_again_at_the_very_moment_that_it_names(
    site: Site, after: timedelta, again: bool
) -> None:
    waiting = rules("house", later=("one",))
    version = site.change("a/one", "b/two")
    first = evaluate(site.evaluator(waiting), version)
    assert (withheld(first), first.summary.reconsider_at) == ({"a/one": "house.later"}, LATER)
    current = site.served(first, version)
    result = evaluate(site.evaluator(waiting, now=LATER + after), version, current)
    if again:
        assert (withheld(result), result.summary.reconsider_at) == ({}, None)
    else:
        assert (result.units, result.summary) == (None, first.summary)


def test_units_that_the_plan_removes_are_not_withheld(site: Site) -> None:
    version = site.change("a/one", "a/two")
    result = evaluate(site.evaluator(rules("house", deny=("one", "two"))), version)
    left = result.without([unit("a/one").digest])
    assert withheld(left) == {"a/two": "house.deny"}
    only = evaluate(site.evaluator(rules("house", deny=("two",))), version)
    assert left.summary.withheld == only.summary.withheld, "the digest is of what is left"
    assert result.without([]) is result


def changes(
    site: Site, evaluator: FilterEvaluator, current: ActualPublication
) -> Withholding | None:
    version = site.version()
    result = evaluate(evaluator, version, current)
    return withheld_changes(evaluator, result, current=current, version=version)


def rows(changes: Withholding) -> list[str]:
    return [
        f"{line.op} {change.head.name}/{line.key} {line.reason}".strip()
        for change in changes.spool
        for line in change.lines
    ]


def test_changes_are_counted_against_what_is_served(site: Site) -> None:
    version = site.change("a/one", "a/two", "b/three")
    first = site.evaluator(rules("house", deny=("one",)))
    current = site.served(evaluate(first, version), version)
    assert changes(site, first, current) is None
    second = changes(site, site.evaluator(rules("house", deny=("two",))), current)
    assert second is not None
    assert rows(second) == ["+ a/one", "- a/two house.deny"]
    assert (second.newly_withheld, second.served_before, second.served_after, second.total) == (
        1,
        2,
        2,
        1,
    )


def test_what_was_never_served_is_not_taken_from_anybody(site: Site) -> None:
    site.change("a/one", "a/two")
    first = changes(site, site.evaluator(rules("house", deny=("one",))), NEVER)
    assert first is not None
    assert rows(first) == ["- a/one house.deny"]
    assert (first.newly_withheld, first.served_before, first.served_after) == (0, 0, 0)
