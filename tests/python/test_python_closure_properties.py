"""Dependency closure: the least fixpoint of any graph of requirements."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.requiring import RequiringIndex, closed

NAMES = ["a", "b", "c", "d", "e"]

SPECIFIERS = ["", "==1", ">=2", "<2", "!=2", ">=9", ">2a0"]

REQUIREMENTS = st.builds(
    lambda name, extra, specifier, marker: f"{name}{extra}{specifier}{marker}",
    st.sampled_from(NAMES),
    st.sampled_from(["", "[x]", "[y]", "[x,y]"]),
    st.sampled_from(SPECIFIERS),
    st.sampled_from(["", "; extra == 'x'", "; extra == 'y'", "; python_version < '3'"]),
)

GRAPHS = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(
        st.sampled_from(["1", "2", "3a1"]), st.lists(REQUIREMENTS, max_size=3), min_size=1
    ),
    min_size=1,
)

Graph = dict[str, dict[str, list[str]]]


def naive(graph: Graph, roots: set[str]) -> tuple[set[tuple[str, str]], set[str]]:
    """Return the least fixpoint by its definition, and the projects that fall short."""
    chosen = {(name, version, "") for name in roots for version in graph.get(name, {})}
    short = roots - graph.keys()
    while True:
        new = set(chosen)
        for name, version, extra in chosen:
            for requirement in map(Requirement, graph[name][version]):
                if (
                    requirement.marker is not None
                    and "extra" in str(requirement.marker)
                    and not requirement.marker.evaluate({"extra": extra})
                ):
                    continue
                versions = {Version(text): text for text in graph.get(requirement.name, {})}
                meant = (
                    [versions[version] for version in requirement.specifier.filter(versions)]
                    if requirement.name != name
                    else [version]
                )
                short |= set() if meant else {requirement.name}
                new |= {
                    (requirement.name, decision, wanted)
                    for decision in meant
                    for wanted in ("", *requirement.extras)
                }
        if new == chosen:
            return {(name, version) for name, version, _ in chosen}, short
        chosen = new


def computed(graph: Graph, roots: set[str]) -> tuple[set[tuple[str, str]], set[str]]:
    made = RequiringIndex()
    for name, releases in graph.items():
        made.add(name, releases)
    result = closed(made, sorted(roots))
    return {
        (name, version) for name, versions in result.versions.items() for version in versions
    }, set(result.failures)


@settings(max_examples=80, deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_the_closure_is_the_least_fixpoint(graph: Graph, roots: set[str]) -> None:
    chosen, short = naive(graph, roots)
    assert computed(graph, roots) == (
        {(name, version) for name, version in chosen if name not in short},
        short,
    )


@settings(max_examples=30, deadline=None)
@given(GRAPHS, st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.sampled_from(NAMES))
def test_more_roots_never_bring_less(graph: Graph, roots: set[str], more: str) -> None:
    fewer, _ = computed(graph, roots)
    chosen, failed = computed(graph, roots | {more})
    assert {(name, version) for name, version in fewer if name not in failed} <= chosen
