"""A version rendered, released and exported.

Which version a publication shows, what filters withhold from it, its rendering by a publisher,
the pointer, and exports. Knows no source.
"""

__all__: list[str] = []
