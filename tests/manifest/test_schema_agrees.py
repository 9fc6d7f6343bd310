"""The JSON Schema and the validator agree: on every key of every kind, with values of every sort.

Values without a text are judged alike. Texts have a syntax that only the validator knows, so what
it accepts fits the schema, and not always the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import fastjsonschema
import pytest

from reconciler import manifest
from reconciler.errors import Fault
from reconciler.manifest.document import ManifestText, Unplaced
from reconciler.manifest.kinds import API
from reconciler.manifest.plugin_lookup import Plugins
from reconciler.manifest.resources import declaration, publication
from reconciler.model import Kind
from reconciler.plugin.registry import Registry

Value = Any
Path = tuple[str | int, ...]

VALUES: list[Value] = [
    None,
    [],
    {},
    True,
    False,
    0,
    1,
    -1,
    1.5,
    [None],
    [1],
    [[]],
    [{}],
    {"a": None},
    {"a": 1},
    "",
    "x",
    [""],
    ["x"],
    {"a": "x"},
    {"env": "X"},
    {"env": None},
    [{"env": "X"}],
]
BASES: dict[str, Value] = {
    "Remote": {"url": "https://index.example.org/simple/"},
    "Filter": {},
    "Repository": {
        "sources": [
            {"remote": {"name": "a", "include": ["x"]}},
            {"repository": {"name": "b"}},
            {"upload": {}},
        ]
    },
    "Publication": {"repository": "a", "path": "a"},
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def composed(registry: Registry) -> Value:
    return manifest.schema(registry)


@pytest.fixture(scope="module")
def fits(composed: Value) -> Callable[[Value], bool]:
    check = fastjsonschema.compile(
        {**composed, "$schema": "http://json-schema.org/draft-07/schema#"}
    )

    def judge(document: Value) -> bool:
        try:
            check(document)
        except fastjsonschema.JsonSchemaException:
            return False
        return True

    return judge


def faults(document: Value, plugins: Plugins, type: str) -> list[Fault]:
    collected: list[Fault] = []
    text = ManifestText("m.yaml", "/nowhere", "")
    declared = declaration(Unplaced(text, 0, document, None), plugins, collected)
    if declared is not None and declared.kind is Kind.PUBLICATION:
        publication(declared, type, plugins)
    return collected


def document(kind: str, type: str) -> Value:
    spec = deepcopy(BASES[kind])
    spec |= {"publisher": type} if kind == "Publication" else {"type": type}
    return {"apiVersion": API, "kind": kind, "metadata": {"name": "it"}, "spec": spec}


def places(kind: str, type: str, definitions: Value) -> Iterator[Path]:
    """Yield the path of every key that a document of this kind may have."""
    spec = definitions[f"{kind}.{type}"]
    for key, inner in spec["properties"].items():
        if key not in ("type", "publisher", "sources"):
            yield "spec", key
            inner = next((part for part in inner.get("anyOf", []) if "$ref" in part), inner)
            named = definitions.get(inner.get("$ref", "").removeprefix("#/$defs/"), inner)
            yield from (("spec", key, below) for below in named.get("properties", {}))
    if kind == "Repository":
        yield "spec", "sources"
        kinds = spec["properties"]["sources"]["items"]["properties"]
        for index, (source, keys) in enumerate(kinds.items()):
            yield from (
                ("spec", "sources", index, source, key)
                for key in keys["properties"]
                if key != "name"
            )
    yield from (("metadata", key) for key in ("name", "labels", "annotations"))


def changed(original: Value, path: Path, value: Value) -> Value:
    result = deepcopy(original)
    inner = result
    for step in path[:-1]:
        inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[step]
    inner[path[-1]] = deepcopy(value)
    return result


def holds_text(value: Value) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, str) or any(map(holds_text, items))


def disagreements(
    kind: str, type: str, plugins: Plugins, fits: Callable[[Value], bool], *, paths: Iterator[Path]
) -> Iterator[str]:
    for path in paths:
        for value in VALUES:
            candidate = changed(document(kind, type), path, value)
            accepted, fitting = not faults(candidate, plugins, type), fits(candidate)
            if accepted and not fitting:
                yield f"{'.'.join(map(str, path))}: {value!r}: only the validator accepts it"
            if fitting and not accepted and not holds_text(value):
                yield f"{'.'.join(map(str, path))}: {value!r}: only the schema accepts it"


@pytest.mark.parametrize("type", ["python", "file"])
@pytest.mark.parametrize("kind", list(BASES))
def test_schema_and_validator_agree_on_every_key_and_value(
    kind: str, type: str, registry: Registry, composed: Value, fits: Callable[[Value], bool]
) -> None:
    """Kind: an editor calls something right that `validate` refuses, or the other way round."""
    plugins = Plugins(registry)
    assert not faults(document(kind, type), plugins, type)
    assert fits(document(kind, type))
    paths = places(kind, type, composed["$defs"])
    assert list(disagreements(kind, type, plugins, fits, paths=paths)) == []
