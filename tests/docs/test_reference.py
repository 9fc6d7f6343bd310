"""Pages of the reference that are made from the code are what the code says."""

from __future__ import annotations

import os

import pytest

from docs.reference_pages import pages
from tests.support.source import ROOT

PAGES = pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_code_says(name: str) -> None:
    path = ROOT / "docs" / name
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        path.write_text(PAGES[name], encoding="utf-8")
    assert path.read_text(encoding="utf-8") == PAGES[name], (
        f"docs/{name} is older than the code; `RECONCILER_GOLDEN=write python -m pytest tests/docs`"
        " writes it"
    )


def test_keys_of_sources_and_nested_keys_have_a_row() -> None:
    page = PAGES["reference/manifest-keys.md"]
    for key in (
        "metadata.name",
        "auth.password",
        "sources[].remote.name",
        "sources[].KIND.include",
        "sources[].remote.suites",  # required there alone
        "sources[].upload.suites",
        "sources[].KIND.environments.NAME.python_version",
        "licenses.unknown",
        "exports[].directory.path",
    ):
        assert f"| `{key}` |" in page


def test_options_with_their_choices_and_defaults_have_a_row() -> None:
    page = PAGES["reference/commands.md"]
    assert "`--format` `table`, `json`, `yaml`, `markdown`, `github` |" in page
    assert "## plugins new" in page
    assert "| `8000` |" in page
