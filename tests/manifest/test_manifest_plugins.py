"""Plugins in manifests: their keys, their faults, missing and broken plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, field_validator

from reconciler.errors import Fault, ManifestFaults
from reconciler.manifest import read
from reconciler.manifest.document import ManifestText, Unplaced
from reconciler.manifest.validation import Checked
from reconciler.plugin import (
    ContentType,
    Importer,
    Metadata,
    OptionFault,
    Options,
    Publisher,
    parse_duration,
    parse_size,
)
from reconciler.plugin.registry import Registry


class Colour(Enum):
    RED = "red"


class Exact(Options):
    name: str
    version: str


class Rich(Options):
    colours: frozenset[Colour] = frozenset()
    files: list[str | Exact] = Field(default_factory=list)
    even: int = 0
    share: float = 0.0
    bad: str = ""
    lacking: str = ""

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise OptionFault("must be even", hint="try the next one")
        return value

    @field_validator("bad")
    @classmethod
    def _raises(cls, value: str) -> str:
        raise RuntimeError(value)

    @field_validator("lacking")
    @classmethod
    def _imports(cls, value: str) -> str:
        import_module("absent_reader")
        return value


class Required(Options):
    key: str


class RichType(ContentType):
    id = "rich.unit"


class RichImporter(Importer):
    options = Rich
    filter_options = Rich

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("rich", "Rich", ["rich.unit"])


class RichPublisher(Publisher):
    options = Required

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("rich", "Rich", ["rich.unit"])


class OldImporter(Importer):
    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("old", "Old", [], api="<1.0")


class OddImporter(Importer):
    options = dict  # type: ignore[assignment]

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("odd", "Odd")


class Point:
    """Entry point for a class: `metadata.EntryPoint` finds modules only."""

    dist = None

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.name = self.value = cls.__name__

    def load(self) -> Callable[[], tuple[type, dict[str, Any]]]:
        return lambda: (self.cls, {})


def registry() -> Registry:
    classes: dict[str, Sequence[type]] = {
        "reconciler.importers": [RichImporter, OldImporter, OddImporter],
        "reconciler.publishers": [RichPublisher],
        "reconciler.content_types": [RichType],
    }
    points: Callable[[str], Any] = lambda group: [Point(cls) for cls in classes[group]]  # noqa: E731
    typed: Callable[[str], list[EntryPoint]] = points
    return Registry(points=typed)


HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: it}}\nspec: {spec}\n"


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Fault]]:
    monkeypatch.chdir(tmp_path)

    def faults(**specs: str) -> list[Fault]:
        Path("m.yaml").write_text(
            "---\n".join(HEAD.format(kind=kind, spec=spec) for kind, spec in specs.items()),
            encoding="utf-8",
        )
        with pytest.raises(ManifestFaults) as caught:
            read(["m.yaml"], registry())
        return list(caught.value.faults)

    return faults


def test_a_plugin_may_ask_for_sets_enumerations_and_unions(tmp_path: Path) -> None:
    spec = (
        "{type: rich, colours: [red], files: [a.whl, {name: b, version: '2'}], even: 2, share: 0.5}"
    )
    (tmp_path / "m.yaml").write_text(HEAD.format(kind="Filter", spec=spec), encoding="utf-8")
    rules = read([tmp_path], registry()).filters["it"]
    assert rules.options.colours == {Colour.RED}
    assert rules.options.files == ["a.whl", Exact(name="b", version="2")]
    assert rules.spec == {
        "type": "rich",
        "colours": ["red"],
        "files": ["a.whl", {"name": "b", "version": "2"}],
        "even": 2,
        "share": "0.5",
    }


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            "{type: rich, files: [1.10]}",
            (
                "m.yaml:4:28: `spec.files[0]`: expects a text\n  hint: YAML reads this as a number:"
                " put it in quotes"
            ),
        ),
        (
            "{type: rich, files: [{name: b, version: 2}]}",
            (
                "m.yaml:4:47: `spec.files[0].version`: expects a text\n  hint: YAML reads this as a"
                " number: put it in quotes"
            ),
        ),
        ("{type: rich, files: [{name: b}]}", "m.yaml:4:28: `spec.files[0]` lacks `version`"),
        (
            "{type: rich, files: [{name: b, versoin: x}]}",
            (
                "m.yaml:4:38: unknown key `versoin` in `spec.files[0]`\n  hint: did you mean"
                " `version`?"
            ),
        ),
        ("{type: rich, colours: [blue]}", "m.yaml:4:30: `spec.colours[0]`: expects `red`"),
        (
            "{type: rich, colours: [RED]}",
            "m.yaml:4:30: `spec.colours[0]`: expects `red`\n  hint: did you mean `red`?",
        ),
        (
            "{type: rich, files: [~]}",
            (
                "m.yaml:4:28: `spec.files[0]`: expects a text\n  hint: nothing stands here: leave"
                " it out, or put a text in quotes"
            ),
        ),
        (
            "{type: rich, even: 3}",
            "m.yaml:4:26: `spec.even`: must be even\n  hint: try the next one",
        ),
        (
            "{type: rich, bad: s3cret}",
            (
                "m.yaml:4:7: the plugin's check failed: RuntimeError\n  hint: this is a fault of"
                " the plugin: tell its authors"
            ),
        ),
        (
            "{type: rich, lacking: s3cret}",
            (
                "m.yaml:4:7: the plugin's check failed: ModuleNotFoundError\n  hint: the"
                " installation is incomplete: no installed package has the module `absent_reader`;"
                " install the package of the plugin again, with everything that it requires, for"
                " the Python that runs `reconciler`"
            ),
        ),
        (
            "{type: rich, typo: 1, globl: true}",
            "m.yaml:4:29: unknown key `globl` in `spec`\n  hint: did you mean `global`?",
        ),
    ],
)
def test_faults_of_a_plugins_keys_have_places_and_hints(
    refused: Callable[..., list[Fault]], spec: str, fault: str
) -> None:
    assert fault in [str(refusal) for refusal in refused(Filter=spec)]


def test_a_disabled_plugin_is_a_fault_where_it_is_named_with_the_reason(
    refused: Callable[..., list[Fault]],
) -> None:
    (fault,) = refused(Filter="{type: old}")
    assert str(fault).startswith("m.yaml:4:14: the importer `old`")
    assert "it supports plugin API <1.0" in fault.message


def test_an_unknown_type_is_a_fault_where_it_is_named(refused: Callable[..., list[Fault]]) -> None:
    assert [str(fault) for fault in refused(Filter="{type: rihc}")] == [
        "m.yaml:4:14: no installed plugin provides the importer `rihc`\n  hint: did you mean"
        " `rich`?"
    ]


def test_a_plugin_whose_options_are_no_options_is_named(
    refused: Callable[..., list[Fault]],
) -> None:
    (fault,) = refused(Filter="{type: odd}")
    assert fault.message.endswith("its `options` does not derive from Options")


def test_a_publishers_own_keys_are_asked_for(refused: Callable[..., list[Fault]]) -> None:
    assert [
        str(fault)
        for fault in refused(Repository="{type: rich}", Publication="{repository: it, path: p}")
    ] == ["m.yaml:9:1: `spec` lacks `key`"]


def test_a_type_without_well_known_indexes_says_so(refused: Callable[..., list[Fault]]) -> None:
    assert [fault.hint for fault in refused(Remote="{type: rich, index: pypi}")] == ["use `url:`"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("6h", 21_600), ("7d", 604_800), ("0s", 0)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "1.5h", "-1s", "1w", "1h30m", "1 h", 30, None, "9" * 10 + "d", "\uff17d"],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(OptionFault) as refused:
        parse_duration(text)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500MiB", 524_288_000),
        ("2GB", 2 * 10**9),
        ("100B", 100),
        ("1KiB", 1024),
        ("1kB", 1000),
        ("1TiB", 2**40),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "500", "MiB", "1.5GB", "-1B", "1 MB", "1MIB", 500, None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(OptionFault) as refused:
        parse_size(text)
    assert refused.value.hint


@pytest.mark.parametrize(("limit", "expected"), [(1, "1 character"), (2, "2 characters")])
def test_a_text_that_is_too_short_is_told_the_limit(limit: int, expected: str) -> None:
    class Named(Options):
        name: str = Field(min_length=limit)

    faults: list[Fault] = []
    document = Unplaced(ManifestText("m.yaml", "", ""), 0, {"name": ""}, None)
    assert Checked(document, faults).against(Named, (), document.value) is None
    assert [fault.message for fault in faults] == [f"`name`: expects at least {expected}"]
