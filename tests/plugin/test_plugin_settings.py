"""Settings about plugins in `reconciler.toml`, `plugins.d` and the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import settings
from reconciler.errors import UsageFault
from tests.support.mirror import call


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECONCILER_PLUGIN_DIRECTORY", raising=False)
    return tmp_path


def conf(id: str, text: str) -> None:
    Path("plugins.d").mkdir(exist_ok=True)
    Path("plugins.d", f"{id}.conf").write_text(text, encoding="utf-8")


def toml(text: str) -> None:
    Path("reconciler.toml").write_text(text, encoding="utf-8")


def fault() -> UsageFault:
    with pytest.raises(UsageFault) as raised:
        settings.plugins()
    return raised.value


def test_without_any_file_plugins_keep_their_own_configuration() -> None:
    result = settings.plugins()
    assert (dict(result.configs), dict(result.origins), result.directory) == ({}, {}, None)


def test_tables_and_files_are_configuration_by_id_and_say_where_they_come_from() -> None:
    toml('[plugins.python]\nsize = 1\nnested = {a = [true, 1.5]}\n[plugins."odd.name"]\n')
    conf("some.other", '{"a": null}')
    result = settings.plugins()
    assert result.configs == {
        "python": {"size": 1, "nested": {"a": [True, 1.5]}},
        "odd.name": {},
        "some.other": {"a": None},
    }
    assert result.origins == {
        "python": "reconciler.toml",
        "odd.name": "reconciler.toml",
        "some.other": str(Path("plugins.d", "some.other.conf")),
    }


def test_the_registry_of_every_command_lays_them_over_the_plugins_own() -> None:
    conf("python", '{"colour": "red"}')
    assert settings.registry().importer("python").config["colour"] == "red"
    assert settings.registry().publisher("python").config["colour"] == "red"


def test_a_plugin_that_is_configured_twice_is_a_fault_that_names_both_places() -> None:
    toml("[plugins.python]\n")
    conf("python", "{}")
    assert "`python` is configured twice: in `reconciler.toml` and in `plugins.d" in fault().message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plugins = 1", "`plugins` in `reconciler.toml` holds one table for each plugin"),
        ("[plugins]\npython = 1", "`plugins` in `reconciler.toml` holds one table for each plugin"),
        (
            "[plugins.python]\nsince = 2026-01-01",
            "`plugins.python.since` in `reconciler.toml` is a date",
        ),
        (
            "[plugins.python]\na = [{b = 12:00:00}]",
            "`plugins.python.a.b` in `reconciler.toml` is a time",
        ),
        ("plugin_directory = 1", "`plugin_directory` in `reconciler.toml` expects a text"),
        ("home = ['x']", "`home` in `reconciler.toml` expects a text"),
        ("plugin_directory = 'nowhere'", "the plugin directory `nowhere` is not a folder"),
        ("plugin_dir = 'x'", "`reconciler.toml` holds the unknown setting `plugin_dir`"),
        ("[plugins", "`reconciler.toml` cannot be read"),
        ("a = '\udcff'", "`reconciler.toml` cannot be read"),
    ],
)
def test_settings_that_cannot_be_understood_are_faults_that_name_the_file(
    text: str, expected: str
) -> None:
    Path("reconciler.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert fault().message.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot be read"),
        ("[1]", "is not a JSON object"),
        ("[" * 100_000, "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_file_of_a_plugin_that_cannot_be_understood_is_a_fault_that_names_it(
    text: str, expected: str
) -> None:
    conf("python", text)
    assert f"`{Path('plugins.d', 'python.conf')}` {expected}" in fault().message


def test_other_files_beside_them_are_nobodys_business() -> None:
    conf(".python", "{")
    Path("plugins.d", "README").write_text("{")
    Path("plugins.d", "python.conf~").write_text("{")
    assert settings.plugins().configs == {}


def test_the_environment_wins_over_the_file_for_the_plugin_directory() -> None:
    Path("one").mkdir()
    Path("two").mkdir()
    toml("plugin_directory = 'one'")
    assert settings.plugins().directory == Path("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILER_PLUGIN_DIRECTORY", "two")
        assert settings.plugins().directory == Path("two")


def test_a_configuration_that_no_plugin_reads_is_a_warning_with_a_hint_and_stops_nothing() -> None:
    conf("pyhton", "{}")
    Path("site.yaml").write_text("", encoding="utf-8")
    done = call(["validate", "site.yaml"])
    assert (done.code, done.out) == (0, "0 resources, no faults\n")
    assert (
        done.err
        == f"warning: `{Path('plugins.d', 'pyhton.conf')}` configures `pyhton`, and no installed"
        " plugin has that ID\n  hint: did you mean `python`?\n"
    )


def test_the_plugin_directory_is_loaded_by_every_command(here: Path) -> None:
    toml("plugin_directory = 'plugins'")
    module = here / "plugins" / "importers" / "broken" / "importer.py"
    module.parent.mkdir(parents=True)
    module.write_text("1 / 0", encoding="utf-8")
    Path("site").mkdir()
    Path("site", "site.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Filter\nmetadata: {name: f}\nspec: {type: broken}\n",
        encoding="utf-8",
    )
    done = call(["validate", "site"])
    assert done.code == 1
    assert done.err.startswith(
        "site/site.yaml:4:14: the importer `broken` of (directory) is disabled: it cannot be"
        " imported: ZeroDivisionError"
    )
    listed = json.loads(call(["plugins", "-o", "json"]).out)
    assert [item["origin"] for item in listed if item["id"] == "broken"] == [
        f"directory {Path('plugins', 'importers', 'broken')}"
    ]
