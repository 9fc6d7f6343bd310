"""Origins of keys, looked up on demand after the manifests were read."""

from __future__ import annotations

from collections.abc import Container

from reconciler.manifest.document import Document, Path
from reconciler.model import KeyLocations


def written(
    document: Document, below: Path, given: Container[str] = (), plugin: str = ""
) -> KeyLocations:
    """Return the origins of paths below `below` of a document. `given`: keys that the
    plugin-level configuration of `plugin` sets where the document does not.
    """
    document = document.bare()

    def find(path: Path) -> str | None:
        origin = document.find((*below, *path))
        if origin is not None:
            return f"{origin.file}:{origin.line}"
        elsewhere = bool(path) and path[0] in given and document.find((*below, path[0])) is None
        return f"plugin-level configuration of `{plugin}`" if elsewhere else None

    return KeyLocations(find)
