"""The setting `page_memory`: the limit of a page, wherever it is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.faulty import body
from tests.support.mirror import Mirror, remote, repository
from tests.support.upstream import upstream

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    monkeypatch.chdir(tmp_path)
    return Mirror(tmp_path)


def test_a_page_beyond_it_is_refused_with_the_setting_to_change(
    site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = json.dumps({"meta": {"api-version": "1.0"}, "files": []}).encode() + b" " * (17 << 20)
    with upstream() as index:
        index.on(
            index.page_path("alpha"),
            body(gzip.compress(page, 1), content_type=JSON, headers={"Content-Encoding": "gzip"}),
        )
        site.declare(remote(index.url), repository(sources=["name: up, include: [alpha]"]))
        monkeypatch.setenv("RECONCILER_PAGE_MEMORY", "16MiB")
        refused = site.plan().out
        assert "is larger than the limit of 16,777,216 bytes" in refused
        assert "`page_memory` in `reconciler.toml`" in refused
        monkeypatch.delenv("RECONCILER_PAGE_MEMORY")
        assert "error" not in site.plan().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [("16", "expects a size"), ("much", "expects a size"), ("1MiB", "at least `16MiB`")],
)
def test_a_value_that_makes_no_sense_is_told(
    site: Mirror, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    site.declare(remote("https://example.org/simple/"))
    monkeypatch.setenv("RECONCILER_PAGE_MEMORY", text)
    done = site.plan()
    assert done.code != 0
    assert reason in done.err


def test_a_stranger_who_changes_manifests_cannot_raise_it(site: Mirror) -> None:
    site.declare(remote("https://example.org/simple/"))
    (site.folder / "reconciler.toml").write_text('page_memory = "1TiB"\n', encoding="utf-8")
    done = site.plan("--config", "reconciler.toml")
    assert done.code != 0
    assert "`page_memory` is not taken from" in done.err
