"""Plugins in a plugin directory: found without installation, isolated from each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler.plugin import PluginFault
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry
from reconciler.plugin.validation import Plugin

IMPORTER = """
from reconciler.plugin import Importer, Metadata

class {name}(Importer):
    @classmethod
    def metadata(cls):
        return Metadata("{id}", "{name}", {types})
"""
TYPE = """
from reconciler.plugin import ContentType

class Note(ContentType):
    id = "notes.note"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "plugins"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def importer(
    directory: Path,
    folder: str = "notes",
    *,
    before: str = "",
    id: str = "notes",
    types: str = "()",
    name: str = "Notes",
) -> Path:
    path = directory / "importers" / folder / "importer.py"
    write(path, before + IMPORTER.format(id=id, types=types, name=name))
    return path.parent


def registry(directory: Path, configs: dict[str, dict[str, object]] | None = None) -> Registry:
    """Return a registry of this folder alone."""
    plugins = Registry(lambda group: [], PluginSettings(configs or {}, {}, directory))
    plugins.start()
    return plugins


def only(directory: Path) -> Plugin:
    [plugin] = registry(directory).all()
    return plugin


def test_one_of_each_kind_is_found_and_shown_as_what_it_is(directory: Path) -> None:
    folder = importer(directory, types="['notes.note']")
    write(directory / "content_types" / "note" / "content_type.py", TYPE)
    write(
        directory / "publishers" / "notes" / "publisher.py",
        "from reconciler.plugin import Metadata, Publisher\n"
        "class Pages(Publisher):\n"
        "    @classmethod\n"
        "    def metadata(cls):\n"
        "        return Metadata('notes', 'Notes', ['notes.note'])\n",
    )
    plugins = registry(directory)
    assert [(plugin.kind, plugin.id, plugin.enabled) for plugin in plugins.all()] == [
        ("content-type", "notes.note", True),
        ("importer", "notes", True),
        ("publisher", "notes", True),
    ]
    plugin = plugins.importer("notes")
    assert (plugin.distribution, plugin.distribution_version, plugin.origin) == (
        "(directory)",
        "",
        f"directory {folder}",
    )


def test_it_is_off_unless_asked_for(directory: Path) -> None:
    importer(directory)
    assert Registry(lambda group: []).all() == []


@pytest.mark.parametrize(
    "line",
    [
        "from .letters import LETTER",
        "from . import letters; LETTER = letters.LETTER",
        "from my_notes.letters import LETTER",
        "from my_notes import letters; LETTER = letters.LETTER",
        "import my_notes.letters; LETTER = my_notes.letters.LETTER",
        "import my_notes.letters as letters; LETTER = letters.LETTER",
        "import letters; LETTER = letters.LETTER",
        "from letters import LETTER",
        "from deep.down import LETTER",
        "import deep.down; LETTER = deep.down.LETTER",
        "from .deep.down import LETTER",
        "from my_notes.deep.up import LETTER",
    ],
)
@pytest.mark.parametrize("init", [True, False])
def test_a_package_imports_its_own_modules_however_it_says_so(
    directory: Path, line: str, init: bool
) -> None:
    folder = importer(directory, "my_notes", before=line + "\nassert LETTER == 'n'\n")
    write(folder / "letters.py", "LETTER = 'n'\n")
    write(folder / "deep" / "__init__.py", "")
    write(folder / "deep" / "down.py", "from my_notes.letters import LETTER\n")
    write(folder / "deep" / "up.py", "from ..letters import LETTER\n")
    if init:
        write(folder / "__init__.py", "from .letters import LETTER as FIRST\n")
    assert only(directory).reason == ""


def test_a_module_is_the_same_by_either_name_and_imports_later_too(directory: Path) -> None:
    late = (
        "def entry():\n    from notes import letters\n    import notes.letters as again\n    from ."
        " import letters as relative\n"
    )
    folder = importer(directory, before=late + "    return letters is again is relative\n")
    write(folder / "letters.py", "")
    cls = only(directory).cls
    assert cls is not None
    assert sys.modules[cls.__module__].entry()
    assert "notes" not in sys.modules
    assert "letters" not in sys.modules


def test_packages_of_one_name_do_not_meet_and_hide_nothing_that_is_installed(
    directory: Path,
) -> None:
    first = importer(
        directory,
        "json",
        before=(
            "from json.letters import LETTER\nfrom json import letters\nassert LETTER =="
            " 'importers'\n"
        ),
    )
    write(first / "letters.py", "LETTER = 'importers'\n")
    write(
        directory / "content_types" / "json" / "content_type.py",
        "import letters\nassert letters.LETTER == 'types'\n" + TYPE,
    )
    write(directory / "content_types" / "json" / "letters.py", "LETTER = 'types'\nimport string\n")
    write(
        directory / "content_types" / "json" / "string.py",
        "raise RuntimeError('the standard library comes first')\n",
    )
    assert [plugin.reason for plugin in registry(directory).all()] == ["", ""]
    import json

    assert json.loads("{}") == {}


