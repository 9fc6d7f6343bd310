"""Projects that a filter keeps out by their names alone: not read, and refused in one line."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.plugin import ActiveFilter, Artifact, Group, Unit
from reconciler_python.content import Distribution
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.selecting.project_filter import ProjectFilter, refusal
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import FakeConduit, page

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERYTHING = SelectionOptions()


def rules(name: str = "house", **keys: Any) -> ActiveFilter:
    return ActiveFilter(name, FilterOptions.model_validate(keys), f"site.yaml:{name}")


def test_a_bare_name_or_a_glob_denies_all_of_a_project() -> None:
    filters = [rules(deny=["Evil_One", "acme-*", "django<4", "pip-9.0-py3-none-any.whl"])]
    said = {
        name: refusal(name, EVERYTHING, filters)
        for name in ("evil-one", "acme-core", "acme", "django", "pip")
    }
    assert said == {
        "evil-one": 'denied by "Evil_One" (house.deny)',
        "acme-core": 'denied by "acme-*" (house.deny)',
        "acme": "",
        "django": "",
        "pip": "",
    }


def test_what_an_allow_list_does_not_speak_of_is_refused() -> None:
    filters = [
        rules(
            allow=["django>=5", "acme-*", "my-tool-1.0.tar.gz", "under_score-2.0-py3-none-any.whl"]
        )
    ]
    passing = ["django", "acme-core", "my", "my-tool", "under-score"]
    assert [refusal(name, EVERYTHING, filters) for name in passing] == [""] * len(passing)
    assert refusal("other", EVERYTHING, filters) == "matches no allow (house.allow)"
    assert refusal("my-tool-1", EVERYTHING, filters) == "matches no allow (house.allow)"


def test_the_sources_own_filter_speaks_first_and_others_by_name() -> None:
    own = SelectionOptions.model_validate({"filter": {"deny": ["evil"]}})
    filters = [rules("zeal", deny=["evil"]), rules("arms", deny=["evil"])]
    assert refusal("evil", own, filters) == 'denied by "evil" (filter.deny)'
    assert (
        refusal("evil", EVERYTHING, filters)
        == refusal("evil", EVERYTHING, filters[::-1])
        == 'denied by "evil" (arms.deny)'
    )
    assert refusal("evil", None, filters) == 'denied by "evil" (arms.deny)'


def test_every_filter_is_asked() -> None:
    filters = [rules("arms", deny=["other"]), rules("zeal", deny=["evil"])]
    assert refusal("evil", EVERYTHING, filters) == 'denied by "evil" (zeal.deny)'


def test_without_lists_nothing_is_said() -> None:
    assert refusal("any", EVERYTHING, []) == ""
    assert refusal("any", EVERYTHING, [rules(prereleases="deny", latest=1)]) == ""


def test_listed_projects_that_a_filter_denies_are_refused_and_named_ones_are_read() -> None:
    filters = [rules(deny=["evil"])]
    listing = json.dumps({"projects": [{"name": "evil"}, {"name": "good"}]})
    for keys, said in (({}, 'denied by "evil" (house.deny)'), ({"include": ["evil", "good"]}, "")):
        conduit = FakeConduit(
            {"": page(listing, "application/vnd.pypi.simple.v1+json")},
            SelectionOptions.model_validate(keys),
            filters=filters,
        )
        assert {group.name: group.refused for group in declared(conduit)} == {
            "evil": said,
            "good": "",
        }


def test_shared_projects_are_declared_so() -> None:
    conduit = FakeConduit(
        {}, SelectionOptions.model_validate({"include": ["one", "two"], "sharedProjects": ["o*"]})
    )
    assert {group.name: group.shared for group in declared(conduit)} == {"one": True, "two": False}


def declared(conduit: FakeConduit) -> list[Group]:
    async def collect() -> list[Group]:
        return [
            group async for group in PythonImporter().declare(conduit) if isinstance(group, Group)
        ]

    return asyncio.run(collect())


RULES = [
    "one",
    "two",
    "one>=2",
    "o*",
    "t*",
    "two!=1",
    "one-1.0.tar.gz",
    "two-1.0-py3-none-any.whl",
    "one-2.0-py3-none-any.whl",
    "one-two-1.0.tar.gz",
]
FILES = {
    "one": ["one-1.0.tar.gz", "one-2.0-py3-none-any.whl", "one-2.0rc1.tar.gz"],
    "two": ["two-1.0-py3-none-any.whl", "two-2.0.tar.gz"],
    "one-two": ["one-two-1.0.tar.gz", "one_two-1.0-py3-none-any.whl"],
}
LISTS = st.lists(st.sampled_from(RULES), max_size=3)


@given(
    st.lists(st.tuples(LISTS, LISTS), max_size=3),
    st.tuples(LISTS, LISTS),
    st.sampled_from(sorted(FILES)),
)
def test_a_refused_project_has_no_file_that_passes(
    written: list[tuple[list[str], list[str]]], own: tuple[list[str], list[str]], project: str
) -> None:
    filters = [
        rules(f"rules-{number}", deny=deny, **({"allow": allow} if allow else {}))
        for number, (deny, allow) in enumerate(written)
    ]
    own_rules = {"deny": own[0], **({"allow": own[1]} if own[1] else {})}
    options = SelectionOptions.model_validate({"filter": own_rules})
    units = [unit(filename) for filename in FILES[project]]
    decisions = list(Distribution.select(project, units, options, filters, NOW))
    reason = ProjectFilter(options, filters).refusal(project)
    assert reason == refusal(project, options, filters[::-1])
    if reason:
        assert not any(decision.accepted for decision in decisions)


def unit(filename: str) -> Unit:
    stem = filename.removesuffix(".tar.gz")
    wheel = filename.endswith(".whl")
    version = filename.split("-")[1] if wheel else stem.rpartition("-")[2]
    metadata = {"version": version, "packageType": "wheel" if wheel else "sdist"}
    return Unit("python.distribution", filename, metadata, [Artifact(filename, "0" * 64, 1)])
