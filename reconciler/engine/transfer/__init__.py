"""Artifacts brought into the store.

Connections to remotes, verified downloads, measurements of bytes that have no declared digest,
metadata read back from stored bytes. Knows digests and URLs; never decides what is wanted.
"""

__all__: list[str] = []
