"""Entry points of the plugin, and their cost."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import reconciler_python
from reconciler.plugin.registry import Registry
from reconciler_python.content import Distribution, Project
from reconciler_python.publishing.simple_publisher import PythonPublisher
from reconciler_python.simple_importer import PythonImporter


def test_the_installed_entry_points_lead_to_the_plugin() -> None:
    registry = Registry()
    assert registry.importer("python").cls is PythonImporter
    assert registry.publisher("python").cls is PythonPublisher
    assert registry.content_type("python.distribution") is Distribution
    assert registry.content_type("python.project") is Project


def test_no_module_takes_the_place_of_an_entry_point() -> None:
    modules = {module.name for module in pkgutil.iter_modules(reconciler_python.__path__)}
    assert not modules & set(reconciler_python.__all__)


@pytest.mark.parametrize(
    ("entry_point", "unneeded"),
    [
        (
            "importer",
            [
                "reconciler_python.publishing.rendering",
                "reconciler_python.publishing.simple_publisher",
                "pypi_simple",
                "requests",
                "jinja2",
            ],
        ),
        (
            "publisher",
            [
                "reconciler_python.simple_importer",
                "reconciler_python.reading.html_documents",
                "lxml",
                "pypi_simple",
                "jinja2",
            ],
        ),
        (
            "distribution",
            [
                "reconciler_python.simple_importer",
                "reconciler_python.publishing.simple_publisher",
                "lxml",
                "pypi_simple",
            ],
        ),
        (
            "project",
            [
                "reconciler_python.simple_importer",
                "reconciler_python.publishing.simple_publisher",
                "lxml",
                "pypi_simple",
            ],
        ),
    ],
)
def test_an_entry_point_imports_what_it_names_and_no_more(
    entry_point: str, unneeded: list[str]
) -> None:
    program = (
        "import sys, reconciler_python\n"
        "assert not [name for name in sys.modules if name.startswith('reconciler_python.')]\n"
        f"reconciler_python.{entry_point}()\n"
        f"print([name for name in {unneeded!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], text=True, capture_output=True, timeout=120
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
