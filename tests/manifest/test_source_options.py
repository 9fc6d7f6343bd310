"""Keys by kind of source: what a remote must say, an upload need not know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from reconciler.errors import ManifestFaults
from reconciler.manifest import read, schema
from reconciler.model import DesiredState
from reconciler.plugin import ContentType, Importer, Metadata, Options, Publisher
from reconciler.plugin.registry import Registry
from tests.support.advertised import shelf

UNIT = "suites.unit"


class Shared(Options):
    components: tuple[str, ...] = ()


class Remote(Shared):
    suites: tuple[str, ...]


class Upload(Shared):
    suite: str


class SuiteType(ContentType[Shared]):
    id = UNIT


class SuiteImporter(Importer[Shared]):
    remote_options = Remote
    upload_options = Upload

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("suites", "Suites", [UNIT])


class SuitePublisher(Publisher):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("suites", "Suites", [UNIT])


@pytest.fixture
def registry() -> Iterator[Registry]:
    with shelf() as shelves:
        shelves.add(
            importers={"suites": SuiteImporter},
            publishers={"suites": SuitePublisher},
            types={UNIT: SuiteType},
        )
        yield shelves.registry()


def declared(folder: Path, registry: Registry, *sources: str, **more: Any) -> DesiredState:
    (folder / "site.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Remote\nmetadata: {name: up}\n"
        "spec: {type: suites, url: 'https://suites.example.org/'}\n---\n"
        "apiVersion: reconciler/v1\nkind: Repository\nmetadata: {name: team}\n"
        f"spec: {{type: suites, sources: [{', '.join(f'{{{source}}}' for source in sources)}]}}\n"
    )
    return read([folder], registry, **more)


REMOTE = "remote: {name: up, suites: [stable], components: [main]}"
UPLOAD = "upload: {suite: stable, components: [main]}"


def test_each_kind_has_its_own_keys_and_the_shared_ones(tmp_path: Path, registry: Registry) -> None:
    sources = declared(tmp_path, registry, REMOTE, UPLOAD).repositories["team"].sources
    remote, upload = (source.options for source in sources)
    assert (type(remote), remote.suites, remote.components) == (Remote, ("stable",), ("main",))
    assert (type(upload), upload.suite, upload.components) == (Upload, "stable", ("main",))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("remote: {name: up}", "`spec.sources[0].remote` lacks `suites`"),
        ("remote: {name: up, suites: [a], suite: b}", "unknown key `suite`"),
        ("upload: {}", "`spec.sources[0].upload` lacks `suite`"),
        ("upload: {suite: a, suites: [a]}", "unknown key `suites`"),
    ],
)
def test_keys_of_another_kind_are_unknown(
    tmp_path: Path, registry: Registry, source: str, said: str
) -> None:
    with pytest.raises(ManifestFaults) as faults:
        declared(tmp_path, registry, source)
    assert said in str(faults.value)


def test_an_override_reaches_the_sources_that_know_the_key(
    tmp_path: Path, registry: Registry
) -> None:
    overrides = ["repository/team.suites=[testing]"]
    state = declared(tmp_path, registry, REMOTE, UPLOAD, overrides=overrides)
    remote, upload = (source.options for source in state.repositories["team"].sources)
    assert (remote.suites, upload.suite) == (("testing",), "stable")


def test_the_schema_says_the_same(registry: Registry) -> None:
    judge = fastjsonschema.compile(schema(registry))

    def valid(source: dict[str, Any]) -> bool:
        document = {
            "apiVersion": "reconciler/v1",
            "kind": "Repository",
            "metadata": {"name": "team"},
            "spec": {"type": "suites", "sources": [source]},
        }
        try:
            judge(document)
        except fastjsonschema.JsonSchemaException:
            return False
        return True

    assert valid({"remote": {"name": "up", "suites": ["a"]}})
    assert not valid({"remote": {"name": "up", "suite": "a", "suites": ["a"]}})
    assert valid({"upload": {"suite": "a"}})
    assert not valid({"upload": {"suites": ["a"]}})


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"remote_options": Options}, "its `remote_options` do not derive from its `options`"),
        ({"upload_options": dict}, "its `upload_options` do not derive from its `options`"),
        (
            {"remote_options": None, "selection_required": ("suites",)},
            "its `selection_required` must list keys of its `remote` sources",
        ),
    ],
)
def test_models_that_share_nothing_disable_the_importer(
    attributes: dict[str, Any], said: str
) -> None:
    broken = type("Broken", (SuiteImporter,), attributes)
    with shelf() as shelves:
        shelves.add(importers={"suites": broken}, types={UNIT: SuiteType})
        [plugin] = [p for p in shelves.registry().all() if p.kind == "importer"]
        assert plugin.reason.startswith(said)