def test_every_public_class_that_the_module_itself_defines_is_a_plugin(directory: Path) -> None:
    folder = importer(directory, id="first", name="First", before="from .base import Base\n")
    more = IMPORTER.format(id="second", name="Second", types="()") + IMPORTER.format(
        id="hidden", name="_Hidden", types="()"
    )
    write(folder / "importer.py", (folder / "importer.py").read_text() + more + "Alias = Second\n")
    write(folder / "base.py", IMPORTER.format(id="base", name="Base", types="()"))
    assert [plugin.id for plugin in registry(directory).all()] == ["first", "second"]


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (
            "import no_such_module_anywhere",
            "it cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("from .gone import x", "it cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(1)", "it cannot be imported: SystemExit: 1"),
        ("1 / 0", "it cannot be imported: ZeroDivisionError"),
        ("def (", "it cannot be imported: SyntaxError"),
    ],
)
def test_what_cannot_be_imported_is_disabled_under_its_folders_name_and_the_rest_goes_on(
    directory: Path, before: str, reason: str
) -> None:
    importer(directory, "broken", before=before + "\n", id="whatever")
    importer(directory, "notes")
    plugins = registry(directory)
    assert plugins.importer("notes").enabled
    broken = plugins.find("importer", "broken")
    assert broken is not None
    assert broken.reason.startswith(reason)


def test_a_folder_without_the_module_or_the_class_is_disabled(directory: Path) -> None:
    write(directory / "importers" / "empty" / "publisher.py", "")
    write(
        directory / "importers" / "classless" / "importer.py",
        "from reconciler.plugin import Importer\nclass Other: ...\n",
    )
    reasons = {plugin.id: plugin.reason for plugin in registry(directory).all()}
    assert reasons == {
        "classless": (
            "its `importer.py` defines no class that derives from reconciler.plugin.Importer"
        ),
        "empty": "it holds no `importer.py`",
    }


def test_what_is_no_package_is_passed_over(directory: Path) -> None:
    importer(directory, "__pycache__")
    importer(directory, ".git")
    write(directory / "importers" / "README.md", "")
    write(directory / "elsewhere" / "importer.py", "1 / 0")
    assert registry(directory).all() == []


def test_a_file_in_the_place_of_a_folder_is_a_fault_by_name(directory: Path) -> None:
    write(directory / "importers", "")
    with pytest.raises(
        PluginFault,
        match=f"the plugin directory `{directory / 'importers'}` cannot be read: Not a directory",
    ):
        registry(directory)


def test_a_broken_content_type_takes_its_importer_along_and_does_not_refuse_the_start(
    directory: Path,
) -> None:
    importer(directory, types="['notes.note']")
    write(directory / "content_types" / "note" / "content_type.py", "1 / 0\n" + TYPE)
    plugin = registry(directory).find("importer", "notes")
    assert plugin is not None
    assert not plugin.refused
    assert (
        "it handles `notes.note`, and the content type `note` of (directory) is disabled: it cannot"
        " be imported" in plugin.reason
    )


def test_two_folders_may_not_claim_an_id(directory: Path) -> None:
    first, second = importer(directory, "one"), importer(directory, "two")
    with pytest.raises(PluginFault, match="two plugins claim the importer ID `notes`") as raised:
        registry(directory)
    assert str(first) in raised.value.message
    assert str(second) in raised.value.message


# Configuration.


def test_configuration_files_are_joined_and_settings_lie_over_them(directory: Path) -> None:
    folder = importer(directory)
    write(folder / "10.conf", '{"a": 1, "b": {"c": [1]}}')
    write(folder / "20.conf", '{"d": null}')
    assert only(directory).config == {"a": 1, "b": {"c": [1]}, "d": None}
    assert registry(directory, {"notes": {"a": 2, "e": 3}}).importer("notes").config == {
        "a": 2,
        "b": {"c": [1]},
        "d": None,
        "e": 3,
    }


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (['{"a": 1}', '{"b": 1, "a": 1}'], "`a` is set in `0.conf` and in `1.conf`"),
        (['{"a": 1, "a": 1}'], "`a` is set twice in `0.conf`"),
        (['{"a": {"b": 1, "b": 2}}'], "`b` is set twice in `0.conf`"),
        (["[]"], "`0.conf` is not a JSON object"),
        (["{"], "`0.conf` cannot be read as JSON: "),
        (["{}", "\udcff"], "`1.conf` cannot be read as JSON: "),
        (["[" * 100_000], "`0.conf` cannot be read as JSON: "),
    ],
)
def test_a_configuration_that_cannot_be_read_disables(
    directory: Path, texts: list[str], reason: str
) -> None:
    folder = importer(directory)
    for number, text in enumerate(texts):
        (folder / f"{number}.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert only(directory).reason.startswith(reason)


def test_nothing_is_left_in_the_folder(directory: Path) -> None:
    folder = importer(directory, before="from . import letters\n")
    write(folder / "letters.py", "")
    assert only(directory).enabled
    assert sorted(path.name for path in folder.iterdir()) == ["importer.py", "letters.py"]
