"""Python packages: the guest that reads simple indexes and renders them again.

Comes in: any index that speaks the simple repository API (JSON or HTML, API version 1), and the selection and filter
keys of a manifest. Goes out: `python.distribution` and `python.project` units, decisions with reasons, and a tree of
pages and files that pip, uv and poetry install from. Must never know: SQL, manifests, the engine, other ecosystems;
`reconciler.plugin` is its only door.

    simple_importer .. asks the index: which projects, which files
    media_types ...... which reader a page is for
    documents, markup  JSON and HTML documents of the simple API -> plain records
    digests .......... digests as upstream declares them
    filenames ........ what a filename says: version, package type
    units ............ records of one project -> units, or a refusal with its reason
    options .......... the keys of a source and of a Filter
    requirement_sources, requirement_files, lock_files .. requirements files and lock files, read once
    requirements ..... what they ask for
    filter_options ... the keys of a Filter
    rules ............ requirement strings, name globs, filenames: who is meant
    targets .......... tags of wheels and families of them
    interpreters ..... which Pythons a file can run on
    single_files ..... the entries of `files`
    checks ........... one key, one file: in, or out because (source_check, filter_checks, cooldown)
    releases ......... what takes a whole project to be answered
    selection ........ all of them together
    evidence ......... what files say of themselves, where a filter asks
    licences ......... `licenses`: expressions (spdx), classifiers (licence_classifiers)
    attestations ..... `attestations`: publishers, and who signed (provenance)
    advisories ....... `osv`: records (osv_records) of a dump (osv_dump, osv_files)
    content .......... the two content types
    closure .......... `dependencies`: what everything requires, wave by wave (roots, demands)
    environments ..... marker environments, and whether a marker holds in one
    core_metadata .... what a file requires: from beside it, or out of parts of it (partial_files)
    archives ......... METADATA out of a wheel or a zip file; sdists: PKG-INFO out of a tar
    rendering ........ units -> pages
    simple_publisher . pages and files of a publication

This module holds the entry points alone, and each imports what it names when it is called: a command that only
validates manifests pays for no renderer, one that only publishes pays for no HTML parser.
No module may bear an entry point's name: importing it would put the module in the place of the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["distribution", "importer", "project", "publisher"]


def importer() -> tuple[type[Importer], dict[str, Any]]:
    """Entry point of the importer `python`."""
    from reconciler_python.simple_importer import PythonImporter

    return PythonImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, Any]]:
    """Entry point of the publisher `python`."""
    from reconciler_python.simple_publisher import PythonPublisher

    return PythonPublisher, {}


def distribution() -> tuple[type[ContentType], dict[str, Any]]:
    """Entry point of the content type `python.distribution`."""
    from reconciler_python.content import Distribution

    return Distribution, {}


def project() -> tuple[type[ContentType], dict[str, Any]]:
    """Entry point of the content type `python.project`."""
    from reconciler_python.content import Project

    return Project, {}
