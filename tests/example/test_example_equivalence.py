"""The plugins `file` and `example` give the same content for the same manifest and rules.

One uses the high-level API, the other the low-level one.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    ContentType,
    Malformed,
    Options,
    PluginCallConfiguration,
    Publisher,
    StoredUnit,
    Unchanged,
    Unit,
)
from reconciler_example import file as example_file
from reconciler_example import importer as example_importer
from reconciler_example import options as example_options
from reconciler_example import publisher as example_publisher
from reconciler_file import file, importer, publisher
from reconciler_file import options as file_options
from tests.support.conduits import FakeConduit, FakePublishConduit, FakeSyncConduit, page, stored

URL = "https://files.example.org/pool/PULP_MANIFEST"
SHA, OTHER = "a" * 64, "b" * 64
NO_CONFIGURATION = PluginCallConfiguration({}, {}, {})
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Content = dict[tuple[str, str], tuple[Any, ...]]


def _plain(group: str, unit: Unit | StoredUnit) -> tuple[tuple[str, str], tuple[Any, ...]]:
    [artifact] = unit.artifacts
    return (group, unit.key), (
        unit.metadata,
        artifact.path,
        artifact.sha256,
        artifact.size,
        getattr(artifact, "url", None),
    )


def high(body: str) -> tuple[Content, set[str]] | None:
    """Return units and refused keys as the type `file` reads them; None if malformed."""
    conduit = FakeConduit(
        {"": page(body, "text/plain", url=URL)}, file_options.SourceOptions(), url=URL
    )

    async def read() -> Content:
        reader = importer()[0]()
        groups = [
            group async for group in reader.declare(conduit) if not isinstance(group, Unchanged)
        ]
        content: Content = {}
        for group in groups:
            units = await reader.read(conduit, group)
            assert not isinstance(units, Unchanged)
            content.update(_plain(group.name, unit) for unit in units)
        return content

    try:
        return asyncio.run(read()), set(conduit.refused)
    except Malformed:
        return None


def low(body: str) -> tuple[Content, set[str]] | None:
    """Return the same as the type `example` records it."""
    conduit = FakeSyncConduit(
        {"": page(body, "text/plain", url=URL)}, example_options.SourceOptions(), url=URL
    )
    try:
        asyncio.run(example_importer()[0]().sync(conduit, NO_CONFIGURATION))
    except Malformed:
        return None
    return dict(_plain(group, unit) for group, unit in conduit.saved), {
        key for _, key in conduit.refused
    }


NAMES = st.sampled_from(
    [
        "a",
        "b c",
        "sub/a",
        "x,y",
        "#1",
        "sub/#2",
        "../x",
        "",
        " a",
        "é",
        "a\x00b",
        "PULP_MANIFEST",
        "\ufeff",
        "\u3000a",
    ]
)
ROWS = st.tuples(
    NAMES,
    st.sampled_from([SHA, OTHER, SHA.upper(), f" {SHA}\t", SHA, "x"]),
    st.sampled_from(["1", "2", "1 ", "0", "1", "-1", ""]),
)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=5), st.sampled_from(["\n", "\r\n", "\n\n", "\n# more\n"]))
def test_the_same_manifest_gives_the_same_units_and_refusals(
    rows: list[tuple[str, str, str]], end: str
) -> None:
    body = end.join(",".join(row) for row in rows)
    assert high(body) == low(body)


def test_a_manifest_of_which_nothing_can_be_used_is_malformed_to_both() -> None:
    body = f"../x,{SHA},1\n/y,{SHA},1\n"
    assert high(body) is None
    assert low(body) is None
    usable = f"{body}z,{SHA},1\n"
    read = high(usable)
    assert read is not None
    assert read[1] == {"../x", "/y"}
    assert low(usable) == read


SOURCES = [
    {},
    {"include": ["*.iso", "docs/a*"]},
    {"exclude": ["*.iso"]},
    {"include": ["docs/*"], "exclude": ["b.iso"]},
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"deny": ["docs/*.iso"]},
    {"maxSize": "1kB"},
    {"deny": ["*"], "maxSize": "5B"},
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rules", FILTERS)
def test_the_same_rules_decide_alike_and_with_the_same_words(
    source: dict[str, Any], rules: dict[str, Any]
) -> None:
    def decided(
        type: type[ContentType], source_model: type[Options], filter_model: type[Options]
    ) -> dict[str, str]:
        active = [ActiveFilter("house", filter_model.model_validate(rules), "here")]
        units = [
            unit(type.id, path, size)
            for path in ("a.iso", "b.txt", "docs/a.iso", "docs/b.txt", "PULP_MANIFEST")
            for size in (7, 2000, None)
        ]
        decisions = type.select("00", units, source_model.model_validate(source), active, NOW)
        return {
            f"{decision.unit.key} {decision.unit.artifacts[0].size}": decision.reason
            for decision in decisions
        }

    assert decided(file()[0], file_options.SourceOptions, file_options.FilterOptions) == decided(
        example_file()[0], example_options.SourceOptions, example_options.FilterOptions
    )


def unit(type: str, path: str, size: int | None) -> Unit:
    return Unit(type, path, {}, [Artifact(path, SHA, size)])


def test_the_same_content_makes_the_same_tree() -> None:
    def tree(type: str, cls: type[Publisher]) -> tuple[Any, ...]:
        groups = {
            "00": [stored(unit(type, path, 7), "00") for path in ("b", "a,1")],
            "7f": [stored(unit(type, "docs/é", 0), "7f")],
        }
        conduit = FakePublishConduit(groups)
        cls().publish(conduit, NO_CONFIGURATION)
        return {
            path: sha256 for path, (sha256, _) in conduit.merged.files.items()
        }, conduit.merged.pages

    assert tree("file.file", publisher()[0]) == tree("example.file", example_publisher()[0])
