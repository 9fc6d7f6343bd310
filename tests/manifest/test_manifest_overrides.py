"""Options of plugins: configuration of the installation, manifest, and `--override`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ManifestFaults
from reconciler.manifest import read
from reconciler.model import DesiredState
from reconciler.plugin import Importer, Metadata, Options, PluginCallConfiguration, Publisher
from reconciler.plugin.registry import Registry
from tests.support import quotes

HEAD = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
SITE = "---\n".join(
    HEAD.format(kind=kind, name=name, spec=spec)
    for kind, name, spec in (
        ("Remote", "famous", "{type: quotes, index: famous}"),
        ("Filter", "rules", "{type: quotes, deny: [q1]}"),
        (
            "Repository",
            "team",
            (
                "{type: quotes, sources: [{remote: {name: famous, include: [wilde], exclude:"
                " [shaw]}}, {upload: {}}]}"
            ),
        ),
        (
            "Repository",
            "team.prod",
            "{type: quotes, sources: [{repository: {name: team, version: 3}}]}",
        ),
        ("Repository", "empty", "{type: quotes}"),
        ("Publication", "team", "{repository: team, path: team, title: Ours}"),
    )
)


class Nested(Options):
    depth: int = 1
    colour: str = "red"


class Tree(Options):
    """`share`: a number with a fraction. `required`: a key without a default."""

    required: str
    nested: Nested = Nested()
    share: float = 0.5
    leaves: tuple[str, ...] = ()


class TreeImporter(Importer):
    options = Tree

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("tree", "Trees")


class TreePublisher(Publisher):
    options = Nested

    @classmethod
    def metadata(cls) -> Metadata:
        return Metadata("tree", "Trees")


class Point:
    """Entry point with a plugin-level configuration."""

    dist = None

    def __init__(self, cls: type, config: dict[str, Any]) -> None:
        self.cls, self.config = cls, config
        self.name = self.value = "tree"

    def load(self) -> Callable[[], tuple[type, dict[str, Any]]]:
        return lambda: (self.cls, self.config)


def trees(
    importer: Mapping[str, Any] | None = None, publisher: Mapping[str, Any] | None = None
) -> Registry:
    """Return a registry with `tree`, configured at the plugin level."""
    points: Any = {
        "reconciler.importers": [Point(TreeImporter, dict(importer or {}))],
        "reconciler.publishers": [Point(TreePublisher, dict(publisher or {}))],
    }
    results: Callable[[str], Iterable[EntryPoint]] = lambda group: points.get(group, [])  # noqa: E731
    return Registry(points=results)


@pytest.fixture
def overridden(tmp_path: Path) -> Callable[..., DesiredState]:
    (tmp_path / "m.yaml").write_text(SITE, encoding="utf-8")
    return lambda *overrides: read([tmp_path], quotes.registry(), overrides=overrides)


@pytest.fixture
def refused(overridden: Callable[..., DesiredState]) -> Callable[..., list[str]]:
    def faults(*overrides: str) -> list[str]:
        with pytest.raises(ManifestFaults) as caught:
            overridden(*overrides)
        return [str(fault) for fault in caught.value.faults]

    return faults


def forest(
    folder: Path,
    registry: Registry,
    source: str = "{upload: {required: x}}",
    *overrides: str,
    publication: str = "",
) -> DesiredState:
    text = HEAD.format(kind="Repository", name="it", spec=f"{{type: tree, sources: [{source}]}}")
    text += "---\n" + HEAD.format(
        kind="Publication", name="it", spec=f"{{repository: it, path: p{publication}}}"
    )
    (folder / "tree.yaml").write_text(text, encoding="utf-8")
    return read([folder / "tree.yaml"], registry, overrides=overrides)


def levels(
    config: PluginCallConfiguration,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    return dict(config.override), dict(config.repository), dict(config.plugin)


def test_an_override_reaches_the_plugin_and_nothing_that_is_recorded(
    overridden: Callable[..., DesiredState],
) -> None:
    before = overridden()
    after = overridden(
        "repository/team.include=[twain, 'x']",
        "Publications/team.title=Theirs",
        "FILTER/rules.maxSize=2MB",
    )
    for source in after.repositories["team"].sources:
        assert source.options.include == ("twain", "x")
        assert source.config.get("include") == ["twain", "x"]
    assert after.repositories["team"].sources[0].options.exclude == ("shaw",)
    assert levels(after.repositories["team"].sources[0].config)[1] == {
        "include": ["wilde"],
        "exclude": ["shaw"],
    }
    assert after.publications["team"].options.title == "Theirs"
    assert levels(after.publications["team"].config) == ({"title": "Theirs"}, {"title": "Ours"}, {})
    assert (after.filters["rules"].options.max_size, after.filters["rules"].options.deny) == (
        2_000_000,
        ("q1",),
    )
    assert after.digest == before.digest
    assert [dict(resource.spec) for resource in after] == [
        dict(resource.spec) for resource in before
    ]
    assert [source.spec for source in after.repositories["team"].sources] == after.repositories[
        "team"
    ].spec["sources"]


def test_the_longest_declared_name_wins_when_names_hold_dots(
    overridden: Callable[..., DesiredState],
) -> None:
    state = overridden("repositories/team.prod.exclude=[x]")
    assert state.repositories["team.prod"].sources[0].options.exclude == ("x",)
    assert state.repositories["team"].sources[0].options.exclude == ("shaw",)


def test_null_goes_back_to_the_plugins_default(overridden: Callable[..., DesiredState]) -> None:
    source = overridden("repository/team.include=null").repositories["team"].sources[0]
    assert source.options.include is None
    assert source.config.get("include", "default") is None


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "team.include=[a]",
            (
                "--override:1:1: expects `KIND/NAME.key=VALUE`\n  hint: `--override"
                " repository/team.include=[django]`"
            ),
        ),
        (
            "repo/team.include=[a]",
            (
                "--override:1:1: unknown kind `repo`\n  hint: expected `filter`, `publication`,"
                " `repository`"
            ),
        ),
        (
            "remote/famous.retries=3",
            (
                "--override:1:1: keys of a remote are not overridden\n  hint: override the sources"
                " that use it: `repository/NAME.key=VALUE`"
            ),
        ),
        (
            "repository/taem.include=[a]",
            "--override:1:12: unknown Repository `taem`\n  hint: did you mean `team`?",
        ),
        (
            "repository/team.prd.exclude=[a]",
            (
                "--override:1:17: unknown key `prd` in `repository/team`\n  hint: known here:"
                " `exclude`, `include`"
            ),
        ),
        (
            "repository/team=3",
            "--override:1:16: `repository/team` lacks a key\n  hint: `repository/team.key=VALUE`",
        ),
        (
            "repository/team.incldue=[a]",
            (
                "--override:1:17: unknown key `incldue` in `repository/team`\n  hint: did you mean"
                " `include`?"
            ),
        ),
        (
            "repository/team.translations=[a]",
            (
                "--override:1:17: `repository/team.translations` is not supported yet\n  hint:"
                " leave it out"
            ),
        ),
        (
            "repository/team.include=a",
            (
                "--override:1:25: `repository/team.include`: expects a list\n  hint: a list of one:"
                " `- item` on a line of its own, or `[item]`"
            ),
        ),
        (
            "repository/team.include=[a, 1.10]",
            (
                "--override:1:25: `repository/team.include[1]`: expects a text\n  hint: YAML reads"
                " this as a number: put it in quotes"
            ),
        ),
        (
            "filter/rules.minAge=7",
            (
                "--override:1:21: `filter/rules.minAge`: expects a duration\n  hint: a whole number"
                " and its unit: `30s`, `15m`, `6h` or `7d`"
            ),
        ),
        (
            "repository/team.filters=[rules]",
            (
                "--override:1:17: `repository/team`: `filters` is not a key of a plugin; only"
                " those can be overridden\n  hint: change it in the manifest"
            ),
        ),
        (
            "publication/team.path=x",
            (
                "--override:1:18: `publication/team`: `path` is not a key of a plugin; only those"
                " can be overridden\n  hint: change it in the manifest"
            ),
        ),
        (
            "repository/empty.include=[a]",
            (
                "--override:1:18: `repository/empty`: has no sources, and only they have a plugin's"
                " keys\n  hint: add a source to the manifest"
            ),
        ),
        (
            "repository/team.include=",
            (
                "--override:1:25: a key without a value\n  hint: `''` is the empty text, `null` the"
                " plugin's own default"
            ),
        ),
        (
            "repository/team.include=[a]\nb: c",
            (
                "--override:1:25: expects one value\n  hint: `[a, b]`, `{key: value}`, `7d`, `true`"
                " or a text"
            ),
        ),
        (
            "repository/team.include=!!python/name:os.system x",
            (
                "--override:1:25: tags are not allowed here\n  hint: write the value without the"
                " word that begins with `!`"
            ),
        ),
    ],
)
def test_a_wrong_override_is_a_fault_at_its_place_in_the_option(
    refused: Callable[..., list[str]], override: str, fault: str
) -> None:
    assert refused(override) == [fault]


def test_all_overrides_are_judged_in_one_run(refused: Callable[..., list[str]]) -> None:
    results = refused(
        "x",
        "repository/team.include=[",
        "publication/team.title=3",
        "publication/team.title=a",
        "filter/no.deny=[a]",
    )
    assert [fault.split(": ")[0] for fault in results] == [
        "--override:1:1",
        "--override:2:25",
        "--override:3:24",
        "--override:4:18",
        "--override:5:8",
    ]
    assert "is overridden twice\n  hint: the other is number 3" in results[3]


def test_a_resource_in_a_file_that_cannot_be_read_is_not_called_unknown(tmp_path: Path) -> None:
    with pytest.raises(ManifestFaults) as caught:
        read(
            [tmp_path / "absent.yaml"], quotes.registry(), overrides=["repository/team.include=[a]"]
        )
    assert [fault.message for fault in caught.value.faults] == [
        "cannot be read: No such file or directory"
    ]


def test_dotted_keys_reach_into_mappings_and_keep_what_is_beside(tmp_path: Path) -> None:
    state = forest(
        tmp_path,
        trees(),
        "{upload: {required: x, nested: {colour: blue}}}",
        "repository/it.nested.depth=7",
        "repository/it.share=0.25",
    )
    (source,) = state.repositories["it"].sources
    assert source.options == Tree(required="x", nested=Nested(depth=7, colour="blue"), share=0.25)
    assert levels(source.config)[0] == {"nested": {"depth": 7, "colour": "blue"}, "share": "0.25"}
    with pytest.raises(
        ManifestFaults,
        match=(
            r"^--override:1:22: unknown key `deph` in `repository/it\.nested`\n  hint: did you mean"
            r" `depth`"
        ),
    ):
        forest(tmp_path, trees(), "{upload: {required: x}}", "repository/it.nested.deph=7")


def test_what_is_written_wins_over_the_plugin_level_and_an_override_over_both(
    tmp_path: Path,
) -> None:
    registry = trees(
        {"required": "everywhere", "leaves": ["a"], "own": 3}, {"depth": 5, "colour": "blue"}
    )
    state = forest(
        tmp_path,
        registry,
        "{upload: {leaves: [b]}}",
        "publication/it.colour=green",
        publication=", depth: 1",
    )
    (source,) = state.repositories["it"].sources
    assert (source.options.required, source.options.leaves, source.options.share) == (
        "everywhere",
        ("b",),
        0.5,
    )
    assert levels(source.config) == (
        {},
        {"leaves": ["b"]},
        {"required": "everywhere", "leaves": ["a"], "own": 3},
    )
    publication = state.publications["it"]
    assert publication.options == Nested(depth=1, colour="green"), (
        "a written default hides the plugin level"
    )
    assert levels(publication.config) == (
        {"colour": "green"},
        {"depth": 1},
        {"depth": 5, "colour": "blue"},
    )
    assert publication.spec["depth"] == 1


def test_where_the_keys_of_a_source_are_written(tmp_path: Path) -> None:
    registry = trees({"required": "everywhere", "leaves": ["a"]})
    written = "{upload: {\n  leaves: [x,\n   b], nested: {\n  depth: 3}}}"
    state = forest(tmp_path, registry, written, "repository/it.nested.colour=green")
    (source,) = state.repositories["it"].sources
    file = tmp_path / "tree.yaml"
    places = {
        (): f"{file}:4",
        ("leaves",): f"{file}:5",
        ("leaves", 1): f"{file}:6",
        ("leaves", 2): None,
        ("nested", "depth"): f"{file}:7",
        ("nested", "colour"): "--override:1",
        ("required",): "plugin-level configuration of `tree`",
        ("share",): None,
    }
    assert {path: source.locations.find(path) for path in places} == places


def test_where_the_rules_of_a_filter_are_written(tmp_path: Path) -> None:
    text = HEAD.format(
        kind="Filter",
        name="rules",
        spec="\n  type: quotes\n  <<: &more\n    deny:\n    - q1\n    - q2\n",
    )
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    resource = read([tmp_path], quotes.registry()).filters["rules"]
    assert [resource.locations.find(path) for path in (("deny",), ("deny", 1), ("type",))] == [
        f"{tmp_path}/m.yaml:{line}" for line in (7, 9, 5)
    ]
    (tmp_path / "m.yaml").write_text(text.replace("spec: ", "spec: # moved\n"), encoding="utf-8")
    again = read([tmp_path], quotes.registry()).filters["rules"]
    assert (again.locations, again.locations.find(("deny",))) == (
        resource.locations,
        f"{tmp_path}/m.yaml:8",
    ), "a place is no part of what it means"
    assert resource.locations.find(("deny", 1)) == f"{tmp_path}/m.yaml:9", (
        "of the text that was read"
    )


def test_a_fault_of_the_plugin_level_is_reported_once_where_it_is_used(tmp_path: Path) -> None:
    registry = trees({"required": "x", "leaves": [1], "nested": {"deph": 1}}, {"depth": object()})
    two = "{type: tree, sources: [{upload: {}}]}"
    text = "---\n".join(HEAD.format(kind="Repository", name=name, spec=two) for name in ("a", "b"))
    (tmp_path / "m.yaml").write_text(
        text + "---\n" + HEAD.format(kind="Publication", name="p", spec="{repository: a, path: p}"),
        encoding="utf-8",
    )
    with pytest.raises(ManifestFaults) as caught:
        read([tmp_path], registry)
    results = [str(fault).removeprefix(f"{tmp_path}/m.yaml:") for fault in caught.value.faults]
    where = (
        "`[plugins.tree]` in `reconciler.toml` and `plugins.d/tree.conf` set it, else the plugin"
        " itself does"
    )
    assert results == [
        (
            "4:14: the plugin-level configuration of importer `tree`: `leaves[0]`: expects a text\n"
            f"  hint: {where}"
        ),
        (
            "4:14: the plugin-level configuration of importer `tree`: unknown key `deph` in"
            f" `nested`\n  hint: {where}"
        ),
        (
            "14:20: the plugin-level configuration of publisher `tree`: `depth`: TypeError\n "
            f" hint: {where}"
        ),
    ]
