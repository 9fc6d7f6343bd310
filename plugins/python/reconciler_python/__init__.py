"""Python packages: the plugin that reads simple indexes and renders them again.

Comes in: any index that speaks the simple repository API (JSON or HTML, API version 1), and the
selection and filter keys of a manifest. Goes out: `python.distribution` and `python.project` units,
decisions with reasons, and a tree of pages and files that pip, uv and poetry install from. Must
never know: SQL, manifests, the engine, other ecosystems; `reconciler.plugin` is its only door.

    reading .......... documents of an index, filenames and archives -> records and units
    matching ......... what the words of a manifest mean: names, versions, wheel tags, files
    evidence ......... licences, attestations, advisories: whether what a file proves is enough
    requirements ..... requirement files and lock files -> what is asked for
    options .......... the keys of a source and of a Filter
    selecting ........ in, or out because: checks, the table of them, and what decides with them
    dependencies ..... what packages depend on, wave by wave
    uploads .......... distributions that are sent: checks, and the endpoint of twine and its like
    arriving ......... manifests to start from, and those that other tools' set-ups amount to
    local_trees ...... trees and folders on disk, as pages of an index
    content .......... the two content types
    simple_importer .. asks the index: which projects, which files
    publishing ....... units -> pages and files of a publication
    pushing .......... units -> the pages, the form and the answers of another index

Each imports those above it only (`tests/architecture/test_python_plugin_layers.py`). A new rule of
selection is a key in `options.filter_options`, a check and a line of the table `FILTER_CHECKS` in
`selecting.filter_checks`, and an example in `tests/support/selection_tables.py`.

This module holds the entry points alone, and each imports what it names when it is called: a
command that only validates manifests pays for no renderer, one that only publishes pays for no HTML
parser. No module may bear an entry point's name: importing it would put the module in the place of
the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["distribution", "importer", "project", "publisher"]


def importer() -> tuple[type[Importer], dict[str, object]]:
    """Entry point of the importer `python`."""
    from reconciler_python.simple_importer import PythonImporter

    return PythonImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, object]]:
    """Entry point of the publisher `python`."""
    from reconciler_python.publishing.simple_publisher import PythonPublisher

    return PythonPublisher, {}


def distribution() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `python.distribution`."""
    from reconciler_python.content import Distribution

    return Distribution, {}


def project() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `python.project`."""
    from reconciler_python.content import Project

    return Project, {}
