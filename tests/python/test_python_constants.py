"""A library's constant is read from its source, and is the one that importing it gives."""

from __future__ import annotations

import subprocess
import sys

import pypi_simple
import pytest

from reconciler_python.constants import constant
from reconciler_python.simple_importer import PythonImporter


def test_the_constant_is_the_librarys() -> None:
    assert PythonImporter.well_known("pypi") == pypi_simple.PYPI_SIMPLE_ENDPOINT
    assert PythonImporter.well_known("elsewhere") is None


def test_reading_it_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom reconciler_python.constants import constant\nassert"
        " constant('pypi_simple', 'PYPI_SIMPLE_ENDPOINT')\nassert 'pypi_simple' not in sys.modules"
        " and 'requests' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_computed_constant_is_imported() -> None:
    assert constant("reconciler_python.reading.units", "DISTRIBUTION") == "python.distribution"
    assert constant("os.path", "sep") == "/"
    with pytest.raises(AttributeError):
        constant("os.path", "no_such_name")
