"""Marks on Python content: what they mean, what they change, and that they leave no trace."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plugin import STATUS, YANK, Artifact, Mark, OptionFault, Unit
from reconciler_python.content import Distribution, Project
from reconciler_python.reading.units import DISTRIBUTION, PROJECT
from reconciler_python.simple_importer import PythonImporter
from tests.support.conduits import stored

SHA = "ab" * 32


def wheel(version: str, **more: Any) -> Unit:
    name = f"foo-{version}-py3-none-any.whl"
    facts = {"name": "foo", "version": version, "packageType": "wheel", **more}
    return Unit(DISTRIBUTION, name, facts, [Artifact(name, SHA, 3)])


def yank(what: str, reason: str = "") -> Mark:
    return PythonImporter.read_mark(Mark(YANK, what, reason=reason))


def status(value: str, reason: str = "") -> Mark:
    return PythonImporter.read_mark(Mark(STATUS, "Foo", value=value, reason=reason))


def marked(units: list[Unit], *marks: Mark) -> dict[str, dict[str, Any]]:
    units = list(PythonImporter.with_marks("foo", units, marks))
    assert list(PythonImporter.with_marks("foo", units, marks)) == units, "once is enough"
    return {unit.key: unit.metadata for unit in units}


@pytest.mark.parametrize(
    ("text", "what", "group"),
    [
        ("Foo == 1.0", "foo==1.0", "foo"),
        ("foo<2,>=1", "foo<2,>=1", "foo"),
        ("foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0-py3-none-any.whl", "foo-bar"),
    ],
)
def test_a_release_and_a_file_have_one_spelling(text: str, what: str, group: str) -> None:
    mark = yank(text)
    assert (mark.what, mark.groups) == (what, (group,))


@pytest.mark.parametrize("text", ["foo", "foo-*", "==1.0", ""])
def test_a_yank_names_a_release(text: str) -> None:
    with pytest.raises(OptionFault):
        yank(text)


def test_a_status_is_one_that_clients_know() -> None:
    with pytest.raises(OptionFault, match="no status"):
        status("abandoned")
    with pytest.raises(OptionFault, match="no project name"):
        PythonImporter.read_mark(Mark(STATUS, "foo==1", value="archived"))


def test_every_file_of_a_release_is_yanked_and_no_other() -> None:
    facts = marked([wheel("1.0"), wheel("1.0.post1"), wheel("2.0")], yank("foo==1.0", "broken"))
    assert [unit.get("yanked") for unit in facts.values()] == ["broken", None, None]
    assert marked([wheel("1.0")], yank("foo==1.0"))[wheel("1.0").key]["yanked"] is True


def test_the_first_of_two_marks_counts() -> None:
    facts = marked([wheel("1.0")], yank("foo<2", "first"), yank("foo==1.0", "second"))
    assert facts[wheel("1.0").key]["yanked"] == "first"


@pytest.mark.parametrize("before", [{}, {"yanked": True}, {"yanked": "upstream's own"}])
def test_without_marks_a_file_is_what_upstream_said(before: dict[str, Any]) -> None:
    unit = wheel("1.0", **before)
    units = PythonImporter.with_marks("foo", [unit], [yank("foo==1.0", "ours")])
    assert units[0].metadata["yanked"] == "ours"
    assert list(PythonImporter.without_marks("foo", units)) == [unit]


@pytest.mark.parametrize(
    "said", [{}, {"status": "deprecated"}, {"status": "archived", "reason": "done"}]
)
@pytest.mark.parametrize("value", ["active", "archived", "deprecated", "quarantined"])
def test_a_status_stands_in_for_what_upstream_says(said: dict[str, Any], value: str) -> None:
    units = [*([Unit(PROJECT, "foo", said)] if said else []), wheel("1.0")]
    facts = marked(units, status(value, "ours"))
    assert (facts["foo"]["status"], facts["foo"]["reason"]) == (value, "ours")
    under = PythonImporter.with_marks("foo", units, [status(value, "ours")])
    assert list(PythonImporter.without_marks("foo", under)) == units


def test_a_plainly_active_project_has_no_unit_and_neither_has_an_empty_one() -> None:
    assert marked([wheel("1.0")], status("active")).keys() == {wheel("1.0").key}
    assert marked([], status("archived")) == {}


def test_a_plan_says_who_yanks() -> None:
    before, upstream = wheel("1.0"), wheel("1.0", yanked="bad")
    [ours] = PythonImporter.with_marks("foo", [before], [yank("foo==1.0", "bad")])
    assert Distribution.describe_change(stored(before, "foo"), upstream) == 'yanked upstream: "bad"'
    assert Distribution.describe_change(stored(before, "foo"), ours) == 'yanked: "bad"'
    assert Distribution.describe_change(stored(ours, "foo"), before) == "no longer yanked"
    assert Distribution.describe_change(stored(ours, "foo"), upstream) == "yanked upstream alone"
    project = Unit(PROJECT, "foo", {"status": "active"})
    words = Project.describe_change(stored(project, "foo"), Unit(PROJECT, "foo", {"status": "x"}))
    assert words == "status active -> x"
