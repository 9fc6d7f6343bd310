"""Files: mirrors trees of files and publishes them under their own names.

Comes in: a `PULP_MANIFEST`, a list of URLs, or a folder (over HTTP, or of this machine), and the
selection and filter keys of a manifest. Goes out: `file.file` units, decisions with reasons, and a
tree with a `PULP_MANIFEST` of its own. Must never know: SQL, manifests of ours, the engine, other
ecosystems; `reconciler.plugin` is its only door.

    file_importer ... which format, which groups, the units of one group
    manifests ....... `name,sha256,size`: one line read, one line written
    urls ............ one line of a list of URLs
    folders ......... HTML listings, and the listing of a local folder
    listing ......... what the formats have in common: entries, groups, lines -> groups
    globs, options .. the keys of a source and of a Filter
    content ......... the content type: in, or out because
    file_publisher .. the tree and its `PULP_MANIFEST`

A file is its path and its bytes: nothing of where it came from enters a unit, so every format gives
the same unit.

This module holds the entry points alone, and each imports what it names when it is called. No
module may bear an entry point's name: importing it would put the module in the place of the
function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["file", "importer", "publisher"]


def importer() -> tuple[type[Importer], dict[str, object]]:
    """Entry point of the importer `file`."""
    from reconciler_file.file_importer import FileImporter

    return FileImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, object]]:
    """Entry point of the publisher `file`."""
    from reconciler_file.file_publisher import FilePublisher

    return FilePublisher, {}


def file() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `file.file`."""
    from reconciler_file.content import File

    return File, {}
