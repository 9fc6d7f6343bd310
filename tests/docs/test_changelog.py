"""The changelog has the form of Keep a Changelog, and a section for the present plugin API."""

from __future__ import annotations

import re

from reconciler.plugin import API_VERSION
from tests.support.source import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES, _, PLUGIN_API = TEXT.partition("\n## Plugin API\n")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_unreleased_comes_first_with_the_kinds_in_order() -> None:
    assert re.findall(r"^## (.*)$", RELEASES, re.MULTILINE)[0] == "[Unreleased]"
    kinds = re.findall(r"^### (.*)$", RELEASES, re.MULTILINE)
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert "Security" in kinds


def test_the_present_plugin_api_is_the_newest_one_described() -> None:
    assert re.findall(r"^### (.*)$", PLUGIN_API, re.MULTILINE)[0] == API_VERSION
