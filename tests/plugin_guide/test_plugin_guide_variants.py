"""Variants in `plugins/README.md`: one page for everything, a plugin directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from reconciler.plugin.testing import Conformance, Subject, Upstream
from tests.support.clients import program, run, served
from tests.support.guide import plugin_module, written_out

FIRST = {
    "billing": {"invoice.json": b"{}", "receipt.json": b"[]"},
    "shipping": {"label.json": b"1"},
}
CHANGED = [
    FIRST | {"billing": {**FIRST["billing"], "credit.json": b"2"}},
    FIRST | {"billing": {"invoice.json": b"3", "receipt.json": b"[]"}},
    FIRST | {"billing": {"invoice.json": b"3"}},
    {"billing": {"invoice.json": b"3"}},
]
ABOUT_OTHERS = (
    "upload",
    "refused",
    "failing_group",
    "another_process",
)  # tests of what neither offers, or what they cannot be asked
EXAMINED = sorted(
    name
    for name in dir(Conformance)
    if name.startswith("test_") and not any(word in name for word in ABOUT_OTHERS)
)
SITE = """
apiVersion: reconciler/v1
kind: Remote
metadata: {name: quotes}
spec: {type: quotes, url: "%s"}
---
apiVersion: reconciler/v1
kind: Repository
metadata: {name: quotes}
spec: {type: quotes, sources: [{remote: {name: quotes, longest: 20}}]}
---
apiVersion: reconciler/v1
kind: Publication
metadata: {name: quotes}
spec: {repository: quotes, path: quotes}
"""


def pages(folders: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """Return the files of upstream: one page for everything, and the documents."""

    def entry(path: str, body: bytes) -> dict[str, object]:
        name = path.rpartition("/")[2]
        return {
            "name": name,
            "url": path,
            "published": "2026-01-05",
            "sha256": sha256(body).hexdigest(),
            "size": len(body),
        }

    files = {
        f"{folder}/{name}": body for folder, held in folders.items() for name, body in held.items()
    }
    lists = {
        folder: [entry(f"{folder}/{name}", body) for name, body in held.items()]
        for folder, held in folders.items()
    }
    return {"all.json": json.dumps(lists).encode(), **files}


def becomes(folders: Mapping[str, Mapping[str, bytes]]) -> Any:
    def change(upstream: Upstream) -> None:
        for path, body in pages(folders).items():
            upstream.put(path, body)

    return change


class OnePage(Conformance):
    """The kit with one importer of the guide."""

    def __init__(self, guide: Any, importer: str) -> None:
        self._guide = guide
        self._importer = importer

    def subject(self) -> Subject:
        guide = self._guide
        cls = getattr(guide, self._importer)
        changes = [becomes(documents) for documents in CHANGED]
        upstream = Upstream(pages(FIRST))
        return Subject(
            lambda: (cls, {}),
            upstream,
            [guide.content_type],
            guide.publisher,
            changes,
            {"include": ["billing", "shipping"]},
        )


@pytest.fixture(scope="module", params=["OnePageImporter", "LowLevelImporter"])
def examined(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Conformance:
    class Kit(OnePage):
        """Kit for one importer: it remembers what a class has gone through."""

    return Kit(plugin_module(tmp_path_factory.mktemp("guide")), request.param)


@pytest.mark.parametrize("test", EXAMINED)
def test_one_page_for_everything_passes_the_kit(
    test: str, examined: Conformance, tmp_path: Path
) -> None:
    getattr(examined, test)(tmp_path)


def test_a_plugin_of_three_folders_shares_a_module(tmp_path: Path) -> None:
    written_out(tmp_path)
    (tmp_path / "reconciler.toml").write_text('plugin_directory = "trial"\n', encoding="utf-8")
    upstream = Upstream(
        {
            "authors.json": b'["ada", "bob"]',
            "by/ada.json": b'["Yes.", "No."]',
            "by/bob.json": json.dumps(["Ah.", "o" * 21]).encode(),
        }
    )
    with upstream.served():
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "site.yaml").write_text(SITE % upstream.url, encoding="utf-8")
        listed = json.loads(
            run([program("reconciler"), "plugins", "-o", "json"], tmp_path, folder=tmp_path)
        )
        ours = {
            (item["kind"], item["id"], item["state"])
            for item in listed
            if item["id"].startswith("quotes")
        }
        assert ours == {
            ("importer", "quotes", "enabled"),
            ("publisher", "quotes", "enabled"),
            ("content-type", "quotes.quote", "enabled"),
        }
        said = run([program("reconciler"), "apply", "site"], tmp_path, folder=tmp_path)
        assert "3 quotations" in said, said
    with (
        served(
            tmp_path / ".reconciler", RECONCILER_PLUGIN_DIRECTORY=str(tmp_path / "trial")
        ) as url,
        urlopen(f"{url}quotes/by/bob.json") as answer,
    ):
        assert json.load(answer) == ["Ah."]
