"""The targets of the Makefile, the pre-commit hooks, and what `make test-quick` selects."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import yaml

from tests.support.source import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "changed_tests.py"))
select_tests: Callable[[str], Iterable[str]] = SCRIPT["tests_of"]


def test_every_target_is_documented_and_phony() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", page, re.MULTILINE)) == TARGETS
    assert set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()) == TARGETS


def test_every_target_is_one_line_that_a_person_could_type() -> None:
    recipes = re.findall(r"^[a-z][a-z-]*:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert all(recipe.count("\n") <= 1 for recipe in recipes)


def test_pre_commit_fetches_no_hook_from_elsewhere() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert [repository["repo"] for repository in yaml.safe_load(text)["repos"]] == ["local"]


@pytest.mark.parametrize(
    ("changed", "selected"),
    [
        ("reconciler/plan/text.py", "tests/plan"),
        ("reconciler/plugin/testing/trial.py", "tests/kit"),
        ("plugins/python/reconciler_python/selecting/rules.py", "tests/python"),
        ("plugins/file/reconciler_file/globs.py", "tests/file"),
        ("reconciler/engine/publishing/exports.py", "tests/engine/publishing"),
        ("reconciler/engine/engine.py", "tests/engine"),
        ("reconciler/redaction.py", "tests/ground"),
        ("tests/plan/test_guards.py", "tests/plan/test_guards.py"),
        ("README.md", "tests/docs/test_links.py"),
    ],
)
def test_a_changed_file_selects_the_tests_of_its_room(changed: str, selected: str) -> None:
    assert selected in set(select_tests(changed))
    assert (ROOT / selected).exists()


def test_slow_tests_are_left_to_the_whole_suite() -> None:
    assert set(select_tests("tests/e2e/test_e2e_demo.py")) == set()
    assert set(select_tests("tests/support/mirror.py")) == set()
