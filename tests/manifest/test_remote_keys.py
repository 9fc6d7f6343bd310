"""Keys of a plugin on a Remote: defaults of every source that names it, judged where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import fastjsonschema
import pytest
from pydantic import Field, model_validator

from reconciler.errors import ManifestFaults
from reconciler.manifest import read, schema
from reconciler.manifest.recorded_state import read_recorded
from reconciler.model import ActualResource, ActualState, DesiredState, Ref, Source
from reconciler.plugin import (
    ContentType,
    Importer,
    LocatedPath,
    Metadata,
    OptionFault,
    Options,
    Secret,
)
from reconciler.plugin.registry import Registry
from tests.support.advertised import shelf
from tests.support.mirror import resource

UNIT = "signed.unit"


class Shared(Options):
    include: tuple[str, ...] = ()


class Signed(Shared):
    keys: Annotated[tuple[LocatedPath, ...], Field(strict=False)] = ()
    trusted: bool = False
    suites: tuple[str, ...]
    realm: str
    token: Secret | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Signed:
        if self.keys and self.trusted:
            raise OptionFault("`keys` would never count", hint="leave one of them out")
        return self


class SignedType(ContentType[Shared]):
    id = UNIT


class SignedImporter(Importer[Shared]):
    remote_options = Signed
    remote_keys = ("keys", "trusted", "realm")
    selection_required = ("include",)

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("signed", "Signed", [UNIT])


class OtherImporter(Importer[Shared]):
    remote_options = Signed

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("other", "Other", [UNIT])


@pytest.fixture
def registry() -> Iterator[Registry]:
    with shelf() as shelves:
        importers = {"signed": SignedImporter, "other": OtherImporter}
        shelves.add(importers=importers, types={UNIT: SignedType})
        yield shelves.registry()


Read = Callable[..., DesiredState]


@pytest.fixture
def declared(tmp_path: Path, registry: Registry) -> Read:
    """Read a Remote with these lines in one folder, and a Repository in another."""

    def read_both(
        remote: str, *sources: str, type: str = "signed", overrides: tuple[str, ...] = ()
    ) -> DesiredState:
        for folder in ("common", "team"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "common/up.yaml").write_text(
            resource("Remote", "up", f"type: {type}\nurl: https://up.example.org/\n{remote}")
        )
        listed = "".join(
            f"  - remote: {{name: up, include: [a], suites: [s]{source}}}\n" for source in sources
        )
        (tmp_path / "team/site.yaml").write_text(
            resource("Repository", "team", f"type: signed\nsources:\n{listed}") if listed else ""
        )
        paths = [tmp_path / "common", tmp_path / "team"]
        return read(paths, registry, overrides=overrides)

    return read_both


def source(state: DesiredState) -> Source:
    return state.repositories["team"].sources[0]


def paths(state: DesiredState) -> list[str]:
    return [str(key.path) for key in source(state).options.keys]


def test_a_key_of_a_remote_is_the_default_of_its_sources(tmp_path: Path, declared: Read) -> None:
    """Kind: a path of one file that is looked for beside another."""
    state = declared("realm: r\nkeys: [a.asc]", "")
    assert paths(state) == [str(tmp_path / "common/a.asc")]
    assert [key.written for key in source(state).options.keys] == ["a.asc"]
    assert state.remotes["up"].spec["keys"] == ["a.asc"]
    assert "keys" not in source(state).spec["remote"]
    assert source(state).config.get("keys") == ["a.asc"]
    assert source(state).locations.find(("keys", 0)) == f"{tmp_path}/common/up.yaml:8"


@pytest.mark.parametrize(
    ("remote", "own", "expected"),
    [
        ("realm: r\nkeys: [a.asc]", ", keys: [b.asc]", ["team/b.asc"]),
        ("realm: r\ntrusted: true", ", trusted: false, keys: [a.asc]", ["team/a.asc"]),
    ],
)
def test_what_a_source_writes_wins(
    tmp_path: Path, declared: Read, remote: str, own: str, expected: list[str]
) -> None:
    """Kind: a default that is written out, dropped as if it said nothing."""
    state = declared(remote, own)
    assert paths(state) == [str(tmp_path / path) for path in expected]
    recorded = source(state).spec["remote"]
    assert ("trusted" in recorded) is ("trusted" in own), "it hides a value of the Remote"


@pytest.mark.parametrize(
    ("remote", "own", "said"),
    [
        ("realm: r\nkey: [a.asc]", "", "up.yaml:8:3: unknown key `key` in `spec`"),
        ("realm: r\nkeys: a.asc", "", "up.yaml:8:9: `spec.keys`: expects a list"),
        ("realm: 1", "", "up.yaml:7:10: `spec.realm`: expects a text"),
        ("suites: [s]", "", "up.yaml:7:3: `spec.suites` is a key of sources, not of a Remote"),
        ("retries: 1", "", "site.yaml:7:7: `spec.sources[0].remote` lacks `realm`"),
        (
            "realm: r\nkeys: [a.asc]",
            ", trusted: true",
            "`keys` would never count\n  hint: leave one of them out; Remote `up` sets `keys` at",
        ),
    ],
)
def test_faults_name_the_line_that_is_wrong(
    declared: Read, remote: str, own: str, said: str
) -> None:
    with pytest.raises(ManifestFaults) as faults:
        declared(remote, own)
    assert said in str(faults.value)
    assert len(faults.value.faults) == 1, "one mistake, one fault"


def test_a_type_without_such_keys_refuses_them(declared: Read) -> None:
    with pytest.raises(ManifestFaults, match=r"up\.yaml:7:3: `spec\.realm` is a key of sources"):
        declared("realm: r", type="other")


def test_an_override_leaves_paths_where_they_are(tmp_path: Path, declared: Read) -> None:
    """Kind: a path of a manifest, lost because another key was overridden."""
    state = declared("realm: r\nkeys: [a.asc]", "", overrides=("repository/team.suites=[t]",))
    assert (paths(state), source(state).options.suites) == (
        [str(tmp_path / "common/a.asc")],
        ("t",),
    )
    own = declared("realm: r", ", keys: [b.asc]", overrides=("repository/team.suites=[t]",))
    assert paths(own) == [str(tmp_path / "team/b.asc")]


def test_recorded_keys_mean_the_same(tmp_path: Path, declared: Read, registry: Registry) -> None:
    state = declared("realm: r\nkeys: [a.asc]", "")
    folders = {"Remote": "common", "Repository": "team"}
    recorded = {
        each.meta.ref: ActualResource(
            each.meta.ref, {}, {}, each.spec, folder=str(tmp_path / folders[each.meta.kind])
        )
        for each in state
    }
    again = read_recorded(ActualState(resources=recorded), registry)
    assert not again.faults
    assert paths(again.desired) == paths(state)
    assert again.desired.digest == state.digest
    ref = next(ref for ref in recorded if ref.name == "up")
    broken = {**recorded, ref: _without(recorded[ref], "realm")}
    assert [str(ref) for ref in read_recorded(ActualState(resources=broken), registry).faults] == [
        "repository/team"
    ]


def _without(recorded: ActualResource, key: str) -> ActualResource:
    spec = {name: value for name, value in recorded.spec.items() if name != key}
    return ActualResource(Ref(recorded.ref.kind, "up"), {}, {}, spec, folder=recorded.folder)


def test_the_schema_knows_them(registry: Registry) -> None:
    judge = fastjsonschema.compile(schema(registry))

    def valid(kind: str, **spec: Any) -> bool:
        try:
            judge(
                {
                    "apiVersion": "reconciler/v1",
                    "kind": kind,
                    "metadata": {"name": "n"},
                    "spec": spec,
                }
            )
        except fastjsonschema.JsonSchemaException:
            return False
        return True

    up = {"url": "https://up.example.org/"}
    assert valid("Remote", type="signed", **up)
    assert valid("Remote", type="signed", realm="r", keys=["a.asc"], **up)
    assert not valid("Remote", type="signed", suites=["s"], **up)
    assert not valid("Remote", type="other", realm="r", **up)
    named = {"name": "n", "include": ["a"], "suites": ["s"]}
    assert valid("Repository", type="signed", sources=[{"remote": named}]), "the Remote has `realm`"
    assert not valid("Repository", type="other", sources=[{"remote": named}])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("keys", "its `remote_keys` must list keys of its `remote` sources"),
        (("nothing",), "its `remote_keys` must list keys of its `remote` sources"),
        (("include",), "each source says itself what it takes"),
        (("token",), "`token`, a secret: a Remote has `auth` and `headers`"),
    ],
)
def test_keys_that_cannot_stand_on_a_remote_disable_the_importer(keys: Any, said: str) -> None:
    broken = type("Broken", (SignedImporter,), {"remote_keys": keys})
    with shelf() as shelves:
        shelves.add(importers={"signed": broken}, types={UNIT: SignedType})
        [plugin] = [p for p in shelves.registry().all() if p.kind == "importer"]
        assert said in plugin.reason
