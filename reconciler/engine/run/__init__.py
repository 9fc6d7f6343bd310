"""Basics of every run, which depend on nothing else in the engine.

Checkpoints (the order of writes, by name), progress, leases, task groups, first sights, the
provenance of versions and the fingerprints of secrets. Every other room of the engine may import
from here.
"""

__all__: list[str] = []
