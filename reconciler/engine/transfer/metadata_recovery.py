"""Recovery of metadata from stored artifacts.

For content types that decide by more than the recorded units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.errors import StateFault
from reconciler.model import Artifact, StoredArtifact, artifact_digest
from reconciler.store import Store

ArtifactReader = Callable[[str], bytes | None]
"""The bytes of an artifact by its path, None where they are not here."""


def stored_bytes_reader(
    store: Store, artifacts: Iterable[Artifact | StoredArtifact], missing: list[str] | None = None
) -> ArtifactReader:
    """Return a reader of artifacts by path that looks into the store only.

    It returns None for artifacts that were left upstream, and appends their paths to `missing`.
    """
    digests = {
        artifact.path: artifact_digest(artifact) for artifact in artifacts if artifact.sha256
    }

    def read(path: str) -> bytes | None:
        if path not in digests:
            return None
        try:
            with store.open(digests[path]) as file:
                return file.read()
        except StateFault:
            if missing is not None:
                missing.append(path)
            return None

    return read
