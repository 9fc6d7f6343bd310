"""Example plugin on the low-level importer API: files that a `PULP_MANIFEST` lists.

Comes in: a manifest of `name,sha256,size`, and the selection and filter keys of our manifests. Goes
out: `example.file` units and the same tree again. Must never know: the engine, SQL, other plugins.

The type `file` with `format: manifest` does the same on the high-level API: there the core asks for
groups and compares, here `low_importer` compares and records. A distribution of its own, to be
copied.

    low_importer ... `sync`: compares upstream with the source, records the changes
    manifests ...... lines of a manifest, read and written
    content ........ the content type and its selection
    options ........ the keys of a source and of a Filter
    tree_publisher . the tree and its manifest

This module holds the entry points alone; each imports what it names when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["file", "importer", "publisher"]


def importer() -> tuple[type[Importer], dict[str, object]]:
    """Entry point of the importer `example`."""
    from reconciler_example.low_importer import ExampleImporter

    return ExampleImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, object]]:
    """Entry point of the publisher `example`."""
    from reconciler_example.tree_publisher import ExamplePublisher

    return ExamplePublisher, {}


def file() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `example.file`."""
    from reconciler_example.content import ExampleFile

    return ExampleFile, {}
