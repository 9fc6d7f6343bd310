"""A package that is not installed is no fault of the plugin: what to install is said."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_hint
from reconciler.errors import PluginFault
from reconciler.plugin.entry_points import Unsound, run
from reconciler.plugin.missing_packages import missing_package_hint


@pytest.fixture(autouse=True)
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that requires one which is not installed, beside damaged ones."""
    _install(tmp_path, "owner", b"Requires-Dist: absent-parser<7,>=6\n")
    _install(tmp_path, "unreadable", b"Requires-Dist: \xff\xfe\n")
    _install(tmp_path, "invalid", b"Requires-Dist: ==\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def _install(folder: Path, name: str, requirements: bytes) -> None:
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1\n".encode()
    (info / "METADATA").write_bytes(head + requirements)


def failed_import(module: str) -> ImportError:
    with pytest.raises(ImportError) as raised:
        import_module(module)
    return raised.value


def test_a_required_package_that_is_missing_is_named_with_the_command_that_installs_it() -> None:
    assert error_hint(failed_import("absent_parser.html")) == (
        "the installation is incomplete: `owner` requires `absent-parser`, which is not installed;"
        " `python -m pip install 'absent-parser<7,>=6'`, with the Python that runs `reconciler`,"
        " installs it"
    )


def test_a_package_that_nothing_requires_is_never_a_command_since_its_name_may_be_a_slip() -> None:
    hint = error_hint(failed_import("absent_parsre"))
    assert hint
    assert "no installed package has the module `absent_parsre`" in hint
    assert "pip install" not in hint


@pytest.mark.parametrize("module", ["sqlite3.absent", "packaging.absent", "reconciler.absent"])
def test_a_wrong_import_from_an_installed_package_stays_the_plugins_fault(module: str) -> None:
    assert missing_package_hint(failed_import(module)) is None


def test_every_way_into_a_plugin_passes_the_hint_on() -> None:
    with pytest.raises(PluginFault) as raised, plugin_faults("`render` of `x`"):
        import_module("absent_parser")
    assert raised.value.hint
    assert "absent-parser<7,>=6" in raised.value.hint
    with pytest.raises(Unsound, match=r"absent-parser<7,>=6"):
        run(lambda: import_module("absent_parser"), "it cannot be imported")
