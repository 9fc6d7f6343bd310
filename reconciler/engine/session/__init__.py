"""Session: everything that one run holds open.

The home, the database, the store, the plugin registry, the remotes and the clock. Rooms above
take a session instead of its parts.
"""

__all__: list[str] = []
