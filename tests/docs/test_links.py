"""Links of documents lead somewhere, and what they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.build import PAGES, Link, defined_names, links, own_pages
from tests.support.documents import DOCUMENTS
from tests.support.source import ROOT

SYMBOL = re.compile(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document: str) -> None:
    broken = [link.target for link in links(document) if not (ROOT / link.target).is_file()]
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_functions_and_classes_that_links_name_exist(document: str) -> None:
    missing = [f"{link.target}: {name}" for link, name in symbols(document)]
    assert missing == []


def symbols(document: str) -> Iterator[tuple[Link, str]]:
    """Yield the names that links to Python files give and that the file does not define."""
    for link in links(document):
        match = SYMBOL.fullmatch(link.text)
        if match and link.target.endswith(".py") and match[1] not in known_names(link.target):
            yield link, match[1]


def known_names(path: str) -> set[str]:
    """Return what a link to a file may be called: what it defines, the module and its rooms."""
    return {*defined_names(path), *Path(path).with_suffix("").parts, Path(path).name}


def test_every_page_has_its_place_in_the_navigation() -> None:
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    listed = set(re.findall(r'"([a-z0-9/-]+\.md)"', navigation))
    assert listed == {*own_pages(), *PAGES.values()} - {"how-to/example-plugin.md"}


def test_sources_name_documents_that_exist() -> None:
    """Comments, docstrings and messages that name a document of `docs/` name one that is there."""
    name = re.compile(r"\bdocs/[a-z-]+(?:/[a-z-]+)*\.md")
    missing = {
        f"{path.relative_to(ROOT)}: {match}"
        for folder in ("reconciler", "plugins/python", "plugins/file", "manifests", "tests")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".py", ".yaml", ".jinja"}
        for match in name.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / match).is_file()
    }
    assert missing == set()


def test_paths_that_contributors_read_about_exist() -> None:
    """Every backticked path to a file or folder of the tree in CONTRIBUTING is there."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:tests|reconciler|plugins|docs)/[\w./-]*)`", page))
    new = {"reconciler/serve/metrics.py"}  # named as the place of what does not exist yet
    assert len(paths) > 20
    missing = {path for path in paths - new if not (ROOT / path).exists()}
    assert missing == {"tests/ROOM", "tests/engine/ROOM"}
