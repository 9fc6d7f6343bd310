"""npm packages: mirrors packages of an npm registry, publishes them as one, takes `npm publish`.

Comes in: packuments of a registry, tarballs that clients send, the keys of a manifest. Goes out:
`npm.package` units, decisions with reasons, packuments for npm. Must never know: SQL, manifests of
ours, the engine, other ecosystems; `reconciler.plugin` is its only door.

    names .......... what may be a package's name, a version, the name of a file
    ranges ......... ranges and tags that select (`left-pad@^1.2`), the order of versions
    options ........ the keys of a source and of a Filter
    packuments ..... what upstream says of a package -> units
    tarballs ....... what a file says of itself -> a unit
    content ........ the content type: in, or out because
    npm_importer ... the packages that a manifest names, uploads
    documents ...... units -> packuments
    requests ....... `npm publish`, `deprecate`, `unpublish`, `dist-tag`
    npm_publisher .. what npm reads, and what it sends

A group is a package, a unit one version of it, called `left-pad@1.2.0`. A tag is a fact of the
version that has it, so that a tag that moves changes two units.

This module holds the entry points alone, and each imports what it names when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.plugin import ContentType, Importer, Publisher

__all__ = ["importer", "package", "publisher"]


def importer() -> tuple[type[Importer], dict[str, object]]:
    """Entry point of the importer `npm`."""
    from reconciler_npm.npm_importer import NpmImporter

    return NpmImporter, {}


def publisher() -> tuple[type[Publisher], dict[str, object]]:
    """Entry point of the publisher `npm`."""
    from reconciler_npm.npm_publisher import NpmPublisher

    return NpmPublisher, {}


def package() -> tuple[type[ContentType], dict[str, object]]:
    """Entry point of the content type `npm.package`."""
    from reconciler_npm.content import Package

    return Package, {}
