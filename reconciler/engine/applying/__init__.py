"""A plan carried out.

Ordering, content (bytes, rows, one short transaction), deletions, and updates of recorded
metadata. Executes the very plan that was shown.
"""

__all__: list[str] = []
