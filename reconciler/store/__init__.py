"""Bytes by digest: what is visible under a digest has that digest.

Comes in: bytes with the digest that was declared for them. Goes out: the same bytes, from a file
where there is one. Must never know: what the bytes are, where they came from, what refers to them.
"""

from reconciler.store.local import LocalStore
from reconciler.store.memory import MemoryStore
from reconciler.store.port import Incoming, Store
from reconciler.store.unstored import UnstoredBytes

__all__ = ["Incoming", "LocalStore", "MemoryStore", "Store", "UnstoredBytes"]
