"""Entry points of the plugin, and their cost."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys

import pytest

import reconciler_file
from reconciler.plugin.registry import Registry
from reconciler_file import file_importer
from reconciler_file.content import File
from reconciler_file.file_importer import FileImporter
from reconciler_file.file_publisher import FilePublisher


def test_the_installed_entry_points_lead_to_the_plugin() -> None:
    registry = Registry()
    assert registry.importer("file").cls is FileImporter
    assert registry.publisher("file").cls is FilePublisher
    assert registry.content_type("file.file") is File


def test_no_module_takes_the_place_of_an_entry_point() -> None:
    modules = {module.name for module in pkgutil.iter_modules(reconciler_file.__path__)}
    assert not modules & set(reconciler_file.__all__)


def test_an_importer_of_three_formats_is_a_short_text() -> None:
    assert len(inspect.getsource(file_importer).splitlines()) < 120


@pytest.mark.parametrize(
    ("entry_point", "unneeded"),
    [
        ("importer", ["reconciler_file.file_publisher", "mimetypes"]),
        ("publisher", ["reconciler_file.file_importer", "reconciler_file.folders", "lxml"]),
        (
            "file",
            ["reconciler_file.file_importer", "reconciler_file.file_publisher", "lxml"],
        ),
    ],
)
def test_an_entry_point_imports_what_it_names_and_no_more(
    entry_point: str, unneeded: list[str]
) -> None:
    program = (
        "import sys, reconciler_file\n"
        "assert not [name for name in sys.modules if name.startswith('reconciler_file.')]\n"
        f"reconciler_file.{entry_point}()\n"
        f"print([name for name in {unneeded!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], text=True, capture_output=True, timeout=120
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
