"""The documentation builds as a site: strictly, offline, with nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import build
from tests.support.source import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build.stage(folder)
    finished = build.build(folder)
    assert finished.returncode == 0, finished.stdout
    return folder / "site"


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text(encoding="utf-8")


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert "reconciler plan" in page(site, "reference/commands")
    assert "Publisher" in page(site, "reference/plugin-api")


def test_links_to_functions_lead_to_their_line(site: Path) -> None:
    walk = page(site, "explanation/life-of-a-project")
    targets = re.findall(r'href="([^"]*source/[^"#]*)#(__codelineno-0-\d+)"', walk)
    assert targets, "the walk links to code"
    for target, line in targets:
        shown = (site / "explanation/life-of-a-project" / target / "index.html").resolve()
        assert f'id="{line}"' in shown.read_text(encoding="utf-8")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r'<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="?(?:https?:)?//([^/"\s>]+)'
    )
    hosts = {
        f"{path.relative_to(site)}: {host}"
        for path in site.rglob("*.html")
        for host in loaded.findall(path.read_text(encoding="utf-8"))
    }
    assert hosts == set()


def test_the_generator_is_told_to_load_no_fonts() -> None:
    assert "font = false" in (ROOT / "zensical.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](../reference/selection.md#sources)", "[a](../reference/selection.md#sources)"),
        ("[a](../../README.md)", "[a](../index.md)"),
        ("[a](../../manifests/README.md#filter)", "[a](../reference/manifests.md#filter)"),
        ("[a](#here)", "[a](#here)"),
        ("[`a`](https://example.org/x.md)", "[`a`](https://example.org/x.md)"),
    ],
)
def test_links_between_documents_lead_to_their_pages(link: str, expected: str) -> None:
    pages = {**build.PAGES, "docs/explanation/withheld.md": "explanation/withheld.md"}
    pages.update({f"docs/{name}": name for name in build.own_pages()})
    assert (
        build.rewrite(link, "docs/explanation/withheld.md", pages, sources=set()) == f"{expected}\n"
    )


def test_links_to_source_lead_to_a_page_that_shows_it() -> None:
    pages = {"docs/explanation/withheld.md": "explanation/withheld.md"}
    sources: set[str] = set()
    text = "[`stage`](../build.py) and [x](../../reconciler/engine/)"
    made = build.rewrite(text, "docs/explanation/withheld.md", pages, sources=sources)
    line = build.defined_names("docs/build.py")["stage"]
    assert sources == {"docs/build.py", "reconciler/engine/__init__.py"}
    assert made == (
        f"[`stage`](../source/docs/build.py.md#__codelineno-0-{line})"
        " and [x](../source/reconciler/engine/__init__.py.md)\n"
    )
