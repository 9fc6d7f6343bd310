"""Kinds, keys, commands and options are documented; no file names a registry or a machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from reconciler.cli.main import tree
from reconciler.manifest import schema
from reconciler.plugin.registry import Registry
from tests.support.documents import DOCUMENTS
from tests.support.source import ROOT

# The generated pages name everything anyway: what people wrote must name it too.
GENERATED = {"docs/reference/commands.md", "docs/reference/manifest-keys.md"}
TEXT = "\n".join(
    (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS if name not in GENERATED
)
CODE = set(re.findall(r"[A-Za-z0-9_-]+", " ".join(re.findall(r"`[^`\n]+`", TEXT))))
COMMANDS: dict[str, Any] = typer.main.get_command(tree()).commands  # type: ignore[attr-defined]  # it is a group


def options() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            yield from ((name, option) for option in parameter.opts if option.startswith("-"))


def keys(value: Any) -> set[str]:
    """Every name of a property in a schema."""
    if isinstance(value, list):
        return {key for item in value for key in keys(item)}
    if not isinstance(value, dict):
        return set()
    named = value.get("properties", {})
    own = set(named) if isinstance(named, dict) else set()
    return own | {key for item in value.values() for key in keys(item)}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented(name: str) -> None:
    assert name in CODE


@pytest.mark.parametrize("option", sorted({option for _, option in options()}))
def test_every_option_is_documented(option: str) -> None:
    assert option in CODE


def test_every_kind_and_every_key_of_a_manifest_is_documented() -> None:
    document = schema(Registry())
    wanted = keys(document) | set(document["properties"]["kind"]["enum"])
    assert {"include", "maxRemovals", "clientCert"} <= wanted, "the schema is read as it is meant"
    assert sorted(wanted - CODE) == []


def test_every_key_that_is_refused_as_not_supported_yet_is_documented() -> None:
    shipped = [
        model
        for model in models()
        if model.__module__.partition(".")[0] in ("reconciler", "reconciler_python")
    ]  # not the tests' own
    refused = {key for model in shipped for key in getattr(model, "not_yet", ())}
    assert {"lock", "retain"} <= refused
    assert sorted(refused - CODE) == []
    assert sorted(promised() - refused) == [], (
        "supported, or no key at all: it does not belong below `Not supported yet`"
    )


# Of these keys one value alone is not supported: the table names it with the key, or in words.
PARTLY = {"proxy"}


def promised() -> set[str]:
    """The keys, without the way to them, that manifests/README.md lists as not supported yet."""
    page = (ROOT / "manifests" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\|[^|]*\|(.*)\|$",
        page.partition("\n## Not supported yet\n")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
    written = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    assert written > PARTLY, "the table is read as it is meant"
    return {key.rpartition(".")[2] for key in written - PARTLY}


def models() -> Iterator[type[object]]:
    """Every model of options, the core's and the installed plugins'."""
    from reconciler.plugin import Options

    waiting: list[type[object]] = [Options]
    schema(Registry())  # the plugins are loaded by this
    while waiting:
        yield (model := waiting.pop())
        waiting += model.__subclasses__()


# In pieces, so that this file does not hold what it looks for.
FORBIDDEN = [
    "pypi" + ".org",
    "python" + "hosted",
    "debian" + ".org",
    "npmjs" + ".",
    "/wo" + "rk/",
    "/tm" + "p/",
    "/ro" + "ot/",
    "/ho" + "me/",
]


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git repository")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    violations = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files
        if path.is_file()
        for word in forbidden_words(path.read_bytes())
    ]
    assert violations == []


def forbidden_words(content: bytes) -> list[str]:
    return [word for word in FORBIDDEN if word.encode() in content]
