"""Debian packages: mirrors apt repositories, and publishes them for apt.

Comes in: the archive that a `deb` line names, with the keys that may sign it, and the selection and
filter keys of a manifest. Goes out: `deb.package` and `deb.source` units, decisions with reasons,
and `dists/` and `pool/` that apt reads. Must never know: SQL, manifests of ours, the engine, other
ecosystems; `reconciler.plugin` is its only door.

    control .......... paragraphs, versions, relations
    releases ......... Release files: signatures, freshness, what they list
    reading .......... indexes of a suite -> packages -> units
    options .......... the keys of a source, of a Filter and of a publication
    selecting ........ in, or out because
    dependencies ..... what packages depend on
    uploads .......... a `.deb` that was sent -> its paragraph
    content .......... the two content types
    deb_importer ..... asks the archive
    publishing ....... units -> indexes, Release, pool

Each imports those above it only (`tests/architecture/test_deb_plugin_layers.py`).

This module holds the entry points alone, and each imports what it names when it is called. No
module may bear an entry point's name: importing it would put the module in the place of the
function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["importer", "package", "publisher", "source"]


def importer() -> tuple[type[Importer], dict[str, object]]:
    """Entry point of the importer `deb`."""
    from reconciler_deb.deb_importer import DebImporter

    return DebImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, object]]:
    """Entry point of the publisher `deb`."""
    from reconciler_deb.publishing.apt_publisher import AptPublisher

    return AptPublisher, {}


def package() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `deb.package`."""
    from reconciler_deb.content import Package

    return Package, {}


def source() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `deb.source`."""
    from reconciler_deb.content import SourcePackage

    return SourcePackage, {}
